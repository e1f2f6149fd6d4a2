/**
 * Do tenants get their turns? Twenty tenants ask for a training at once, the first of them for five, and two workers do
 * them: real trainings, as small as they can be. Prints in which order they began and how long each waited. Every tenant
 * must have had its first turn before anybody has a second one.
 *
 *     npm run bench:training-fairness
 *
 * Exits with 1 where a turn was out of order, or a training did not end.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { openDatabase, prepareDatabase, withTenant } from '../src/database/client.ts';
import { startEmbeddedServer } from '../src/database/embeddedServer.ts';
import { openJob } from '../src/domain/trainingChanges.ts';
import { requestTraining } from '../src/domain/trainingJobs.ts';
import { PreferenceModel } from '../src/inference/preferenceModel.ts';
import { openQueue, prepareQueue } from '../src/queue/queue.ts';
import { PARENT_TO_TRAIN, tenantToTrain } from '../tests/support/trainingTenant.ts';
import { figure } from './support/measure.ts';
import { makeDataDirectory } from './support/service.ts';
import { trainingPlatform } from './support/trainings/platform.ts';
import { startWorker } from './support/trainings/workers.ts';

const TENANTS = 20;
const GREEDY = 5;
const WORKERS = 2;
const LOOK_MS = 500;

const folder = await makeDataDirectory();
const server = await startEmbeddedServer(join(folder, 'database'));
const database = openDatabase(await prepareDatabase(server.url), 5);
await prepareQueue(server.url);
const queue = await openQueue(await prepareDatabase(server.url), () => {});
try {
  await race();
} finally {
  await queue.stop(5);
  await database.$disconnect();
  await server.stop();
  await rm(folder, { recursive: true, force: true });
}

async function race(): Promise<void> {
  const platform = await trainingPlatform({ database, queue, folder });
  const base = await PreferenceModel.open(PARENT_TO_TRAIN);
  const tenants: string[] = [];
  for (let i = 0; i < TENANTS; i++) tenants.push((await tenantToTrain(database, base)).id);
  await base.close();
  for (const [i, tenantId] of tenants.entries()) {
    for (let seed = 1; seed <= (i === 0 ? GREEDY : 1); seed++) {
      await withTenant(tenantId, () =>
        database.$transaction((rows) => requestTraining(rows, platform, { requestedBy: 'a benchmark', seed })),
      );
    }
  }
  const workers = await Promise.all(Array.from({ length: WORKERS }, () => startWorker(server.url, folder, () => {})));
  const anyOpen = async () => {
    const open = await Promise.all(tenants.map((id) => withTenant(id, () => openJob(database))));
    return open.some((job) => job !== null);
  };
  while (await anyOpen()) await delay(LOOK_MS);
  await Promise.all(workers.map((worker) => worker.stop()));
  show(await turnsOf(tenants));
}

interface Turn {
  readonly tenant: number;
  readonly status: string;
  readonly startedAt: Date;
  readonly waitedMs: number;
  readonly tookMs: number;
}

async function turnsOf(tenants: readonly string[]): Promise<Turn[]> {
  const turns = tenants.map((id, tenant) =>
    withTenant(id, async () =>
      (await database.trainingJob.findMany()).map(({ status, createdAt, startedAt, finishedAt }): Turn => {
        const waitedMs = startedAt!.getTime() - createdAt.getTime();
        return {
          tenant,
          status,
          startedAt: startedAt!,
          waitedMs,
          tookMs: finishedAt!.getTime() - startedAt!.getTime(),
        };
      }),
    ),
  );
  return (await Promise.all(turns)).flat().sort((a, b) => a.startedAt.getTime() - b.startedAt.getTime());
}

function show(turns: readonly Turn[]): void {
  console.table(
    turns.map(({ tenant, status, waitedMs, tookMs }) => ({
      ...{ tenant: tenant + 1, status },
      'waited, s': figure(waitedMs / 1000),
      'took, s': figure(tookMs / 1000),
    })),
  );
  const first = turns.slice(0, TENANTS);
  const inTurn = new Set(first.map(({ tenant }) => tenant)).size === TENANTS;
  console.log(inTurn ? 'Every tenant had a turn before anybody had a second one.' : 'Tenants did not take turns.');
  if (!inTurn || turns.length !== TENANTS + GREEDY - 1) process.exitCode = 1;
}
