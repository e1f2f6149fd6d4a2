/** Deleting a tenant: nothing of it is left anywhere, another is as it was, and a deletion that was killed goes on. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { NO_TENANT, withTenant } from '../../src/database/client.ts';
import { issueApiKey } from '../../src/domain/apiKeys.ts';
import { toGlobalId } from '../../src/domain/ids.ts';
import { eraseFiles } from '../../src/domain/storedFiles.ts';
import { takePicture } from '../../src/domain/uploads.ts';
import type { FileStore } from '../../src/files/store.ts';
import { newCandidate } from '../support/candidates.ts';
import { picture, type TestService, type TestTenant, testService, unknownId } from './service.ts';

let service: TestService;
let operatorKey: string;
let owner: pg.Client;

beforeAll(async () => {
  service = await testService();
  const doer = { credential: { actor: 'a test' }, address: null, requestId: 'test' };
  const made = await withTenant(NO_TENANT, () =>
    issueApiKey(service.test.database, doer, service.test.time, { name: 'an operator', role: 'OPERATOR' }),
  );
  operatorKey = made.secret;
  owner = new pg.Client({ connectionString: service.test.ownerUrl });
  await owner.connect();
});
afterAll(async () => {
  await owner.end();
  await service.close();
});

const DELETE = `mutation ($id: ID!, $confirmName: String!) {
  deleteTenant(input: { id: $id, confirmName: $confirmName }) { deletedId userErrors { field code message } }
}`;
const remove = async (tenant: TestTenant, confirmName = 'a tenant', key = operatorKey) => {
  const { data, errors } = await tenant.ask(DELETE, { id: toGlobalId('Tenant', tenant.id), confirmName }, key);
  return errors.length > 0 ? errors : data.deleteTenant;
};

/** A tenant with rows in its tables, files, jobs and memory. */
async function filled(): Promise<TestTenant> {
  const tenant = await service.tenant();
  const [ada, bea] = (await tenant.people('ada', 'bea')) as [string, string];
  const [red, green] = [await tenant.upload('#ff0000'), await tenant.upload('#00ff00', { owner: 'ada' })];
  await tenant.encode();
  await tenant.findExemplars();
  await tenant.judge(ada, 'LIKE', red, green);
  await tenant.judge(bea, 'DISLIKE', red);
  await tenant.ask(
    `mutation ($user: ID!, $red: ID!, $green: ID!) {
      submitComparison(input: { user: { id: $user }, chosen: { id: $red }, others: [{ id: $green }], idempotencyKey: "once" }) { comparison { id } }
    }`,
    { user: ada, red, green },
  );
  await tenant.ask(
    '{ users(first: 2) { nodes { recommendations(first: 1) { nodes { value } } similarUsers { nodes { similarity } } } } }',
  );
  await tenant.ask('mutation { createApiKey(input: { name: "k", role: SERVICE }) { secret } }', {}, tenant.adminKey);
  const { data } = await tenant.ask('mutation ($id: ID!) { deleteUser(input: { id: $id }) { deletedId } }', {
    id: bea,
  });
  expect(data.deleteUser.deletedId).toBe(bea);
  const model = await tenant.run(() => newCandidate(service.platform, tenant.id));
  await tenant.run(() => service.platform.networks.of(model));
  return tenant;
}

/** Every table of the database with how many rows it has of the tenant; tables without are left out. */
async function rowsOf({ id }: TestTenant): Promise<Record<string, number>> {
  const { rows: tables } = await owner.query<{ name: string }>(
    `SELECT c.relname AS name FROM pg_class c
     WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND c.relname <> '_prisma_migrations'`,
  );
  const counts: Record<string, number> = {};
  await owner.query('BEGIN');
  await owner.query("SELECT set_config('app.tenant_id', $1, true)", [id]);
  for (const { name } of tables) {
    const { rows } = await owner.query(`SELECT count(*)::int AS count FROM ${name} WHERE tenant_id = $1`, [id]);
    if (rows[0].count > 0) counts[name] = rows[0].count;
  }
  await owner.query('COMMIT');
  const { rows: jobs } = await owner.query('SELECT count(*)::int AS count FROM pgboss.job WHERE data::text LIKE $1', [
    `%${id}%`,
  ]);
  if (jobs[0].count > 0) counts['pgboss.job'] = jobs[0].count;
  return counts;
}

