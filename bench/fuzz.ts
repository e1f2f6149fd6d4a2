/**
 * Does it stand abuse? Starts the service with two tenants of its own. Attackers hold the keys of one and send hostile
 * requests from a seed; a client of the other asks for ranks and scores and gives feedback, first alone, then beside
 * them. Prints the client's times in both, the service's memory before, at its peak and after, and every answer that a
 * service may not give.
 *
 *     npm run bench:fuzz -- --requests 20000 --seed 1 --connections 4 --pause 80
 *     npm run bench:fuzz -- --seed 1 --only 1234          sends one request again and shows it
 *
 * 20,000 requests take some eight minutes: each connection waits `--pause` milliseconds, on average, between two. Client,
 * attackers and service share the machine. Exits with 1 on a 5xx other than 503 OVERLOADED or NOT_READY, a fault masked
 * in a 200, an answer that never comes, a crash, a failed request of the client, a p99 that doubles, or memory that
 * stays more than a quarter and 100 MB above what it was.
 */
import { rm } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { buildSchema } from '../src/graphql/schema.ts';
import { FuzzClient } from './support/fuzz/client.ts';
import { askFromAfar, type Times } from './support/fuzz/honestClient.ts';
import { drawRequest } from './support/fuzz/requests.ts';
import { type FuzzReport, faultOf, runFuzz } from './support/fuzz/run.ts';
import type { FuzzTarget } from './support/fuzz/target.ts';
import { processorMs, residentBytes } from './support/kill/processes.ts';
import { figure, quantile } from './support/measure.ts';
import { makeDataDirectory, startService } from './support/service.ts';
import { fillTenant, makeTenant } from './support/tenants.ts';

const PEOPLE = 6;
const PICTURES = 12;
/** Hostile requests before anything is measured: what is compiled and cached once is no leak. */
const WARM_UP_REQUESTS = 1_000;
/** How long the client asks alone. */
const ALONE_MS = 30_000;
/** Between the last request and the look at the memory: collections and time-outs run their course. */
const SETTLE_MS = 20_000;
const LOOK_MS = 250;
/**
 * Caches that are full after the warm-up, and a heap that is collected as soon as it has grown: caches fill up to their
 * settings and V8 puts off collecting for as long as its heap lets it, and neither is a leak.
 */
const TIGHT = {
  ...{ PALATE_USER_STATE_CACHE_BYTES: '4000000', PALATE_VECTOR_INDEX_BYTES: '4000000' },
  NODE_OPTIONS: `${process.env['NODE_OPTIONS'] ?? ''} --max-old-space-size=256`.trim(),
};
const MOST_MEMORY = (before: number) => before * 1.25 + 100e6;
const WORST_RATIO = 2;
const TOLD_EVERY = 1_000;
const FAULTS_SHOWN = 50;

const { values } = parseArgs({
  options: {
    requests: { type: 'string', default: '20000' },
    seed: { type: 'string', default: '1' },
    connections: { type: 'string', default: '4' },
    pause: { type: 'string', default: '80' },
    only: { type: 'string' },
  },
});

const dataDirectory = await makeDataDirectory();
const service = await startService({ dataDirectory, environment: TIGHT });
try {
  const { url } = service;
  const attacked = await fillTenant(await makeTenant(url, dataDirectory, 'attackers'), PEOPLE, PICTURES);
  const target: FuzzTarget = {
    ...{ schema: buildSchema(), adminKey: attacked.adminKey, serviceKey: attacked.serviceKey },
    ...{ ids: [...attacked.userIds, ...attacked.imageIds], externalIds: attacked.externalIds },
    picture: attacked.picture,
  };
  if (values.only === undefined) await measure(url, target);
  else await sendOne(url, target, Number(values.only));
} finally {
  await service.stop();
  await rm(dataDirectory, { recursive: true, force: true });
}

