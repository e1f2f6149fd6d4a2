/**
 * A database of its own for a test file: a copy of the run's migrated one (databaseServer.mjs), with the queue, the
 * service's role and a clock that stands still unless the test moves it.
 */
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { type Database, openDatabase, withTenant } from '../../src/database/client.ts';
import { prepareServiceRole, serviceUrl } from '../../src/database/serviceRole.ts';
import { makeApiKey } from '../../src/domain/apiKeys.ts';
import { KnownKeys } from '../../src/domain/knownKeys.ts';
import { Quotas } from '../../src/domain/quotas.ts';
import { type BaseModel, createTenant, type NewTenant } from '../../src/domain/tenants.ts';
import { grantQueue, openQueue, type Queue } from '../../src/queue/queue.ts';

export interface TestDatabase {
  /** As the tables' owner: what a test asserts of the catalog, and backdates. */
  readonly ownerUrl: string;
  /** As the service's role. */
  readonly url: string;
  readonly database: Database;
  readonly queue: Queue;
  readonly quotas: Quotas;
  readonly knownKeys: KnownKeys;
  /** The clock: 2026-01-01, noon, until it is set. */
  time: Date;
  readonly now: () => Date;
  /** Lets go of the connections and drops the database. */
  close(): Promise<void>;
}

/** A model that is on no machine: what a tenant's rows need of one. */
export const TEST_MODEL: BaseModel = {
  sha256: 'a'.repeat(64),
  towerHash: 'b'.repeat(64),
  imageEncoder: 'c'.repeat(64),
  textEncoder: 'd'.repeat(64),
  layers: 3,
  heads: 4,
  tokens: 10,
};

/** Runs one statement as the run's superuser, beside the run's own database: nothing may be in what is being copied. */
async function onServer(statement: string): Promise<void> {
  const url = new URL(serverUrl());
  url.pathname = 'postgres';
  const client = new pg.Client({ connectionString: url.href });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}

function serverUrl(): string {
  const url = process.env['PALATE_TEST_DATABASE_URL'];
  if (!url) throw new Error('jest.config.js starts PostgreSQL for the tests: run them by `npm test`.');
  return url;
}

/** An empty database with every migration, that nothing connects to yet: its owner's URL. */
export async function copyDatabase(): Promise<string> {
  const name = `test_${randomUUID().replaceAll('-', '')}`;
  await onServer(`CREATE DATABASE ${name} TEMPLATE palate`);
  const url = new URL(serverUrl());
  url.pathname = name;
  return url.href;
}

export async function dropDatabase(ownerUrl: string): Promise<void> {
  await onServer(`DROP DATABASE ${new URL(ownerUrl).pathname.slice(1)} WITH (FORCE)`);
}

/** A copy has the tables of what it is a copy of, and a role of its own. */
async function makeServiceRole(ownerUrl: string): Promise<void> {
  const owner = new pg.Client({ connectionString: ownerUrl });
  await owner.connect();
  await prepareServiceRole(owner, ownerUrl);
  await grantQueue(owner);
  await owner.end();
}

/** Opens a fresh database; close it in `afterAll`. */
export async function testDatabase(): Promise<TestDatabase> {
  const ownerUrl = await copyDatabase();
  await makeServiceRole(ownerUrl);
  const url = serviceUrl(ownerUrl);
  const database = openDatabase(url, 5);
  const queue = await openQueue(url, (error) => {
    throw error;
  });
  const self: TestDatabase = {
    ownerUrl,
    url,
    database,
    queue,
    quotas: new Quotas(1_000),
    knownKeys: new KnownKeys(60_000),
    time: new Date('2026-01-01T12:00:00.000Z'),
    now: () => self.time,
    async close() {
      await queue.stop(1);
      await database.$disconnect();
      await dropDatabase(ownerUrl);
    },
  };
  return self;
}

/** A new tenant, and a way to work for it. */
export async function newTenant(
  database: Database,
  model: BaseModel = TEST_MODEL,
): Promise<NewTenant & { id: string; serviceKey: string; run: <T>(work: () => Promise<T>) => Promise<T> }> {
  const made = await createTenant({ database, now: () => new Date(), baseModel: model }, null, 'a tenant');
  const { id } = made.tenant;
  const { secret } = await withTenant(id, () => makeApiKey(database, { name: 'first service', role: 'SERVICE' }));
  return { ...made, id, serviceKey: secret, run: (work) => withTenant(id, work) };
}