/** Of the pictures and of the models. */
async function filesOf({ id }: TestTenant): Promise<number> {
  let count = 0;
  for (const folder of [service.pictureFolder, service.modelFolder]) {
    count += (await readdir(join(folder, id)).catch(() => [])).length;
  }
  return count;
}
const inMemory = () => {
  const { userStates, profiles, catalogues, candidates } = service.platform;
  return [userStates, profiles, catalogues, candidates].flatMap((memory) => [...memory.heldIds()]);
};

it('leaves no row, no file, no job and nothing in memory, and another tenant as it was', async () => {
  const [tenant, other] = [await filled(), await filled()];
  const before = await rowsOf(tenant);
  expect(Object.keys(before).sort()).toEqual([
    ...['api_keys', 'audit_addresses', 'audit_events', 'comparison_others', 'comparisons', 'embeddings', 'erasures'],
    ...['feedback', 'idempotency_keys', 'images', 'item_vectors', 'models', 'pgboss.job', 'point_leases', 'profiles'],
    ...['recommendation_lists', 'tenants', 'token_exemplars', 'users'],
  ]);
  const [others, otherFiles] = [await rowsOf(other), await filesOf(other)];
  expect(await readdir(join(service.modelFolder, tenant.id))).toHaveLength(1);
  expect(service.platform.networks.size).toBe(2);
  const ids = await tenant.run(async () =>
    [
      ...(await service.platform.database.user.findMany({ select: { id: true } })),
      ...(await service.platform.database.image.findMany({ select: { id: true } })),
    ].map(({ id }) => id),
  );
  expect(inMemory().some((id) => ids.includes(id))).toBe(true);

  expect(await remove(tenant)).toEqual({ deletedId: toGlobalId('Tenant', tenant.id), userErrors: [] });
  expect(await rowsOf(tenant)).toEqual({});
  expect(await filesOf(tenant)).toBe(0);
  expect(service.platform.networks.size).toBe(1); // the other's
  expect(inMemory().filter((id) => ids.includes(id))).toEqual([]);
  expect(await rowsOf(other)).toEqual(others);
  expect(await filesOf(other)).toBe(otherFiles);
  expect((await other.ask('{ users(first: 5) { totalCount } }')).data.users.totalCount).toBe(1);

  const events = await withTenant(NO_TENANT, () =>
    service.platform.database.auditEvent.findMany({ where: { action: 'deleteTenant' } }),
  );
  expect(events.at(-1)).toMatchObject({ actor: 'an operator', subject: toGlobalId('Tenant', tenant.id) });
});

it("makes the tenant's keys ones that are not known", async () => {
  const tenant = await service.tenant();
  await remove(tenant);
  const unknown = await tenant.ask('{ viewer { role } }', {}, `plt_${'0'.repeat(31)}1_${'a'.repeat(32)}`);
  for (const key of [tenant.adminKey, tenant.serviceKey]) {
    const answer = await tenant.ask('{ viewer { role } }', {}, key);
    expect(answer.status).toBe(401);
    const { message, extensions } = answer.errors[0]!;
    expect([message, extensions.code]).toEqual([unknown.errors[0]!.message, 'UNAUTHENTICATED']);
  }
});

it('wants the name to be sure, and says so without a change', async () => {
  const tenant = await filled();
  const before = await rowsOf(tenant);
  expect(await remove(tenant, 'a Tenant')).toEqual({
    deletedId: null,
    userErrors: [
      {
        ...{ field: ['confirmName'], code: 'INVALID' },
        message: 'confirmName is "a Tenant"; it must be the tenant\'s name, as Tenant.name shows it.',
      },
    ],
  });
  expect(await rowsOf(tenant)).toEqual(before);
  expect((await tenant.ask('{ viewer { role } }')).status).toBe(200);
});