async function measure(url: string, target: FuzzTarget): Promise<void> {
  const pid = service.process.pid!;
  const honest = await fillTenant(await makeTenant(url, dataDirectory, 'client'), PEOPLE, PICTURES);
  const attack = {
    ...{ url, target, seed: values.seed, connections: Number(values.connections), pauseMs: Number(values.pause) },
  };
  console.log('Two tenants are filled; warming up, then the client alone, then the attack');
  await runFuzz({ ...attack, seed: `${values.seed}/warm-up`, requests: WARM_UP_REQUESTS, pauseMs: 0 });
  const usedBefore = await processorMs(pid);
  const alone = await askFromAfar(honest, AbortSignal.timeout(ALONE_MS));
  const used = await processorMs(pid);
  const honestMs = (used - usedBefore) / alone.ms.length;
  await delay(SETTLE_MS);
  const before = await residentBytes(pid);
  const usedUntilNow = await processorMs(pid);

  let peak = before;
  const looking = setInterval(() => {
    residentBytes(pid).then(
      (bytes) => {
        peak = Math.max(peak, bytes);
      },
      () => {}, // the process is gone: told below
    );
  }, LOOK_MS);
  const stop = new AbortController();
  service.process.once('exit', () => stop.abort());
  const beside = askFromAfar(honest, stop.signal);
  const begun = performance.now();
  const report = await runFuzz({
    ...{ ...attack, requests: Number(values.requests), stop: stop.signal },
    told: (sent) => {
      if (sent % TOLD_EVERY === 0) console.log(`${sent} sent, ${figure((performance.now() - begun) / 1000)} s`);
    },
  });
  const seconds = (performance.now() - begun) / 1000;
  stop.abort();
  const times = await beside;
  clearInterval(looking);
  const { exitCode, signalCode } = service.process;
  const crashed = exitCode !== null || signalCode !== null;
  const hostileMs = crashed
    ? Number.NaN
    : ((await processorMs(pid)) - usedUntilNow - times.ms.length * honestMs) / Number(values.requests);
  // The client goes on for a moment, as a service in use does: nothing is collected where nothing is asked.
  if (!crashed) await askFromAfar(honest, AbortSignal.timeout(SETTLE_MS));
  const after = crashed ? Number.NaN : await residentBytes(pid);
  tell(report, alone, times, { before, peak, after }, seconds, crashed);
  console.log(
    `Processor time of the service: ${figure(hostileMs)} ms a hostile request, ${figure(honestMs)} ms one of the client.`,
  );
}

interface Memory {
  before: number;
  peak: number;
  after: number;
}

function tell(
  report: FuzzReport,
  alone: Times,
  beside: Times,
  memory: Memory,
  seconds: number,
  crashed: boolean,
): void {
  console.table(
    Object.fromEntries(
      [...report.outcomes].map(([kind, counts]) => {
        const ms = report.ms.get(kind)!;
        const times = { 'p50, ms': figure(quantile(ms, 0.5)), 'most, ms': figure(Math.max(...ms)) };
        return [kind, { ...times, ...Object.fromEntries(counts) }];
      }),
    ),
  );
  const ratio = (share: number) => quantile(beside.ms, share) / quantile(alone.ms, share);
  const row = ({ ms, failures }: Times) => ({
    ...{ requests: ms.length, failed: failures.length },
    ...{ 'p50, ms': figure(quantile(ms, 0.5)), 'p99, ms': figure(quantile(ms, 0.99)) },
  });
  console.table({ alone: row(alone), 'under attack': row(beside) });
  const megabytes = (bytes: number) => `${Math.round(bytes / 1e6)} MB`;
  console.log(
    `${values.requests} hostile requests in ${figure(seconds)} s over ${values.connections} connections. The client: ` +
      `p50 × ${ratio(0.5).toFixed(2)}, p99 × ${ratio(0.99).toFixed(2)}. Memory: ${megabytes(memory.before)} before, ` +
      `${megabytes(memory.peak)} at most, ${megabytes(memory.after)} after.`,
  );

  const wrong = report.faults.map(({ number, kind, what }) => `--only ${number} (${kind}): ${what}`);
  if (crashed) wrong.unshift(`The service has ended. Its last words:\n${service.said()}`);
  if (!(ratio(0.99) < WORST_RATIO))
    wrong.push(`The client's p99 is ${ratio(0.99).toFixed(2)} times what it was alone.`);
  if (!crashed && memory.after > MOST_MEMORY(memory.before)) {
    wrong.push(`Memory is ${megabytes(memory.after)}; at most ${megabytes(MOST_MEMORY(memory.before))} would be well.`);
  }
  for (const failure of [...alone.failures, ...beside.failures]) wrong.push(`The client's request failed: ${failure}`);
  if (wrong.length === 0) return;
  process.stderr.write(`${wrong.length} faults\n${wrong.slice(0, FAULTS_SHOWN).join('\n')}\n`);
  process.exitCode = 1;
}

/** Sends the request of this number and shows it and its answer. */
async function sendOne(url: string, target: FuzzTarget, number: number): Promise<void> {
  const { kind, request } = drawRequest(values.seed, number, target);
  const shown = (value: unknown) => JSON.stringify(value).slice(0, 4_000);
  const { authorization: _, ...headers } = request.via === 'http' ? request.headers : {};
  console.log(kind);
  console.log(
    request.via === 'http'
      ? `${request.method} ${request.path}\n${shown(headers)}\n${shown(String(request.body))}`
      : shown(request.bytes.toString('latin1')),
  );
  const client = new FuzzClient(url);
  const answer = await client.send(request);
  client.close();
  console.log(shown(answer));
  const fault = faultOf(answer);
  if (fault) process.exitCode = 1;
  console.log(fault ?? 'no fault');
  console.log(service.said());
}
