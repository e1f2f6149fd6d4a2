/**
 * The way to the rows: Prisma's client over a connection that may see one tenant at a time. It knows how to reach
 * the tables, not what is in them.
 */
import pg from 'pg';
import { PalateError } from '../errors.ts';
import { Prisma, PrismaClient } from './generated/client.ts';
import { migrate, readMigrations } from './migrations.ts';
import { prepareServiceRole, serviceUrl } from './serviceRole.ts';
import {
  currentPerson,
  currentTenant,
  NO_TENANT,
  tenantAdapter,
  withOperator,
  withPerson,
  withTenant,
} from './tenantAdapter.ts';

export { Prisma } from './generated/client.ts';
export { currentPerson, currentTenant, NO_TENANT, withOperator, withPerson, withTenant };

/**
 * Prisma's client. Every query needs a surrounding `withTenant`, and each outside `$transaction` is a transaction of
 * its own; what is thrown within `$transaction` undoes it.
 */
export type Database = PrismaClient;

/** What queries can be made on: the database, or a transaction of it. */
export type Queries = Prisma.TransactionClient;

/** A transaction that takes longer holds rows that others wait for; 500 judgements take some 50 ms. */
const TRANSACTION_TIMEOUT_MS = 30_000;
/** How long a request waits for a free connection before it fails. */
const CONNECTION_WAIT_MS = 10_000;
/**
 * How long a connection that nobody needs is kept. Opening one takes two processors some 20 ms: closed after seconds,
 * as by default, a moment's crowd would open them all at once, and stand still for half a second over it.
 */
const IDLE_MS = 600_000;

/**
 * Connects as the service's role; `$disconnect` closes every connection.
 * @param url what `prepareDatabase` returned
 * @param connections the most connections held at once
 * @param waitMs how long a query waits for one of them
 */
export function openDatabase(url: string, connections = 10, waitMs = CONNECTION_WAIT_MS): Database {
  const client = new PrismaClient({
    adapter: tenantAdapter({
      connectionString: url,
      max: connections,
      connectionTimeoutMillis: waitMs,
      idleTimeoutMillis: IDLE_MS,
      keepAlive: true,
      application_name: 'palate',
    }),
    transactionOptions: { timeout: TRANSACTION_TIMEOUT_MS, maxWait: waitMs },
  });
  return client.$extends({
    query: { $allModels: { findUnique: refuseFindUnique, findUniqueOrThrow: refuseFindUnique } },
  }) as unknown as Database; // the same but for what it refuses
}

/** Prisma makes one query of all `findUnique`s of a turn of the event loop: of one tenant's, and of all the others'. */
async function refuseFindUnique(): Promise<never> {
  throw new PalateError(
    'INTERNAL_SERVER_ERROR',
    'findUnique is joined with that of other tenants and would look among the rows of one: use findFirst.',
  );
}

/** What a request is told whose transaction waited for a connection in vain; any other error as it is. */
export function asOverloaded(error: unknown): unknown {
  const busy = error instanceof Prisma.PrismaClientKnownRequestError && error.code === BUSY_CODE;
  if (!busy || !error.message.includes(BUSY_WORDS)) return error;
  const message = 'Every connection to the database is in use: send this again in a second.';
  return new PalateError('OVERLOADED', message, { cause: error });
}

/** Prisma has one code for all that befalls a transaction (P2028), and tells them apart by words. */
const BUSY_CODE = 'P2028';
const BUSY_WORDS = 'Unable to start a transaction in the given time';

/** Resolves where the database answers queries. */
export async function ping(database: Database): Promise<void> {
  await withTenant(NO_TENANT, () => database.$queryRaw`SELECT 1`);
}

/**
 * Migrates the database as its owner and makes the service's role; returns the URL to open it with.
 * Throws NOT_READY where the database does not answer or cannot be migrated.
 */
export async function prepareDatabase(ownerUrl: string): Promise<string> {
  const url = serviceUrl(ownerUrl);
  const owner = new pg.Client({ connectionString: ownerUrl, application_name: 'palate-migrate' });
  await owner.connect().catch((cause: Error) => {
    throw new PalateError('NOT_READY', `The database does not answer: ${cause.message}. Check DATABASE_URL.`, {
      cause,
    });
  });
  try {
    await migrate(owner, await readMigrations());
    await prepareServiceRole(owner, ownerUrl);
  } finally {
    await owner.end();
  }
  return url;
}
