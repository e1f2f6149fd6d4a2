/**
 * What a training costs the people who wait: p50 and p99 of `rank` over HTTP at 30 % of what the service carries, while
 * a training of the demo tenant runs on the same machine and while it is halted, in turn. Starts `palate start` itself,
 * one thread a training, as by default.
 *
 *     npm run bench:rank-beside-training
 *
 * Runs for some eight minutes, the first three of which fill the demo. Needs Linux: it finds and halts the training's
 * process by /proc and signals.
 */
import { readFile, rm } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { toGlobalId } from '../src/domain/ids.ts';
import { childrenOf } from './support/kill/processes.ts';
import { type LoadPlan, type LoadTimes, startLoadClient } from './support/load/load.ts';
import { figure, median, quantile } from './support/measure.ts';
import { makeDataDirectory, type RunningService, startService } from './support/service.ts';
import { ask, makeOperatorKey, raisePoints } from './support/tenants.ts';

const { values } = parseArgs({
  options: { candidates: { type: 'string', default: '50' }, rounds: { type: 'string', default: '8' } },
});
const CANDIDATES = Number(values.candidates);
const ROUNDS = Number(values.rounds);
const CONNECTIONS = 32;
const SHARE_OF_CAPACITY = 0.3;
const WARM_UP_SECONDS = 5;
const CAPACITY_SECONDS = 10;
const WINDOW_SECONDS = 15;

const RANK = `query ($externalId: String!, $imageIds: [ID!]!) {
  user(by: {externalId: $externalId}) { rank(imageIds: $imageIds) { scores { value } } }
}`;

const dataDirectory = await makeDataDirectory();
const service = await startService({ args: [], dataDirectory });
const client = startLoadClient();
try {
  await raisePoints(service.url, await makeOperatorKey(dataDirectory, 'bench'), toGlobalId('Tenant', service.tenantId));
  const plan = await planOf(service);
  await client.run({ ...plan, seconds: WARM_UP_SECONDS });
  const capacity = rateOf(await client.run({ ...plan, seconds: CAPACITY_SECONDS }));
  const rate = SHARE_OF_CAPACITY * capacity;
  console.log(`rank of ${CANDIDATES}: ${figure(capacity)} a second at most, ${figure(rate)} a second from here on`);

  const alone: LoadTimes[] = [];
  const beside: LoadTimes[] = [];
  let training = await startTraining(service, 1);
  for (let round = 0; round < ROUNDS; round++) {
    if (!(await runs(training))) training = await startTraining(service, 2 + round);
    process.kill(training, 'SIGSTOP');
    alone.push(await client.run({ ...plan, rate, seconds: WINDOW_SECONDS }));
    process.kill(training, 'SIGCONT');
    beside.push(await client.run({ ...plan, rate, seconds: WINDOW_SECONDS }));
    if (!(await runs(training))) beside.pop() && alone.pop(); // it ended within the window
  }
  const rows = { 'training halted': alone, 'training runs': beside };
  console.table(
    Object.fromEntries(
      Object.entries(rows).map(([name, windows]) => {
        const ms = windows.flatMap((window) => window.ms);
        const failed = windows.flatMap((window) => Object.values(window.failures)).reduce((sum, n) => sum + n, 0);
        return [name, { windows: windows.length, requests: ms.length, failed, ...quantiles(ms) }];
      }),
    ),
  );
  const ratios = beside.map((window, i) => quantile(window.ms, 0.99) / quantile(alone[i]!.ms, 0.99));
  console.log(`p99 beside a training against none, median of ${ratios.length} rounds: ${figure(median(ratios))} ×`);
} finally {
  client.close();
  await service.stop();
  await rm(dataDirectory, { recursive: true, force: true });
}

function rateOf({ ms, failures, seconds }: LoadTimes): number {
  const failure = Object.keys(failures)[0];
  if (failure) throw new Error(failure);
  return ms.length / seconds;
}

function quantiles(ms: readonly number[]): Record<string, string> {
  return {
    'p50, ms': figure(quantile(ms, 0.5)),
    'p99, ms': figure(quantile(ms, 0.99)),
    'p99.9, ms': figure(quantile(ms, 0.999)),
  };
}

/** Everybody of the demo asks in turn, each for candidates of its own. */
async function planOf({ url, serviceKey, query }: RunningService): Promise<Omit<LoadPlan, 'seconds'>> {
  const { users, images } = await query<Record<'users' | 'images', { nodes: { id: string; externalId: string }[] }>>(
    '{ users(first: 100) { nodes { externalId } } images(first: 100) { nodes { id } } }',
  );
  const ids = images.nodes.map(({ id }) => id);
  const bodies = users.nodes.map(({ externalId }, i) => {
    const from = i % (ids.length - CANDIDATES);
    return JSON.stringify({ query: RANK, variables: { externalId, imageIds: ids.slice(from, from + CANDIDATES) } });
  });
  return { url, key: serviceKey, bodies, connections: CONNECTIONS };
}

/** Answers the id of the process that trains, once it does. */
async function startTraining({ url, adminKey, process: child }: RunningService, seed: number): Promise<number> {
  const { startTraining: started } = await ask<{ startTraining: { job: { id: string } } }>(
    ...([
      url,
      adminKey,
      'mutation ($v: StartTrainingInput!) { startTraining(input: $v) { job { id } userErrors { code } } }',
    ] as const),
    { v: { seed } },
  );
  for (;;) {
    const { trainingJob } = await ask<{ trainingJob: { status: string; reason: string | null; losses: object[] } }>(
      ...([url, adminKey, 'query ($id: ID!) { trainingJob(id: $id) { status reason losses { step } } }'] as const),
      { id: started.job.id },
    );
    if (!/^(QUEUED|RUNNING)$/.test(trainingJob.status)) throw new Error(`${trainingJob.status}: ${trainingJob.reason}`);
    if (trainingJob.losses.length > 0) break;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  for (const pid of await childrenOf(child.pid!)) if (await runs(pid)) return pid;
  throw new Error('No process trains.');
}

async function runs(pid: number): Promise<boolean> {
  return (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).includes('trainingProcess');
}
