/** `palate keys`: the first operator's key, and a tenant's whose own ADMIN has lost theirs. */
import { NO_TENANT } from '../../src/database/client.ts';
import { withTenant } from '../../src/database/tenantAdapter.ts';
import { verifyApiKey } from '../../src/domain/apiKeys.ts';
import { newTenant, type TestDatabase, testDatabase } from '../support/database.ts';
import { palate } from './palate.ts';

let test: TestDatabase;
let tenant: Awaited<ReturnType<typeof newTenant>>;

beforeAll(async () => {
  test = await testDatabase();
  tenant = await newTenant(test.database);
});
afterAll(() => test.close());

const keys = (...args: string[]) => palate(['keys', ...args], { environment: { DATABASE_URL: test.ownerUrl } });

it("makes an operator's key, lists it without its secret, and revokes it", async () => {
  const made = await keys('create', '--operator', '--name', 'ops laptop');
  expect(made).toMatchObject({ status: 0, stderr: 'Key "ops laptop" of role OPERATOR, shown this once:\n' });
  const key = made.stdout.trim();
  expect(key).toMatch(/^plt_0{32}_[A-Za-z0-9_-]{32}$/);
  expect(await verifyApiKey(test, key)).toMatchObject({ role: 'OPERATOR', actor: 'ops laptop' });

  const listed = await keys('list', '--operator');
  expect(listed.stdout).toMatch(
    /^plt_0{32}_.{4} {2}OPERATOR {2}good {2}used 2026-01-01T12:00:00.000Z {2}ops laptop\n$/,
  );
  expect(listed.stdout).not.toContain(key.slice(-28));

  const revoked = await keys('revoke', '--operator', key.slice(0, 41));
  expect(revoked).toMatchObject({ status: 0, stdout: 'Key "ops laptop" is revoked.\n' });
  test.knownKeys.clear();
  await expect(verifyApiKey(test, key)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
  const events = await withTenant(NO_TENANT, () => test.database.auditEvent.findMany({ orderBy: { id: 'asc' } }));
  expect(events.map(({ actor, action }) => [actor, action])).toEqual([
    ['palate keys create', 'createApiKey'],
    ['palate keys revoke', 'revokeApiKey'],
  ]);
});

it("makes a tenant's key, which is not an operator's", async () => {
  const { stdout } = await keys('create', '--tenant', tenant.id, '--role', 'SERVICE', '--name', 'recovered');
  expect(await verifyApiKey(test, stdout.trim())).toMatchObject({
    role: 'SERVICE',
    tenant: { id: tenant.id },
  });
});

it.each([
  [['create', '--name', 'whose'], 'palate: Say whose keys: --operator, or --tenant with its id.\n'],
  [['list', '--tenant', NO_TENANT], `palate: --tenant: there is no tenant ${NO_TENANT}.\n`],
  [['list', '--tenant', 'acme'], 'palate: --tenant acme is no id of a tenant.\n'],
  [['revoke', '--operator', 'plt_9'], 'palate: No key that is not revoked begins with "plt_9".\n'],
])('%j ends with 2 and one line that says why', async (args, stderr) => {
  expect(await keys(...args)).toEqual({ status: 2, stdout: '', stderr });
});

it('says that a prefix which several keys have names none of them', async () => {
  const { status, stderr } = await keys('revoke', '--tenant', tenant.id, 'plt_');
  expect([status, stderr]).toEqual([2, expect.stringMatching(/^palate: \d keys begin with "plt_"\.\n$/)]);
});
