/**
 * Every table as the service's role meets it, by plain PostgreSQL: for nobody, for the wrong tenant, for the right one,
 * for one person of it and for an operator. Then each policy is broken, and the same check must find the leak.
 */
import pg from 'pg';
import { NO_TENANT, prepareDatabase } from '../../src/database/client.ts';
import { serviceRoleName } from '../../src/database/serviceRole.ts';
import { copyDatabase, dropDatabase } from '../support/database.ts';
import { OTHER_TENANT, P, Q, TENANT, writeRows } from './policyRows.ts';

/** Who sees and writes which rows of a table: N nobody's, P and Q those of the two people. */
interface Expected {
  /** The column that says whose a row is; none where all are the tenant's own. */
  readonly whose?: string;
  readonly tenant: string;
  readonly P: string;
  readonly Q: string;
  /** What an operator sees; nothing, if left out, and writes nothing in either case. */
  readonly operator?: string;
  /** A person's session reads what it sees, and writes none of it. */
  readonly readByPeople?: boolean;
  /** The service's role may add rows, and change and delete none. */
  readonly addedToOnly?: boolean;
}

const TABLES: Readonly<Record<string, Expected>> = {
  // A person's own.
  users: { whose: 'id', tenant: 'PQ', P: 'P', Q: 'Q' },
  feedback: { whose: 'user_id', tenant: 'PQ', P: 'P', Q: 'Q' },
  comparisons: { whose: 'user_id', tenant: 'PQ', P: 'P', Q: 'Q' },
  comparison_others: { whose: 'comparison_id', tenant: 'PQ', P: 'P', Q: 'Q' },
  profiles: { whose: 'user_id', tenant: 'PQ', P: 'P', Q: 'Q' },
  recommendation_lists: { whose: 'user_id', tenant: 'PQ', P: 'P', Q: 'Q' },
  exposures: { whose: 'user_id', tenant: 'PQ', P: 'P', Q: 'Q' },
  idempotency_keys: { whose: 'asker', tenant: 'NPQ', P: 'P', Q: 'Q' },
  // Pictures: nobody's are everybody's.
  images: { whose: 'id', tenant: 'NPQ', P: 'NP', Q: 'NQ', readByPeople: true },
  embeddings: { whose: 'image_id', tenant: 'NPQ', P: 'NP', Q: 'NQ', readByPeople: true },
  item_vectors: { whose: 'image_id', tenant: 'NPQ', P: 'NP', Q: 'NQ', readByPeople: true },
  token_exemplars: { whose: 'image_id', tenant: 'NPQ', P: 'NP', Q: 'NQ', readByPeople: true },
  // What scoring a person's request reads of the tenant.
  tenants: { tenant: 'N', P: 'N', Q: 'N', operator: 'N', readByPeople: true },
  models: { tenant: 'N', P: 'N', Q: 'N', readByPeople: true },
  shadows: { tenant: 'N', P: 'N', Q: 'N', readByPeople: true },
  // The tenant's own business.
  api_keys: { tenant: 'N', P: '', Q: '' },
  point_leases: { tenant: 'N', P: '', Q: '' },
  audit_events: { tenant: 'N', P: '', Q: '', addedToOnly: true },
  audit_addresses: { tenant: 'N', P: '', Q: '' },
  erasures: { tenant: 'N', P: '', Q: '', addedToOnly: true },
  files_to_erase: { tenant: 'N', P: '', Q: '' },
  training_jobs: { tenant: 'N', P: '', Q: '' },
  training_losses: { tenant: 'N', P: '', Q: '' },
  training_people: { whose: 'user_id', tenant: 'PQ', P: '', Q: '' },
};

/** For whom a transaction is begun: what the service sets in it (tenantAdapter.ts). */
const SESSIONS: Readonly<Record<string, readonly [tenant: string, person: string, operator: string]>> = {
  nobody: ['', '', ''],
  'the wrong tenant': [OTHER_TENANT, '', ''],
  "the wrong tenant's person": [OTHER_TENANT, P, ''],
  'the tenant': [TENANT, '', ''],
  P: [TENANT, P, ''],
  Q: [TENANT, Q, ''],
  'an operator': [NO_TENANT, '', 'on'],
};

