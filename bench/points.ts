/**
 * What counting points costs: the smallest request with it and without, in the same service; one spending from memory;
 * the statements of a thousand requests; and two replicas that race for one limit. Starts an embedded PostgreSQL and the service itself.
 *
 *     npm run bench:points
 *
 * Runs for about a minute. "Without" spends nothing and tells a balance that is always the same.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { pino } from 'pino';
import { startService } from '../src/commands/start/service.ts';
import { readConfig } from '../src/config.ts';
import { openDatabase, prepareDatabase, withTenant } from '../src/database/client.ts';
import { startEmbeddedServer } from '../src/database/embeddedServer.ts';
import { makeApiKey } from '../src/domain/apiKeys.ts';
import { newId } from '../src/domain/ids.ts';
import { type Balance, PointBudget, PointsError, type Spender } from '../src/domain/points.ts';
import { createTenant } from '../src/domain/tenants.ts';
import { figure, medians } from './support/measure.ts';
import { makeDataDirectory } from './support/service.ts';

const BUDGET_MS = 15_000;
const MEMORY_BUDGET_MS = 1_000;
/** Requests of one round: one takes a millisecond or two, too short a time to compare. */
const ROUND = 50;
const REQUESTS = 1000;
/** Spendings from memory of one round. */
const SPENDS = 5000;
const RACE_LIMIT = 10_000;
const RACE_COST = 7;
const RACE_SPENDS = 4000;
/** Of the tenant and of its key: what a tenant has unless told otherwise, and more than is spent here. */
const LIMIT = 600_000;

let leases = 0;
const send = pg.Client.prototype.query;
pg.Client.prototype.query = function (this: pg.Client, ...args: unknown[]) {
  const [query] = args as [string | { text?: string }];
  if (/INTO point_leases/.test(typeof query === 'string' ? query : (query?.text ?? ''))) leases++;
  return Reflect.apply(send, this, args);
} as typeof send;

const directory = await makeDataDirectory();
const server = await startEmbeddedServer(join(directory, 'database'));
try {
  const databaseUrl = await prepareDatabase(server.url);
  await overHttp();
  await race(databaseUrl);
} finally {
  await server.stop();
  await rm(directory, { recursive: true, force: true });
}

async function overHttp(): Promise<void> {
  const config = readConfig({ DATABASE_URL: server.url, PALATE_DATA_DIR: directory, PORT: '0' });
  const { url, platform, stop } = await startService(config, pino({ level: 'warn' }), { api: true, work: true });
  try {
    const { tenant } = await createTenant(platform, null, 'bench');
    const key = await withTenant(tenant.id, async () => {
      const own = { name: 'bench', role: 'SERVICE', pointsPerMinute: LIMIT } as const;
      return (await makeApiKey(platform.database, own)).secret;
    });
    const ask = async (): Promise<void> => {
      const response = await fetch(`${url}/graphql`, {
        method: 'POST',
        headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
        body: '{"query":"{ viewer { role } }"}',
      });
      const { errors } = (await response.json()) as { errors?: { message: string }[] };
      if (errors) throw new Error(errors[0]!.message);
    };
    const round = async (): Promise<void> => {
      for (let i = 0; i < ROUND; i++) await ask();
    };

    for (let i = 0; i < REQUESTS; i++) await ask();
    const statements = leases;

    const free: Balance = { limit: LIMIT, remaining: LIMIT, resetsAt: new Date() };
    const { points } = platform;
    const counted = { spend: points.spend.bind(points), balance: points.balance.bind(points) };
    const uncounted = { spend: async () => free, balance: () => free };
    const ms = await medians(
      {
        without: () => round.call(Object.assign(points, uncounted)),
        with: () => round.call(Object.assign(points, counted)),
      },
      BUDGET_MS,
    );
    Object.assign(points, counted);
    const rules = { id: tenant.id, pointsPerMinute: 2_000_000_000 };
    const spender: Spender = { id: newId(), pointsPerMinute: rules.pointsPerMinute, tenant: rules };
    const spending = await medians(
      {
        ms: async () => {
          for (let i = 0; i < SPENDS; i++) await points.spend(spender, 2);
        },
      },
      MEMORY_BUDGET_MS,
    );
    console.table([
      {
        'request without, ms': figure(ms.without / ROUND),
        'with, ms': figure(ms.with / ROUND),
        'one spending from memory, µs': figure((1000 * spending.ms) / SPENDS),
        ratio: `${(ms.with / ms.without).toFixed(3)} ×`,
        [`statements for the first ${REQUESTS}`]: statements,
      },
    ]);
  } finally {
    await stop();
  }
}

/** Two replicas, each with connections of its own, spend one tenant's points as fast as they can. */
async function race(databaseUrl: string): Promise<void> {
  const databases = [openDatabase(databaseUrl, 5), openDatabase(databaseUrl, 5)];
  try {
    const now = new Date(); // the clock stands still: one window is what is raced for
    const replicas = databases.map((database) => new PointBudget({ database, now: () => now }));
    const model = { sha256: '', towerHash: '', imageEncoder: '', textEncoder: '', layers: 1, heads: 1, tokens: 1 };
    const { tenant } = await createTenant({ database: databases[0]!, now: () => now, baseModel: model }, null, 'race');
    const spender: Spender = {
      ...{ id: tenant.id, pointsPerMinute: null },
      tenant: { id: tenant.id, pointsPerMinute: RACE_LIMIT },
    };
    leases = 0;
    const begun = performance.now();
    const spends = Array.from({ length: RACE_SPENDS }, (_, i) => replicas[i % 2]!.spend(spender, RACE_COST));
    const outcomes = await Promise.allSettled(spends);
    const paid = outcomes.filter(({ status }) => status === 'fulfilled').length;
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected' && !(outcome.reason instanceof PointsError)) throw outcome.reason;
    }
    console.table([
      {
        'spends at once': RACE_SPENDS,
        'points each': RACE_COST,
        limit: RACE_LIMIT,
        'points spent': paid * RACE_COST,
        statements: leases,
        ms: figure(performance.now() - begun),
      },
    ]);
    if (paid * RACE_COST > RACE_LIMIT) throw new Error('More was spent than there was.');
  } finally {
    await Promise.all(databases.map((database) => database.$disconnect()));
  }
}
