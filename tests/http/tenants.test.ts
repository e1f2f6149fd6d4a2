/** Tenants as an operator makes and bounds them, and as their own ADMIN sets them up: keys, settings, audit log. */
import { NO_TENANT, withTenant } from '../../src/database/client.ts';
import { issueApiKey } from '../../src/domain/apiKeys.ts';
import { dropOldAddresses } from '../../src/domain/auditLog.ts';
import { type GraphqlAnswer, picture, type TestService, type TestTenant, testService } from './service.ts';

let service: TestService;
let operatorKey: string;
let tenant: TestTenant;

beforeAll(async () => {
  service = await testService();
  tenant = await service.tenant();
  const doer = { credential: { actor: 'a test' }, address: null, requestId: 'test' };
  const made = await withTenant(NO_TENANT, () =>
    issueApiKey(service.test.database, doer, service.test.time, { name: 'ops', role: 'OPERATOR' }),
  );
  operatorKey = made.secret;
});
afterAll(() => service.close());

const operate = (query: string, variables: object = {}): Promise<GraphqlAnswer> =>
  tenant.ask(query, variables, operatorKey);
const administer = (query: string, variables: object = {}): Promise<GraphqlAnswer> =>
  tenant.ask(query, variables, tenant.adminKey);

const CREATE = `mutation ($name: String!) { createTenant(input: { name: $name }) {
  tenant { id name suspendedAt limits { pointsPerMinute maxImages maxUsers } userCount } adminSecret
  userErrors { field code message }
} }`;
const UPDATE = `mutation ($input: UpdateTenantInput!) { updateTenant(input: $input) {
  tenant { name suspendedAt limits { pointsPerMinute maxImages maxUsers } } userErrors { field code message }
} }`;
const idOf = async ({ ask }: TestTenant) => (await ask('{ viewer { tenant { id } } }')).data.viewer.tenant.id as string;