/** What was let through, by operation: the rows, each by whose it is. MOVE is to the other tenant. */
type Seen = Record<'SELECT' | 'INSERT' | 'UPDATE' | 'DELETE' | 'MOVE', string>;

let ownerUrl: string;
let owner: pg.Client;
let service: pg.Client;
/** The rows of the tenant, by table, as JSON. */
const rows = new Map<string, { row: string; whose: string }[]>();

beforeAll(async () => {
  ownerUrl = await copyDatabase();
  const url = await prepareDatabase(ownerUrl);
  [owner, service] = [new pg.Client({ connectionString: ownerUrl }), new pg.Client({ connectionString: url })];
  await Promise.all([owner.connect(), service.connect()]);
  await writeRows(owner);
  for (const table of Object.keys(TABLES)) {
    const found = await owner.query(
      `SELECT to_jsonb(${table}) AS row, ${whoseOf(table)} AS whose FROM ${table} WHERE tenant_id = $1`,
      [TENANT],
    );
    rows.set(table, found.rows);
  }
});
afterAll(async () => {
  await Promise.all([owner.end(), service.end()]);
  await dropDatabase(ownerUrl);
});

/** What a row meets that no policy has kept back. */
const LET_THROUGH = 'let through';

/** N, P or Q, from the first digit of the id. */
const whoseOf = (table: string) =>
  `translate(left(coalesce(${TABLES[table]!.whose ?? 'NULL'}::text, '0'), 1), '012', 'NPQ')`;

/** What a table should let through in a session. */
function expected(table: string, session: string): Seen {
  const { tenant, P: ofP, Q: ofQ, operator = '', addedToOnly = false, readByPeople = false } = TABLES[table]!;
  const seen = { 'the tenant': tenant, P: ofP, Q: ofQ }[session] ?? '';
  const written = readByPeople && session !== 'the tenant' ? '' : seen;
  const changed = addedToOnly ? '' : written;
  const selected = session === 'an operator' ? operator : seen;
  return { SELECT: selected, INSERT: written, UPDATE: changed, DELETE: changed, MOVE: '' };
}

/** What the table lets through, tried within the client's transaction, which is as it was afterwards. */
async function observe(client: pg.Client, table: string, session: string): Promise<Seen> {
  const [tenant, person, operator] = SESSIONS[session]!;
  await client.query(
    `SELECT set_config('app.tenant_id', $1, true), set_config('app.user_id', $2, true), set_config('app.operator', $3, true)`,
    [tenant, person, operator],
  );
  const whose = whoseOf(table);
  const attempt = async (statement: string, values: unknown[]): Promise<string> => {
    await client.query('SAVEPOINT attempt');
    try {
      const found = await client.query<{ whose: string }>(statement, values);
      return found.rows
        .map((row) => row.whose)
        .sort()
        .join('');
    } catch (error) {
      const { code } = error as pg.DatabaseError;
      if (code === '42501') return ''; // a policy, or no permission
      if (code?.startsWith('23')) return LET_THROUGH; // a key or a reference is checked after the policies
      throw error;
    } finally {
      await client.query('ROLLBACK TO SAVEPOINT attempt');
    }
  };
  const inserted: string[] = [];
  for (const { row, whose: of } of rows.get(table)!) {
    const statement = `INSERT INTO ${table} SELECT * FROM jsonb_populate_record(NULL::${table}, $1)`;
    if ((await attempt(statement, [row])) === LET_THROUGH) inserted.push(of);
  }
  const where = `WHERE tenant_id = $1 RETURNING ${whose} AS whose`;
  return {
    SELECT: await attempt(`SELECT ${whose} AS whose FROM ${table} WHERE tenant_id = $1`, [TENANT]),
    INSERT: inserted.sort().join(''),
    UPDATE: await attempt(`UPDATE ${table} SET tenant_id = tenant_id ${where}`, [TENANT]),
    DELETE: await attempt(`DELETE FROM ${table} ${where}`, [TENANT]),
    MOVE: await attempt(`UPDATE ${table} SET tenant_id = '${OTHER_TENANT}' ${where}`, [TENANT]),
  };
}

