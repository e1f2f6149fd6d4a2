/** What the migrations made, read from PostgreSQL's own catalog: Prisma sees neither policies nor checks. */
import pg from 'pg';
import { prepareDatabase } from '../../src/database/client.ts';
import { serviceUrl } from '../../src/database/serviceRole.ts';
import { copyDatabase, dropDatabase } from '../support/database.ts';
import { schemaDrift } from '../support/schemaDrift.ts';

let ownerUrl: string;
let owner: pg.Client;

beforeAll(async () => {
  ownerUrl = await copyDatabase();
  await prepareDatabase(ownerUrl);
  owner = new pg.Client({ connectionString: ownerUrl });
  await owner.connect();
});
afterAll(async () => {
  await owner.end();
  await dropDatabase(ownerUrl);
});

/** How PostgreSQL writes down who asks: in a query of its own, so that it is asked once and not once a row. */
const ME = '( SELECT app_user() AS app_user)';

const TABLES = `
  SELECT c.oid, c.relname AS name, c.relrowsecurity AS enabled, c.relforcerowsecurity AS forced,
    pg_get_userbyid(c.relowner) AS owner
  FROM pg_class c
  WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND c.relname <> '_prisma_migrations'`;

describe('every table', () => {
  it("has row-level security that holds for its owner too: the tenant's rows, and of a person's only their own", async () => {
    const { rows } = await owner.query<{ name: string; enabled: boolean; forced: boolean; policies: string[] }>(
      `SELECT t.name, t.enabled, t.forced,
         array_agg(
           format('%s %s %s', p.permissive, p.cmd, concat_ws(' CHECK ', p.qual, p.with_check))
           ORDER BY p.policyname = 'tenant' DESC, p.policyname
         ) AS policies
       FROM (${TABLES}) t LEFT JOIN pg_policies p ON p.tablename = t.name
       GROUP BY t.name, t.enabled, t.forced ORDER BY t.name`,
    );
    const tenant =
      "PERMISSIVE ALL (tenant_id = (NULLIF(current_setting('app.tenant_id'::text, true), ''::text))::uuid)";
    const beside = (qualifier: string) => `RESTRICTIVE ALL ((${ME} IS NULL) OR ${qualifier})`;
    const tenantsOwn = `RESTRICTIVE ALL (${ME} IS NULL)`;
    const onlyRead = [
      `RESTRICTIVE DELETE (${ME} IS NULL)`,
      `RESTRICTIVE INSERT (${ME} IS NULL)`,
      `RESTRICTIVE UPDATE true CHECK (${ME} IS NULL)`,
    ];
    const personsOwn = beside(`(user_id = ${ME})`);
    const ofVisibleImage = (table: string) =>
      beside(
        `(EXISTS ( SELECT\n   FROM images\n  WHERE ((images.tenant_id = ${table}.tenant_id) AND (images.id = ${table}.image_id)))))`,
      ).slice(0, -1);
    expect(
      Object.fromEntries(rows.map(({ name, policies: [first, ...rest] }) => [name, [first === tenant, ...rest]])),
    ).toEqual({
      api_keys: [true, tenantsOwn],
      audit_addresses: [true, tenantsOwn],
      audit_events: [true, tenantsOwn],
      comparison_others: [
        true,
        beside(
          '(EXISTS ( SELECT\n   FROM comparisons\n  WHERE ((comparisons.tenant_id = comparison_others.tenant_id) AND (comparisons.id = comparison_others.comparison_id)))))',
        ).slice(0, -1),
      ],
      comparisons: [true, personsOwn],
      embeddings: [true, ofVisibleImage('embeddings'), ...onlyRead],
      erasures: [true, tenantsOwn],
      exposures: [true, personsOwn],
      feedback: [
        true,
        beside(
          `((user_id = ${ME}) AND (EXISTS ( SELECT\n   FROM images\n  WHERE ((images.tenant_id = feedback.tenant_id) AND (images.id = feedback.image_id))))))`,
        ).slice(0, -1),
      ],
      files_to_erase: [true, tenantsOwn],
      idempotency_keys: [true, beside(`(asker = ${ME})`)],
      images: [true, beside(`(owner_id IS NULL) OR (owner_id = ${ME})`), ...onlyRead],
      item_vectors: [true, ofVisibleImage('item_vectors'), ...onlyRead],
      models: [true, ...onlyRead],
      point_leases: [true, tenantsOwn],
      profiles: [true, personsOwn],
      recommendation_lists: [true, personsOwn],
      shadows: [true, ...onlyRead],
      tenants: [true, "PERMISSIVE SELECT (current_setting('app.operator'::text, true) = 'on'::text)", ...onlyRead],
      token_exemplars: [true, ofVisibleImage('token_exemplars'), ...onlyRead],
      training_jobs: [true, tenantsOwn],
      training_losses: [true, tenantsOwn],
      training_people: [true, tenantsOwn],
      users: [true, beside(`(id = ${ME})`)],
    });
    for (const { name, enabled, forced } of rows)
      expect({ name, enabled, forced }).toEqual({ name, enabled: true, forced: true });
  });

  it('of what was done can be added to by the service and not changed', async () => {
    const role = decodeURIComponent(new URL(serviceUrl(ownerUrl)).username);
    for (const table of ['audit_events', 'erasures']) {
      const { rows } = await owner.query(
        `SELECT has_table_privilege($1, $2, 'INSERT') AS inserts, has_table_privilege($1, $2, 'UPDATE') AS updates,
           has_any_column_privilege($1, $2, 'UPDATE') AS updates_any, has_table_privilege($1, $2, 'DELETE') AS deletes,
           has_table_privilege($1, $2, 'TRUNCATE') AS truncates`,
        [role, table],
      );
      expect(rows).toEqual([{ inserts: true, updates: false, updates_any: false, deletes: false, truncates: false }]);
    }
  });

  it('has its tenant first in its primary key and in every index', async () => {
    const { rows } = await owner.query<{ name: string; index: string; first: string; primary: boolean }>(
      `SELECT t.name, i.indexrelid::regclass::text AS index, i.indisprimary AS primary,
         pg_get_indexdef(i.indexrelid, 1, true) AS first
       FROM (${TABLES}) t JOIN pg_index i ON i.indrelid = t.oid`,
    );
    for (const { index, first } of rows) expect({ index, first }).toEqual({ index, first: 'tenant_id' });
    const primary = rows.filter((row) => row.primary);
    expect(primary.length).toBe(new Set(rows.map(({ name }) => name)).size);
  });

  it('is pointed at with the tenant in the key', async () => {
    const { rows } = await owner.query<{ definition: string }>(
      `SELECT pg_get_constraintdef(oid) AS definition FROM pg_constraint
       WHERE contype = 'f' AND connamespace = 'public'::regnamespace`,
    );
    for (const { definition } of rows) expect(definition).toMatch(/^FOREIGN KEY \(tenant_id[,)].*\(tenant_id[,)]/);
  });
});