describe('an operator', () => {
  it('makes a tenant whose first key is an ADMIN’s, and sees how much it holds', async () => {
    const { data } = await operate(CREATE, { name: 'Acme' });
    const { tenant: made, adminSecret, userErrors } = data.createTenant;
    expect(userErrors).toEqual([]);
    expect(made).toMatchObject({
      name: 'Acme',
      suspendedAt: null,
      limits: { pointsPerMinute: 600_000, maxImages: 1_000_000, maxUsers: 1_000_000 },
      userCount: 0,
    });
    const viewer = await tenant.ask('{ viewer { role tenant { id name } } }', {}, adminSecret);
    expect(viewer.data.viewer).toEqual({ role: 'ADMIN', tenant: { id: made.id, name: 'Acme' } });
    const log = await tenant.ask('{ auditLog { nodes { actor action subject } } }', {}, adminSecret);
    expect(log.data.auditLog.nodes).toEqual([{ actor: 'ops', action: 'createTenant', subject: made.id }]);
  });

  it('sees which tenants there are, page by page, and itself among none of them', async () => {
    const seen: string[] = [];
    for (let after: string | null = null; ; ) {
      const { data } = await operate(
        'query ($after: String) { tenants(first: 1, after: $after) { nodes { id userCount imageCount } pageInfo { hasNextPage endCursor } } }',
        { after },
      );
      seen.push(...data.tenants.nodes.map(({ id }: { id: string }) => id));
      after = data.tenants.pageInfo.endCursor;
      if (!data.tenants.pageInfo.hasNextPage) break;
    }
    expect(seen).toContain(await idOf(tenant));
    expect(seen.map((id) => Buffer.from(id, 'base64url').toString())).not.toContain(`Tenant:${NO_TENANT}`);
    expect((await operate('{ viewer { role tenant { id } } }')).data.viewer).toEqual({
      ...{ role: 'OPERATOR', tenant: null },
    });
  });

  it("sees no tenant's data: the whole operation is refused before any of it runs", async () => {
    const { status, data, errors } = await operate(
      '{ viewer { role } users { nodes { externalId } } images { nodes { id } } }',
    );
    expect([status, data]).toEqual([403, undefined]);
    expect(errors[0]!.message).toContain("Query.users is for SERVICE; this credential's role is OPERATOR.");
    expect(errors[0]!.message).toContain("Query.images is for SERVICE, USER; this credential's role is OPERATOR.");
    const [user] = await tenant.people('ada');
    const node = await operate('query ($id: ID!) { node(id: $id) { id } }', { id: user });
    expect(node.data.node).toBeNull();
  });

  it('suspends a tenant, whose keys and picture addresses are refused until it is suspended no more', async () => {
    const other = await service.tenant();
    const id = await idOf(other);
    await other.upload('#00ff00', { externalId: 'green' });
    const { data } = await other.ask('{ image(by: { externalId: "green" }) { url } }');
    const off = await operate(UPDATE, { input: { id, suspended: true } });
    expect(off.data.updateTenant).toMatchObject({
      tenant: { suspendedAt: '2026-01-01T12:00:00.000Z' },
      userErrors: [],
    });
    const refused = await other.ask('{ viewer { role } }');
    expect(refused.status).toBe(403);
    expect(refused.errors).toMatchObject([
      {
        message: 'This tenant has been suspended since 2026-01-01T12:00:00.000Z: ask whoever runs the installation.',
        extensions: { code: 'FORBIDDEN' },
      },
    ]);
    expect((await fetch(data.image.url)).status).toBe(403);
    await operate(UPDATE, { input: { id, suspended: false } });
    expect((await other.ask('{ viewer { role } }')).status).toBe(200);
    expect((await fetch(data.image.url)).status).toBe(200);
  });

  it('is told what is wrong with a name, a limit or an id', async () => {
    const id = await idOf(tenant);
    const wrong = async (input: object) =>
      (await operate(UPDATE, { input: { id, ...input } })).data.updateTenant.userErrors;
    expect(await wrong({ name: '' })).toMatchObject([{ field: ['name'], code: 'INVALID' }]);
    expect(await wrong({ pointsPerMinute: 0 })).toEqual([
      {
        ...{ field: ['pointsPerMinute'], code: 'INVALID' },
        message: 'pointsPerMinute is 0; it must be a whole number from 1 to 2147483647.',
      },
    ]);
    expect(await wrong({ maxImages: -1 })).toEqual([
      {
        ...{ field: ['maxImages'], code: 'INVALID' },
        message: 'maxImages is -1; it must be a whole number from 0 to 2147483647.',
      },
    ]);
    const nobody = [{ field: ['id'], code: 'NOT_FOUND', message: 'There is no tenant with this id.' }];
    expect(await wrong({ id: 'nonsense' })).toEqual(nobody);
    expect(await wrong({ id: Buffer.from(`Tenant:${NO_TENANT}`).toString('base64url') })).toEqual(nobody);
    const long = await operate(CREATE, { name: 'x'.repeat(201) });
    expect(long.data.createTenant).toMatchObject({
      ...{ tenant: null, adminSecret: null },
      userErrors: [{ field: ['name'], code: 'TOO_LARGE', message: 'name has 201 characters; at most 200 are kept.' }],
    });
  });
});

