/**
 * A worker that does nothing but trainings, as small as they can be: a process to be killed. Takes the database's owner
 * URL and the data folder; says "ready", and the id of each process that it starts.
 */
import { join } from 'node:path';
import pino from 'pino';
import { openDatabase } from '../../../src/database/client.ts';
import { serviceUrl } from '../../../src/database/serviceRole.ts';
import { openQueue } from '../../../src/queue/queue.ts';
import { startPreparing } from '../../../src/workers/prepare.ts';
import { startPromoting } from '../../../src/workers/promote.ts';
import { startTrainings } from '../../../src/workers/train.ts';
import { SMALL_TRAINING } from '../../../tests/support/trainingTenant.ts';
import { trainingPlatform } from './platform.ts';

const [ownerUrl, folder] = process.argv.slice(2) as [string, string];
const say = (line: string) => process.stdout.write(`${line}\n`);
const url = serviceUrl(ownerUrl);
const database = openDatabase(url, 5);
const queue = await openQueue(url, () => {}); // lost connections are mended
const log = pino({ level: 'fatal' });
const platform = await trainingPlatform({ database, queue, folder });
await startPreparing(platform);
await startPromoting(platform);
const trainings = await startTrainings(platform, {
  ...{ directory: join(folder, 'training'), threads: 1, log, sizes: SMALL_TRAINING, foreground: true },
  onChild: (pid) => say(`child ${pid}`),
});
process.once('SIGTERM', async () => {
  await trainings.stop();
  await queue.stop(5);
  await database.$disconnect();
  process.exit(0);
});
say('ready');
