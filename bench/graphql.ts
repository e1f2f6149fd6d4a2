/**
 * What the GraphQL server costs: the same schema and resolvers, over the same platform in one process, behind Apollo with
 * all that Palate adds to it, behind Apollo alone, graphql-yoga and mercurius, with its compiler and without. Three
 * operations: the smallest, a page of images, and a ranking.
 *
 *     npm run bench:graphql [-- --json FILE]
 *
 * Runs for some two minutes. Requests come over eight connections from another process. Of what Palate adds (limits of
 * what may be asked, points, requests in flight, deadlines, headers, a log) the others do nothing.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { pino } from 'pino';
import { startService } from '../src/commands/start/service.ts';
import { readConfig } from '../src/config.ts';
import { withTenant } from '../src/database/client.ts';
import { startEmbeddedServer } from '../src/database/embeddedServer.ts';
import { makeApiKey } from '../src/domain/apiKeys.ts';
import { toGlobalId } from '../src/domain/ids.ts';
import type { Platform } from '../src/domain/platform.ts';
import { createTenant } from '../src/domain/tenants.ts';
import { PreferenceModel, SHIPPED_MODEL } from '../src/inference/preferenceModel.ts';
import { rankPlan } from './support/drawnService.ts';
import { drawTenant, writeTenant } from './support/drawnTenant.ts';
import { type OtherServer, startOtherServers } from './support/graphqlServers.ts';
import { startLoadClient } from './support/load/load.ts';
import { figure, median } from './support/measure.ts';
import { writeReport } from './support/report.ts';
import { makeDataDirectory } from './support/service.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '1.5' },
    json: { type: 'string' },
  },
});
const ROUNDS = Number(values.rounds);
const SECONDS = Number(values.seconds);
const CONNECTIONS = 8;
const SIZES = { people: CONNECTIONS, images: 1000, judged: 40 };
const CANDIDATES = 50;
const OURS = 'Apollo as Palate runs it';
/** More than is asked for here. */
const POINTS = 2_000_000_000;

const directory = await makeDataDirectory();
const server = await startEmbeddedServer(join(directory, 'database'));
const config = readConfig({ DATABASE_URL: server.url, PALATE_DATA_DIR: directory, PORT: '0' });
const { url, platform, stop } = await startService(config, pino({ level: 'warn' }), { api: true, work: false });
const client = startLoadClient();
let others: OtherServer[] = [];
try {
  others = await startOtherServers(platform);
  const { key, operations } = await tenantOf(platform);
  const urls = { [OURS]: url!, ...Object.fromEntries(others.map((other) => [other.name, other.url])) };
  const figures: Record<string, Record<string, number>> = {};
  for (const [operation, bodies] of Object.entries(operations)) {
    const rates = await inTurn(urls, key, bodies);
    figures[operation] = rates;
    console.log(`${operation}:`);
    console.table(
      Object.fromEntries(
        Object.entries(rates).map(([name, rate]) => [
          name,
          { 'requests a second': figure(rate), 'against ours': `${(rate / rates[OURS]!).toFixed(2)} ×` },
        ]),
      ),
    );
  }
  const settings = { connections: CONNECTIONS, candidates: CANDIDATES, sizes: SIZES, rounds: ROUNDS, seconds: SECONDS };
  await writeReport(values.json, { bench: 'graphql', settings, figures });
} finally {
  client.close();
  for (const other of others) await other.stop();
  await stop();
  await server.stop();
  await rm(directory, { recursive: true, force: true });
}

/** Requests a second of each, medians over the rounds, of which the first is to warm up. */
async function inTurn(
  urls: Readonly<Record<string, string>>,
  key: string,
  bodies: readonly string[],
): Promise<Record<string, number>> {
  const rates: Record<string, number[]> = {};
  for (let round = 0; round <= ROUNDS; round++) {
    for (const [name, at] of Object.entries(urls)) {
      const times = await client.run({ url: at, key, bodies, connections: CONNECTIONS, seconds: SECONDS });
      const [failure] = Object.keys(times.failures);
      if (failure) throw new Error(`${name}: ${failure}`);
      if (round > 0) rates[name] = [...(rates[name] ?? []), times.ms.length / times.seconds];
    }
  }
  return Object.fromEntries(Object.entries(rates).map(([name, seen]) => [name, median(seen)]));
}

/** A drawn tenant, a key of it, and what is asked with it. */
async function tenantOf(on: Platform): Promise<{ key: string; operations: Record<string, readonly string[]> }> {
  const { tenant } = await createTenant(on, null, 'bench');
  const model = await PreferenceModel.load(SHIPPED_MODEL);
  const drawn = await drawTenant(model, SIZES);
  await model.close();
  await writeTenant(server.url, tenant.id, drawn);
  const { secret } = await withTenant(tenant.id, async () => {
    await on.database.tenant.update({ where: { id: tenant.id }, data: { pointsPerMinute: POINTS } });
    return makeApiKey(on.database, { name: 'bench', role: 'SERVICE' });
  });
  const served = { ...{ url: url!, adminKey: '', serviceKey: secret, drawn }, id: toGlobalId('Tenant', tenant.id) };
  return {
    key: secret,
    operations: {
      'the smallest request': [JSON.stringify({ query: '{ viewer { role } }' })],
      'a page of 100 images': [
        JSON.stringify({ query: '{ images(first: 100) { nodes { id status width height createdAt } } }' }),
      ],
      [`rank of ${CANDIDATES}`]: rankPlan(served, CONNECTIONS, CANDIDATES).bodies,
    },
  };
}
