/**
 * Prisma's PostgreSQL adapter, told for whom each transaction is: a tenant, one person of it, or an operator. It comes
 * from the surrounding session (AsyncLocalStorage) and is set for one transaction only, so that a connection goes back
 * to the pool knowing nobody. A query outside of a session throws before it is sent. It knows no table.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { createHash } from 'node:crypto';
import { PrismaPg } from '@prisma/adapter-pg';
import type {
  IsolationLevel,
  SqlDriverAdapter,
  SqlDriverAdapterFactory,
  SqlQuery,
  SqlResultSet,
  Transaction,
} from '@prisma/driver-adapter-utils';
import type { PoolConfig } from 'pg';
import { PalateError } from '../errors.ts';
import { SET_SETTINGS, SessionPool, type Settings } from './sessionPool.ts';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** For whom the policies of the tables let rows through. */
interface Session {
  readonly tenantId: string;
  /** The person, where one asks for themself; null for the tenant's own programs. */
  readonly userId: string | null;
  /** True for an operator, who sees which tenants there are. */
  readonly operator: boolean;
}

const sessions = new AsyncLocalStorage<Session>();

/** The tenant that never was: operators' keys are kept under it, and who asks for its rows asks for nobody's. */
export const NO_TENANT = '00000000-0000-0000-0000-000000000000';

/**
 * Runs `work` for one tenant, whoever asked for it: within a person's session it leaves that person's bounds. All that
 * it awaits sees that tenant's rows and no other's; it must await its queries, since Prisma sends a query only when it
 * is awaited.
 */
export function withTenant<T>(tenantId: string, work: () => Promise<T>): Promise<T> {
  return inSession({ tenantId, userId: null, operator: false }, work);
}

/** Runs `work` for one person of a tenant: it sees their own rows, and of the tenant's what is nobody's. */
export function withPerson<T>(tenantId: string, userId: string, work: () => Promise<T>): Promise<T> {
  return inSession({ tenantId, userId, operator: false }, work);
}

/** Runs `work` for an operator: it sees the rows of `tenants`, and operators' keys. */
export function withOperator<T>(work: () => Promise<T>): Promise<T> {
  return inSession({ tenantId: NO_TENANT, userId: null, operator: true }, work);
}

function inSession<T>(session: Session, work: () => Promise<T>): Promise<T> {
  for (const id of [session.tenantId, session.userId ?? NO_TENANT]) {
    if (!UUID.test(id)) throw new PalateError('INTERNAL_SERVER_ERROR', `"${id}" is no id of a tenant or a person.`);
  }
  return sessions.run(session, async () => await work());
}

function currentSession(): Session {
  const session = sessions.getStore();
  if (session !== undefined) return session;
  throw new PalateError('INTERNAL_SERVER_ERROR', 'A query was made for no tenant: wrap it in withTenant(tenantId, …).');
}

/** The tenant of the surrounding session. Throws INTERNAL_SERVER_ERROR outside of one. */
export function currentTenant(): string {
  return currentSession().tenantId;
}

/** The person whose session it is; null in a tenant's. Throws INTERNAL_SERVER_ERROR outside of one. */
export function currentPerson(): string | null {
  return currentSession().userId;
}

/** Names the surrounding session: queries of one name see the same rows. Throws INTERNAL_SERVER_ERROR outside of one. */
export function currentSessionName(): string {
  return settingsOf(currentSession()).join(' ');
}

/** What Prisma is given to connect with. */
export function tenantAdapter(options: PoolConfig): SqlDriverAdapterFactory {
  const pool = new SessionPool(options, () => settingsOf(currentSession()));
  const inner = new PrismaPg(pool, {
    statementNameGenerator: statementName,
    disposeExternalPool: true,
    onPoolError: () => {}, // an idle connection that broke is replaced; a query on it fails by itself
  });
  return {
    provider: inner.provider,
    adapterName: inner.adapterName,
    connect: async () => new TenantAdapter(await inner.connect()),
  };
}

class TenantAdapter implements SqlDriverAdapter {
  readonly provider = 'postgres';
  readonly adapterName: string;
  readonly #inner: SqlDriverAdapter;

  constructor(inner: SqlDriverAdapter) {
    this.#inner = inner;
    this.adapterName = inner.adapterName;
  }

  /** One query, in a transaction of its own that the pool makes of it. */
  queryRaw(query: SqlQuery): Promise<SqlResultSet> {
    return this.#inner.queryRaw(query);
  }

  executeRaw(query: SqlQuery): Promise<number> {
    return this.#inner.executeRaw(query);
  }

  /** Never called for a tenant: scripts are migrations, and the service runs none. */
  executeScript(): Promise<void> {
    throw new PalateError('INTERNAL_SERVER_ERROR', 'The service runs no scripts; migrations run as the owner.');
  }

  async startTransaction(isolationLevel?: IsolationLevel): Promise<Transaction> {
    const session = currentSession();
    const transaction = await this.#inner.startTransaction(isolationLevel);
    try {
      await transaction.executeRaw(setSession(session));
      return transaction;
    } catch (error) {
      await end(transaction, 'ROLLBACK');
      throw error;
    }
  }

  getConnectionInfo() {
    return this.#inner.getConnectionInfo?.() ?? { supportsRelationJoins: true };
  }

  dispose(): Promise<void> {
    return this.#inner.dispose();
  }
}

/** The adapter leaves the statement to its caller and only hands the connection back. */
async function end(transaction: Transaction, how: 'COMMIT' | 'ROLLBACK'): Promise<void> {
  try {
    await transaction.executeRaw({ sql: how, args: [], argTypes: [] });
  } finally {
    await (how === 'COMMIT' ? transaction.commit() : transaction.rollback());
  }
}

/** The settings that the policies read. Ids are checked above; bound as parameters all the same. */
const settingsOf = ({ tenantId, userId, operator }: Session): Settings => [
  tenantId,
  userId ?? '',
  operator ? 'on' : '',
];

const setSession = (session: Session): SqlQuery => ({
  sql: SET_SETTINGS,
  args: [...settingsOf(session)],
  argTypes: Array.from({ length: 3 }, () => ({ scalarType: 'string', arity: 'scalar' })),
});

/** A query with more has a list spelled out in it, and its text changes with the length of the list. */
const MOST_ARGUMENTS = 20;
/**
 * Names make PostgreSQL keep a statement prepared, which doubles throughput. Each connection keeps every name it has
 * seen, so texts that vary without end (lists spelled out) must not each get one: only the first some hundred do.
 */
const MOST_STATEMENTS = 500;
const statementNames = new Map<string, string>();

function statementName({ sql, args }: SqlQuery): string {
  if (args.length > MOST_ARGUMENTS) return '';
  const known = statementNames.get(sql);
  if (known !== undefined) return known;
  if (statementNames.size >= MOST_STATEMENTS) return '';
  const name = `p${createHash('sha256').update(sql).digest('hex').slice(0, 32)}`;
  statementNames.set(sql, name);
  return name;
}