describe('the role that the service connects as', () => {
  it('owns no table, may bypass nothing and is a member of no role', async () => {
    const role = decodeURIComponent(new URL(serviceUrl(ownerUrl)).username);
    const { rows } = await owner.query(
      `SELECT rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication,
         EXISTS (SELECT FROM pg_auth_members WHERE member = r.oid) AS member,
         EXISTS (SELECT FROM pg_class WHERE relowner = r.oid) AS owns,
         has_schema_privilege(r.oid, 'public', 'CREATE') AS creates,
         has_table_privilege(r.oid, '_prisma_migrations', 'SELECT') AS migrates
       FROM pg_roles r WHERE rolname = $1`,
      [role],
    );
    expect(rows).toEqual([
      {
        ...{ rolsuper: false, rolbypassrls: false, rolcreaterole: false, rolcreatedb: false, rolreplication: false },
        ...{ member: false, owns: false, creates: false, migrates: false },
      },
    ]);
  });

  it('is refused where somebody let it bypass', async () => {
    const name = pg.escapeIdentifier(decodeURIComponent(new URL(serviceUrl(ownerUrl)).username));
    await owner.query(`ALTER ROLE ${name} BYPASSRLS`);
    await expect(prepareDatabase(ownerUrl)).rejects.toMatchObject({
      code: 'NOT_READY',
      message: expect.stringMatching(/^The database role test_\w+ may bypass row-level security\. Drop it, or take/),
    });
    await owner.query(`ALTER ROLE ${name} NOBYPASSRLS`);
    await expect(prepareDatabase(ownerUrl)).resolves.toContain('_service');
  });

  it('needs a password in the URL to take its own from, and a database to be named after', () => {
    expect(() => serviceUrl('postgresql://owner@db/palate')).toThrow(
      "DATABASE_URL has no password for owner; the service's own role takes its password from it. Give one.",
    );
    expect(() => serviceUrl('postgresql://owner:secret@db')).toThrow(
      'DATABASE_URL names no database: end it with one, such as /palate.',
    );
  });
});

describe('prisma/schema.prisma', () => {
  it('is what the migrations make', async () => {
    expect(await schemaDrift(ownerUrl)).toBe('-- This is an empty migration.\n');
    await owner.query('ALTER TABLE users ADD shoe_size int');
    expect(await schemaDrift(ownerUrl)).toContain('ALTER TABLE "users" DROP COLUMN "shoe_size"');
  });
});