/** What the table lets through beyond what it should, or keeps back, in every session. */
async function faults(client: pg.Client, table: string): Promise<string[]> {
  const found: string[] = [];
  for (const session of Object.keys(SESSIONS)) {
    const seen = await observe(client, table, session);
    const wanted = expected(table, session);
    for (const operation of Object.keys(wanted) as (keyof Seen)[]) {
      if (seen[operation] === wanted[operation]) continue;
      found.push(`${operation} for ${session} on ${table}: "${seen[operation]}" instead of "${wanted[operation]}"`);
    }
  }
  return found;
}

it('every table has its line here, and rows to try it with', async () => {
  const { rows: tables } = await owner.query<{ name: string }>(
    `SELECT relname AS name FROM pg_class
     WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND relname <> '_prisma_migrations'`,
  );
  for (const { name } of tables) {
    if (!(name in TABLES))
      throw new Error(`Nobody has said who sees ${name}: add its line to TABLES, and rows to policyRows.ts.`);
  }
  expect(Object.keys(TABLES).sort()).toEqual(tables.map(({ name }) => name).sort());
  for (const [table, { tenant }] of Object.entries(TABLES)) {
    expect([
      table,
      rows
        .get(table)!
        .map(({ whose }) => whose)
        .sort()
        .join(''),
    ]).toEqual([table, tenant]);
  }
});

it.each(Object.keys(TABLES))('%s lets through what it should, and no more', async (table) => {
  await service.query('BEGIN');
  expect(await faults(service, table)).toEqual([]);
  await service.query('ROLLBACK');
});

describe('the check finds the leak', () => {
  /** Runs the check as the service's role within the owner's transaction, after `statement`, and undoes it. */
  async function faultsAfter(table: string, statement: string): Promise<string[]> {
    const role = pg.escapeIdentifier(serviceRoleName(new URL(ownerUrl).pathname.slice(1)));
    await owner.query('BEGIN');
    try {
      await owner.query(statement);
      await owner.query(`SET LOCAL ROLE ${role}`);
      return await faults(owner, table);
    } finally {
      await owner.query('ROLLBACK');
    }
  }

  it.each(Object.keys(TABLES))('where a policy of %s is broken', async (table) => {
    expect(await faultsAfter(table, 'SELECT 1')).toEqual([]);
    const { rows: policies } = await owner.query<{ name: string; permissive: boolean }>(
      `SELECT policyname AS name, permissive = 'PERMISSIVE' AS permissive FROM pg_policies WHERE tablename = $1`,
      [table],
    );
    expect(policies.map(({ name }) => name)).toContain('tenant');
    for (const { name, permissive } of policies) {
      const broken = permissive ? `ALTER POLICY ${name} ON ${table} USING (true)` : `DROP POLICY ${name} ON ${table}`;
      const found = await faultsAfter(table, broken);
      expect([broken, found.length > 0]).toEqual([broken, true]);
      const operation = /^person_(\w+)$/.exec(name)?.[1]?.toUpperCase() ?? 'SELECT';
      expect([broken, found.some((fault) => fault.startsWith(`${operation} for`))]).toEqual([broken, true]);
    }
    expect(await faultsAfter(table, `ALTER TABLE ${table} DISABLE ROW LEVEL SECURITY`)).toContain(
      `SELECT for nobody on ${table}: "${TABLES[table]!.tenant}" instead of ""`,
    );
  });

  it.each(['audit_events', 'erasures'])('where the role may change %s', async (table) => {
    const role = pg.escapeIdentifier(serviceRoleName(new URL(ownerUrl).pathname.slice(1)));
    const found = await faultsAfter(table, `GRANT UPDATE, DELETE ON ${table} TO ${role}`);
    expect(found).toContain(`DELETE for the tenant on ${table}: "N" instead of ""`);
  });
});
