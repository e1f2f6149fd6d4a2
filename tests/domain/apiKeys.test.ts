/** Keys: what they look like, whom they let in, and in which words they are turned away. */
import { makeApiKey, revokeApiKey, verifyApiKey } from '../../src/domain/apiKeys.ts';
import type { Caller } from '../../src/domain/credentials.ts';
import { toGlobalId } from '../../src/domain/ids.ts';
import type { KeyRow } from '../../src/domain/knownKeys.ts';
import { newTenant, type TestDatabase, testDatabase } from '../support/database.ts';

let test: TestDatabase;
let tenant: Awaited<ReturnType<typeof newTenant>>;

beforeAll(async () => {
  test = await testDatabase();
  tenant = await newTenant(test.database);
});
afterAll(() => test.close());

const make = (key: Parameters<typeof makeApiKey>[1]) => tenant.run(() => makeApiKey(test.database, key));
const verify = (key: string, now = test.time) => verifyApiKey({ ...test, now: () => now }, key);

describe('an API key', () => {
  it('names its tenant and lets its bearer in with its role', async () => {
    const { apiKey, secret } = await make({ name: 'shop', role: 'SERVICE' });
    expect(secret).toMatch(new RegExp(`^plt_${tenant.id.replaceAll('-', '')}_[A-Za-z0-9_-]{32}$`));
    expect(await verify(secret)).toEqual({
      role: 'SERVICE',
      tenant: { id: tenant.id, pointsPerMinute: 600_000 },
      ...{ id: apiKey.id, actor: 'shop', userId: null, pointsPerMinute: null, expiresAt: null },
    });
    expect(await verify(tenant.adminKey)).toMatchObject({ role: 'ADMIN' });
    expect(await verify(tenant.serviceKey)).toMatchObject({ role: 'SERVICE' });
  });

  it('is known where keys of many tenants are shown at once', async () => {
    const tenants = await Promise.all([1, 2, 3].map(() => newTenant(test.database)));
    const credentials = await Promise.all(tenants.map(({ adminKey }) => verify(adminKey)));
    expect(credentials.map((credential) => credential.tenant.id)).toEqual(tenants.map(({ id }) => id));
  });

  it('is not kept: its row holds its beginning and a hash', async () => {
    const { apiKey, secret } = await make({ name: 'kept', role: 'ADMIN' });
    const row = await tenant.run(() => test.database.apiKey.findFirstOrThrow({ where: { id: apiKey.id } }));
    expect(secret.startsWith(row.prefix)).toBe(true);
    expect(secret.length - row.prefix.length).toBe(28);
    expect(row.secretSha256).toHaveLength(32);
  });

  it.each(['', 'plt_', 'Bearer x', `plt_${'0'.repeat(32)}_short`, `plt_${'g'.repeat(32)}_${'a'.repeat(32)}`])(
    'that is malformed (%j) is told what one looks like',
    async (key) => {
      await expect(verify(key)).rejects.toMatchObject({
        code: 'UNAUTHENTICATED',
        message: 'This is no API key: one reads plt_<tenant>_<secret>. Copy it whole.',
      });
    },
  );

  it('of a tenant that never was is refused in the same words as a wrong secret', async () => {
    const refusal = {
      code: 'UNAUTHENTICATED',
      message: 'This API key is not known. Ask an ADMIN of the tenant for another.',
    };
    await expect(verify(`plt_${'0'.repeat(32)}_${'a'.repeat(32)}`)).rejects.toMatchObject(refusal);
    const other = await newTenant(test.database);
    const secret = tenant.adminKey.slice(-32);
    await expect(verify(`plt_${tenant.id.replaceAll('-', '')}_${'a'.repeat(32)}`)).rejects.toMatchObject(refusal);
    await expect(verify(`plt_${other.id.replaceAll('-', '')}_${secret}`)).rejects.toMatchObject(refusal);
  });

  it('is refused once it has expired or was revoked, and told when', async () => {
    const expiresAt = new Date(test.time.getTime() + 1000);
    const { secret, apiKey } = await make({ name: 'short', role: 'SERVICE', expiresAt });
    await expect(verify(secret)).resolves.toBeDefined();
    await expect(verify(secret, expiresAt)).rejects.toMatchObject({
      code: 'UNAUTHENTICATED',
      message: `The API key "short" expired at ${expiresAt.toISOString()}.`,
    });
    await tenant.run(() =>
      test.database.apiKey.updateMany({ where: { id: apiKey.id }, data: { revokedAt: test.time } }),
    );
    test.knownKeys.forgetTenant(tenant.id);
    await expect(verify(secret)).rejects.toMatchObject({
      code: 'UNAUTHENTICATED',
      message: `The API key "short" was revoked at ${test.time.toISOString()}.`,
    });
  });

  it('is known for a while, and of no use from the moment it is revoked', async () => {
    const { secret, apiKey } = await make({ name: 'busy', role: 'SERVICE' });
    const other = await newTenant(test.database);
    await Promise.all([verify(secret), verify(other.serviceKey)]);
    await tenant.run(() => test.database.apiKey.updateMany({ where: { id: apiKey.id }, data: { name: 'renamed' } }));
    expect(await verify(secret)).toMatchObject({ actor: 'busy' });
    const admin: Caller = { credential: await verify(tenant.adminKey), address: '127.0.0.1', requestId: 'r' };
    await tenant.run(() => revokeApiKey(test, admin, toGlobalId('ApiKey', apiKey.id)));
    await expect(verify(secret)).rejects.toThrow('The API key "renamed" was revoked at');
    expect(await verify(other.serviceKey)).toMatchObject({ role: 'SERVICE' });
  });

  it('that was being read while it was revoked is not kept as it was', async () => {
    const hash = Uint8Array.of(7);
    const row = { revokedAt: null } as KeyRow;
    const revoked = { revokedAt: test.time } as KeyRow;
    const read = test.knownKeys.get(tenant.id, hash, async () => {
      test.knownKeys.forgetTenant(tenant.id);
      return row;
    });
    expect(await read).toBe(row);
    expect(await test.knownKeys.get(tenant.id, hash, async () => revoked)).toBe(revoked);
    expect(await test.knownKeys.get(tenant.id, hash, async () => row)).toBe(revoked);
  });

  it('notes when it was last used, to the minute', async () => {
    const { secret, apiKey } = await make({ name: 'used', role: 'SERVICE' });
    const lastUsedAt = async () =>
      (await tenant.run(() => test.database.apiKey.findFirstOrThrow({ where: { id: apiKey.id } }))).lastUsedAt;
    const at = (seconds: number) => new Date(test.time.getTime() + seconds * 1000);
    await verify(secret, at(0));
    await verify(secret, at(59));
    expect(await lastUsedAt()).toEqual(at(0));
    await verify(secret, at(60));
    expect(await lastUsedAt()).toEqual(at(60));
  });
});

describe('a new tenant', () => {
  it('begins with the base model in service, as version 0', async () => {
    const models = await tenant.run(() => test.database.model.findMany());
    expect(models).toMatchObject([{ version: 0, status: 'ACTIVE', sha256: 'a'.repeat(64), tower: 'b'.repeat(64) }]);
  });
});