it('is NOT_FOUND a second time, for what never was, and for the operators themselves; FORBIDDEN to others', async () => {
  const tenant = await service.tenant();
  await remove(tenant);
  const notFound = {
    deletedId: null,
    userErrors: [{ field: ['id'], code: 'NOT_FOUND', message: 'There is no tenant with this id.' }],
  };
  expect(await remove(tenant)).toEqual(notFound);
  for (const id of [unknownId('Tenant'), toGlobalId('Tenant', NO_TENANT), 'nonsense']) {
    const { data } = await tenant.ask(DELETE, { id, confirmName: 'operators' }, operatorKey);
    expect(data.deleteTenant).toEqual(notFound);
  }
  const other = await service.tenant();
  expect(await remove(other, 'a tenant', other.adminKey)).toMatchObject([{ extensions: { code: 'FORBIDDEN' } }]);
});

it('that is killed half-way lets nobody in, and finishes when it is asked again', async () => {
  const tenant = await filled();
  // As a process leaves it that dies at this table: what came before is committed, what comes after untouched.
  await owner.query(`
    CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'killed'; END $$;
    CREATE TRIGGER die BEFORE DELETE ON images FOR EACH ROW EXECUTE FUNCTION die();`);
  expect(await remove(tenant)).toMatchObject([{ extensions: { code: 'INTERNAL_SERVER_ERROR' } }]);
  await owner.query('DROP TRIGGER die ON images; DROP FUNCTION die');
  const left = await rowsOf(tenant);
  expect(left).toMatchObject({ images: 2, users: 1, tenants: 1 });
  expect(left).not.toHaveProperty('feedback');
  expect((await tenant.ask('{ viewer { role } }')).errors).toMatchObject([{ extensions: { code: 'FORBIDDEN' } }]);

  expect(await remove(tenant)).toMatchObject({ userErrors: [] });
  expect(await rowsOf(tenant)).toEqual({});
  expect(await filesOf(tenant)).toBe(0);
});

it('whose process dies before the files are erased leaves a job that erases them', async () => {
  const tenant = await filled();
  const { pictures } = service.platform;
  const removeTenant = pictures.removeTenant.bind(pictures);
  pictures.removeTenant = () => Promise.reject(new Error('killed'));
  expect(await remove(tenant)).toMatchObject([{ extensions: { code: 'INTERNAL_SERVER_ERROR' } }]);
  pictures.removeTenant = removeTenant;
  expect(await rowsOf(tenant)).toEqual({ 'pgboss.job': 1 });
  expect(await filesOf(tenant)).toBeGreaterThan(0);
  const { rows } = await owner.query(`SELECT name, state::text FROM pgboss.job WHERE singleton_key = $1`, [tenant.id]);
  expect(rows).toEqual([{ name: 'erase', state: 'created' }]);

  await tenant.run(() => eraseFiles(service.platform));
  expect(await filesOf(tenant)).toBe(0);
  expect(await rowsOf(tenant)).toEqual({});
});

it('takes the bytes of an upload with it that was on its way', async () => {
  const tenant = await service.tenant();
  const bytes = await picture('#123123');
  let removed: Promise<unknown> | undefined;
  // The request was let in before; its bytes are stored, and then the tenant goes.
  const pictures = new Proxy(service.platform.pictures, {
    get: (store, name) =>
      name === 'put'
        ? async (...args: Parameters<FileStore['put']>) => {
            await store.put(...args);
            removed ??= remove(tenant);
            await removed;
          }
        : Reflect.get(store, name),
  });
  await expect(tenant.run(() => takePicture({ ...service.platform, pictures }, bytes, {}))).rejects.toThrow();
  expect(await removed).toMatchObject({ userErrors: [] });
  await tenant.run(() => eraseFiles(service.platform));
  expect(await filesOf(tenant)).toBe(0);
  expect(await rowsOf(tenant)).toEqual({});
});

it('takes a model with it that came in at that moment: no file of it is left', async () => {
  const tenant = await filled();
  const before = await filesOf(tenant);
  let removed: Promise<unknown> | undefined;
  await tenant.run(() =>
    newCandidate(service.platform, 'late', {
      also: async () => {
        removed = remove(tenant); // it waits for this row to be there, or not to be
        expect(await filesOf(tenant)).toBe(before + 1);
      },
    }),
  );
  expect(await removed).toMatchObject({ userErrors: [] });
  expect(await filesOf(tenant)).toBe(0);
  expect(await rowsOf(tenant)).toEqual({});
});
