/**
 * One real PostgreSQL for a run of the tests, started before them and stopped after (jest's globalSetup and
 * globalTeardown), with a migrated database that each test file copies.
 */
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { tsImport } from 'tsx/esm/api';

/** Jest loads this file as it is, so what is TypeScript is imported through tsx. */
const source = (path) => tsImport(`../../src/${path}`, import.meta.url);

/** What would be lost does not matter here, and is a third of the time. */
const NOTHING_OUTLIVES_A_CRASH = { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' };

let folder;
let server;

export async function start() {
  const { startEmbeddedServer } = await source('database/embeddedServer.ts');
  const { prepareDatabase } = await source('database/client.ts');
  const { prepareQueue } = await source('queue/queue.ts');
  folder = await mkdtemp(join(tmpdir(), 'palate-tests-'));
  await chmod(folder, 0o755); // or root's server, which runs as another user, keeps its files elsewhere
  server = await startEmbeddedServer(folder, {
    settings: { ...NOTHING_OUTLIVES_A_CRASH, scram_iterations: '1', max_connections: '200' },
  });
  await prepareDatabase(server.url);
  await prepareQueue(server.url);
  process.env.PALATE_TEST_DATABASE_URL = server.url;
}

export async function stop() {
  await server?.stop();
  if (folder) await rm(folder, { recursive: true, force: true });
}