describe('quotas', () => {
  it('of users stop new ones, the rest of the list beside them, and no update', async () => {
    const small = await service.tenant();
    await operate(UPDATE, { input: { id: await idOf(small), maxUsers: 2 } });
    const upsert = async (...names: string[]) =>
      (
        await small.ask(
          'mutation ($items: [UpsertUserItem!]!) { upsertUsers(input: { items: $items }) { users { externalId } userErrors { field code message } } }',
          { items: names.map((externalId) => ({ externalId, displayName: 'x' })) },
        )
      ).data.upsertUsers;
    expect(await upsert('ada')).toMatchObject({ userErrors: [] });
    expect(await upsert('ada', 'bob', 'eve')).toEqual({
      users: [{ externalId: 'ada' }, { externalId: 'bob' }, null],
      userErrors: [
        {
          ...{ field: ['items', '2'], code: 'LIMIT_REACHED' },
          message: 'The tenant has as many users as it may have (Tenant.limits.maxUsers): no more are made.',
        },
      ],
    });
    expect(await upsert('ada', 'bob')).toMatchObject({ userErrors: [] });
  });

  it('are not passed by requests that come at once', async () => {
    const small = await service.tenant();
    await operate(UPDATE, { input: { id: await idOf(small), maxUsers: 5, maxImages: 3 } });
    await Promise.allSettled(Array.from({ length: 12 }, (_, i) => small.people(`person ${i}`)));
    const posts = await Promise.all(
      Array.from({ length: 8 }, async (_, i) => {
        const body = Uint8Array.from(await picture(`#0000${i}0`));
        const headers = { authorization: `Bearer ${small.serviceKey}`, 'content-type': 'image/png' };
        return fetch(`${service.url}/images`, { method: 'POST', headers, body });
      }),
    );
    const counts = await small.ask('{ users { totalCount } images { totalCount } }');
    expect(counts.data).toEqual({ users: { totalCount: 5 }, images: { totalCount: 3 } });
    const refused = posts.filter(({ status }) => status === 403);
    expect(refused).toHaveLength(5);
    expect(await refused[0]!.json()).toMatchObject({
      error: {
        code: 'LIMIT_REACHED',
        message: 'The tenant has as many images as it may have (Tenant.limits.maxImages): no more are taken in.',
      },
    });
  });

  it('let the same picture in again, which is none more', async () => {
    const small = await service.tenant();
    const id = await small.upload('#ff0000');
    await operate(UPDATE, { input: { id: await idOf(small), maxImages: 1 } });
    expect(await small.upload('#ff0000')).toBe(id);
  });
});

