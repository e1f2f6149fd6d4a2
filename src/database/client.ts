/**
 * The way to the rows: Prisma's client over a connection that may see one tenant at a time. It knows how to reach
 * the tables, not what is in them.
 */
import pg from 'pg';
import { PalateError } from '../errors.ts';
import { PrismaClient } from './generated/client.ts';
import { migrate, readMigrations } from './migrations.ts';
import { prepareServiceRole, serviceUrl } from './serviceRole.ts';
import { currentTenant, tenantAdapter, withTenant } from './tenantAdapter.ts';

export { Prisma } from './generated/client.ts';
export type * from './generated/client.ts';
export { currentTenant, withTenant };

/** What queries are made on: the client, or a transaction of it. */
export type Queries = Omit<PrismaClient, '$connect' | '$disconnect' | '$on' | '$transaction' | '$extends'>;

export interface Database {
  /** Each query in a transaction of its own. Only within `withTenant`. */
  readonly queries: Queries;
  /** All queries of `work` in one transaction; what it throws undoes them. Only within `withTenant`. */
  transaction<T>(work: (queries: Queries) => Promise<T>): Promise<T>;
  /** Resolves where the database answers. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

/** A transaction that takes longer holds rows that others wait for; 500 judgements take some 50 ms. */
const TRANSACTION_TIMEOUT_MS = 30_000;
/** How long a request waits for a free connection before it is told that the service is overloaded. */
const CONNECTION_WAIT_MS = 10_000;

/**
 * Connects as the service's role. `url` is that of `prepareDatabase`.
 * @param connections the most connections held at once
 */
export function openDatabase(url: string, connections = 10): Database {
  const pool = new pg.Pool({
    connectionString: url,
    max: connections,
    connectionTimeoutMillis: CONNECTION_WAIT_MS,
    application_name: 'palate',
  });
  pool.on('error', () => {}); // an idle connection that broke is replaced; a query on it fails by itself
  const client = new PrismaClient({
    adapter: tenantAdapter(pool),
    transactionOptions: { timeout: TRANSACTION_TIMEOUT_MS, maxWait: CONNECTION_WAIT_MS },
  });
  return {
    queries: client,
    async transaction(work) {
      currentTenant();
      return client.$transaction((queries) => work(queries));
    },
    async ping() {
      await pool.query('SELECT 1');
    },
    async close() {
      await client.$disconnect();
      await pool.end();
    },
  };
}

/**
 * Migrates the database as its owner and makes the service's role; returns the URL to open it with.
 * Throws NOT_READY where the database does not answer or cannot be migrated.
 */
export async function prepareDatabase(ownerUrl: string): Promise<string> {
  const url = serviceUrl(ownerUrl);
  const owner = new pg.Client({ connectionString: ownerUrl, application_name: 'palate-migrate' });
  await owner.connect().catch((cause: Error) => {
    throw new PalateError('NOT_READY', `The database does not answer: ${cause.message}. Check DATABASE_URL.`, { cause });
  });
  try {
    await migrate(owner, await readMigrations());
    await prepareServiceRole(owner, ownerUrl);
  } finally {
    await owner.end();
  }
  return url;
}