describe('an ADMIN', () => {
  const MAKE = `mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) {
    apiKey { id name role prefix pointsPerMinute createdAt expiresAt lastUsedAt revokedAt } secret userErrors { field code message }
  } }`;
  const REVOKE = `mutation ($id: ID!) { revokeApiKey(input: { id: $id }) {
    apiKey { name revokedAt } userErrors { field code message }
  } }`;

  it('makes a key, sees it among the others without its secret, and revokes it', async () => {
    const made = await administer(MAKE, { input: { name: 'shop', role: 'SERVICE', pointsPerMinute: 1000 } });
    const { apiKey, secret } = made.data.createApiKey;
    expect(apiKey).toMatchObject({ ...{ name: 'shop', role: 'SERVICE', pointsPerMinute: 1000, revokedAt: null } });
    expect(secret.startsWith(apiKey.prefix)).toBe(true);
    expect((await tenant.ask('{ viewer { role } }', {}, secret)).data.viewer.role).toBe('SERVICE');
    const { data } = await administer(
      '{ apiKeys(first: 2) { nodes { id name lastUsedAt } pageInfo { hasNextPage } } }',
    );
    expect(data.apiKeys).toMatchObject({
      nodes: [{ id: apiKey.id, lastUsedAt: '2026-01-01T12:00:00.000Z' }, { name: 'first service' }],
      pageInfo: { hasNextPage: true },
    });
    const revoked = await administer(REVOKE, { id: apiKey.id });
    expect(revoked.data.revokeApiKey).toEqual({
      apiKey: { name: 'shop', revokedAt: '2026-01-01T12:00:00.000Z' },
      userErrors: [],
    });
    const refused = await tenant.ask('{ viewer { role } }', {}, secret);
    expect(refused.errors).toMatchObject([
      {
        message: 'The API key "shop" was revoked at 2026-01-01T12:00:00.000Z.',
        extensions: { code: 'UNAUTHENTICATED' },
      },
    ]);
  });

  it('cannot revoke the last ADMIN key, by which another could be made', async () => {
    const { data } = await administer('{ apiKeys { nodes { id role } } }');
    const own = data.apiKeys.nodes.find(({ role }: { role: string }) => role === 'ADMIN').id;
    const refused = await administer(REVOKE, { id: own });
    expect(refused.data.revokeApiKey).toEqual({
      apiKey: null,
      userErrors: [
        {
          ...{ field: ['id'], code: 'CONFLICT' },
          message: 'This is the only ADMIN key that can be used: make another one first.',
        },
      ],
    });
  });

  it.each([
    [
      { name: '', role: 'ADMIN' },
      { field: ['name'], code: 'INVALID' },
    ],
    [
      { name: 'late', role: 'ADMIN', expiresAt: '2026-01-01T12:00:00Z' },
      { field: ['expiresAt'], code: 'INVALID' },
    ],
    [
      { name: 'none', role: 'ADMIN', pointsPerMinute: 0 },
      { field: ['pointsPerMinute'], code: 'INVALID' },
    ],
  ])('is told what is wrong with a new key: %j', async (input, error) => {
    const { data } = await administer(MAKE, { input });
    expect(data.createApiKey).toMatchObject({ apiKey: null, secret: null, userErrors: [error] });
  });

  it('has 200 keys at most', async () => {
    const many = await service.tenant();
    await many.run(
      () =>
        service.test.database.$executeRaw`
        INSERT INTO api_keys (tenant_id, id, name, role, prefix, secret_sha256)
        SELECT ${many.id}::uuid, gen_random_uuid(), 'key ' || n, 'SERVICE', 'plt_', sha256(n::text::bytea)
        FROM generate_series(1, 198) AS n`,
    );
    const { data } = await many.ask(MAKE, { input: { name: 'one more', role: 'SERVICE' } }, many.adminKey);
    expect(data.createApiKey.userErrors).toEqual([
      {
        ...{ field: [], code: 'LIMIT_REACHED' },
        message: 'The tenant has 200 keys that can be used, the most there may be: revoke one first.',
      },
    ]);
  });

  it('changes settings, and what is left out stays', async () => {
    const set = async (input: object) =>
      (
        await administer(
          'mutation ($input: UpdateTenantSettingsInput!) { updateTenantSettings(input: $input) { tenant { settings { anonymousSimilarity } } userErrors { code } } }',
          { input },
        )
      ).data.updateTenantSettings;
    expect(await set({ anonymousSimilarity: true })).toEqual({
      ...{ tenant: { settings: { anonymousSimilarity: true } }, userErrors: [] },
    });
    expect(await set({})).toMatchObject({ tenant: { settings: { anonymousSimilarity: true } } });
    await set({ anonymousSimilarity: false });
  });

  it('reads who did what, when and from where; addresses are dropped after 30 days', async () => {
    const read = async (args = '') =>
      (await administer(`{ auditLog(first: 100${args}) { nodes { id at actor action subject address requestId } } }`))
        .data.auditLog.nodes;
    const events = await read();
    expect(events.map(({ action }: { action: string }) => action)).toEqual([
      ...['updateTenantSettings', 'updateTenantSettings', 'updateTenantSettings', 'revokeApiKey', 'createApiKey'],
    ]);
    expect(events[0]).toMatchObject({
      ...{ actor: 'first admin', at: '2026-01-01T12:00:00.000Z', subject: await idOf(tenant), address: '127.0.0.1' },
      requestId: expect.stringMatching(/^[0-9a-f-]{36}$/),
    });
    expect(await read(', since: "2026-01-01T12:00:00.001Z"')).toEqual([]);
    const node = await administer('query ($id: ID!) { node(id: $id) { ... on AuditEvent { action } } }', {
      id: events[0].id,
    });
    expect(node.data.node).toEqual({ action: 'updateTenantSettings' });

    const days = (count: number) => new Date(service.test.time.getTime() + count * 86_400_000);
    await tenant.run(() => dropOldAddresses(service.test.database, days(30)));
    expect((await read())[0].address).toBe('127.0.0.1');
    await tenant.run(() => dropOldAddresses(service.test.database, days(31)));
    expect((await read())[0]).toMatchObject({ action: 'updateTenantSettings', address: null });
  });

  it('cannot change the audit log, whatever the query', async () => {
    const denied = { message: expect.stringContaining('permission denied for table audit_events') };
    await expect(tenant.run(() => service.test.database.auditEvent.deleteMany())).rejects.toMatchObject(denied);
    await expect(
      tenant.run(() => service.test.database.auditEvent.updateMany({ data: { actor: 'nobody' } })),
    ).rejects.toMatchObject(denied);
  });
});
