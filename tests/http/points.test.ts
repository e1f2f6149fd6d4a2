/** Points a minute as clients meet them: told with every answer, refused with 429, each tenant and key by itself. */
import { NO_TENANT, withTenant } from '../../src/database/client.ts';
import { issueApiKey, makeApiKey } from '../../src/domain/apiKeys.ts';
import { picture, type TestService, type TestTenant, testService } from './service.ts';

let service: TestService;
const NOON = new Date('2026-01-01T12:00:00.000Z');
const noonPlus = (seconds: number) => new Date(NOON.getTime() + seconds * 1000);

beforeAll(async () => {
  service = await testService();
});
beforeEach(() => {
  service.test.time = noonPlus(10);
});
afterAll(() => service.close());

/** A tenant of so many points a minute. */
async function tenantOf(pointsPerMinute: number): Promise<TestTenant> {
  const tenant = await service.tenant();
  await withTenant(tenant.id, () =>
    service.test.database.tenant.update({ where: { id: tenant.id }, data: { pointsPerMinute } }),
  );
  return tenant;
}

/** A key of the tenant's with points of its own. */
const keyOf = async ({ id }: TestTenant, pointsPerMinute: number): Promise<string> =>
  (await withTenant(id, () => makeApiKey(service.test.database, { name: 'bounded', role: 'SERVICE', pointsPerMinute })))
    .secret;

async function operatorKey(): Promise<string> {
  const doer = { credential: { actor: 'a test' }, address: null, requestId: 'test' };
  const { secret } = await withTenant(NO_TENANT, () =>
    issueApiKey(service.test.database, doer, service.test.time, { name: 'ops', role: 'OPERATOR' }),
  );
  return secret;
}

/** `{ viewer { role } }` costs 2 points. */
const SMALL = '{ viewer { role } }';

function post(key: string, query = SMALL, variables = {}): Promise<Response> {
  return fetch(`${service.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
    body: JSON.stringify({ query, variables }),
  });
}

const upload = async (key: string, colour: string): Promise<Response> =>
  fetch(`${service.url}/images`, {
    method: 'POST',
    headers: { 'content-type': 'image/png', authorization: `Bearer ${key}` },
    body: new Uint8Array(await picture(colour)),
  });

// biome-ignore lint/suspicious/noExplicitAny: a test reads what it has just asked for
const bodyOf = (response: Response): Promise<any> => response.json();

/** The three headers, as numbers. */
const told = ({ headers }: Response) =>
  ['limit', 'remaining', 'reset'].map((name) => Number(headers.get(`ratelimit-${name}`) ?? Number.NaN));

describe('what is left', () => {
  it('is told in headers and in extensions.cost', async () => {
    const { serviceKey } = await tenantOf(600);
    const first = await post(serviceKey);
    expect(told(first)).toEqual([600, 598, 50]);
    expect(await bodyOf(first)).toEqual({
      data: { viewer: { role: 'SERVICE' } },
      extensions: { cost: { points: 2, limit: 600, remaining: 598, resetsAt: '2026-01-01T12:01:00.000Z' } },
    });
    service.test.time = noonPlus(59.5);
    expect(told(await post(serviceKey))).toEqual([600, 596, 1]);
    service.test.time = noonPlus(60);
    expect(told(await post(serviceKey))).toEqual([600, 598, 60]);
  });

  it("is that of the tighter budget: the key's own, or the tenant's", async () => {
    const tenant = await tenantOf(600);
    const key = await keyOf(tenant, 500);
    expect(told(await post(key))).toEqual([500, 498, 50]);
    await tenant.upload('#0000aa');
    expect(told(await post(key))).toEqual([500, 496, 50]);
    await tenant.upload('#0000bb');
    await tenant.upload('#0000cc');
    const response = await post(key);
    expect(told(response)).toEqual([600, 444, 50]);
    expect(await bodyOf(response)).toMatchObject({ extensions: { cost: { points: 2, limit: 600, remaining: 444 } } });
  });

  it.each([
    ['a document that cannot be parsed', '{', 200],
    ['one that asks for what there is not', '{ nothing }', 200],
    ['one that is not allowed', '{ tenants { nodes { id } } }', 403],
    [
      'one that costs more than one may',
      '{ users(first: 100) { nodes { recommendations(first: 100) { nodes { value } } } } }',
      400,
    ],
  ])('is told and not touched by what is refused: %s', async (_, query, status) => {
    const { serviceKey } = await tenantOf(1_000_000);
    const response = await post(serviceKey, query);
    expect(response.status).toBe(status);
    expect(told(response)).toEqual([1_000_000, 1_000_000, 50]);
    expect((await bodyOf(response)).extensions).toBeUndefined();
    expect(told(await post(serviceKey))).toEqual([1_000_000, 999_998, 50]);
  });

  it('is told with uploads, refused ones too; and to nobody without a credential', async () => {
    const { serviceKey } = await tenantOf(600);
    expect(told(await upload(serviceKey, '#010203'))).toEqual([600, 550, 50]);
    const secret = await operatorKey();
    const forbidden = await upload(secret, '#010203');
    expect(forbidden.status).toBe(403);
    expect(told(forbidden)).toEqual([600_000, 600_000, 50]);
    for (const response of [await upload('plt_nonsense', '#010203'), await fetch(`${service.url}/healthz`)]) {
      expect(told(response)).toEqual([Number.NaN, Number.NaN, Number.NaN]);
    }
  });

  it("of operators is counted under none of the tenants'", async () => {
    const secret = await operatorKey();
    const response = await post(secret);
    expect(response.status).toBe(200);
    expect(told(response)).toEqual([600_000, 599_998, 50]);
    const rows = await withTenant(NO_TENANT, () =>
      service.test.database.pointLease.findMany({ select: { leased: true } }),
    );
    expect(rows).toEqual([{ leased: 6000 }]);
  });

  it('costs a request no statement of its own', async () => {
    const { serviceKey } = await tenantOf(600_000);
    await post(serviceKey);
    const before = service.statements();
    for (let i = 0; i < 100; i++) await post(serviceKey);
    // The key is read each time; now and then something of the service's own falls among them.
    expect(service.statements() - before).toBeLessThan(110);
  });
});

describe('an operation that cannot be paid', () => {
  it('is RATE_LIMITED with all that a client needs to wait, and runs when the minute is over', async () => {
    const { serviceKey } = await tenantOf(5);
    await post(serviceKey);
    await post(serviceKey);
    const refused = await post(serviceKey);
    expect(refused.status).toBe(429);
    expect(refused.headers.get('retry-after')).toBe('50');
    expect(told(refused)).toEqual([5, 1, 50]);
    const { data, errors, extensions } = await bodyOf(refused);
    expect({ data, extensions }).toEqual({ data: undefined, extensions: undefined });
    expect(errors).toEqual([
      {
        message: 'This costs 2 points and the tenant has 1 of its 5 a minute left: ask again in 50 s.',
        extensions: expect.objectContaining({
          ...{ code: 'RATE_LIMITED', cost: 2, limit: 5, remaining: 1 },
          resetsAt: '2026-01-01T12:01:00.000Z',
        }),
      },
    ]);
    service.test.time = noonPlus(60);
    expect((await post(serviceKey)).status).toBe(200);
  });

  it('by any minute is QUERY_TOO_COSTLY and is not asked to wait', async () => {
    const { serviceKey } = await tenantOf(49);
    const response = await post(serviceKey, '{ users(first: 50) { nodes { id } } }');
    expect(response.status).toBe(400);
    expect(response.headers.get('retry-after')).toBeNull();
    const { errors } = await bodyOf(response);
    expect(errors).toMatchObject([
      {
        message: expect.stringMatching(/^This costs \d+ points and the tenant has 49 a minute: ask for smaller pages/),
        extensions: { code: 'QUERY_TOO_COSTLY', maxCost: 49 },
      },
    ]);
    const picture = await upload(serviceKey, '#040506');
    expect(picture.status).toBe(400);
    expect((await bodyOf(picture)).error).toMatchObject({
      code: 'QUERY_TOO_COSTLY',
      message: expect.stringMatching(/^This costs 50 points and the tenant has 49 a minute: /),
    });
  });

  it('changes nothing, as a mutation', async () => {
    const tenant = await tenantOf(60);
    const mutation = `mutation ($items: [UpsertUserItem!]!) { upsertUsers(input: { items: $items }) { users { id } } }`;
    const items = (...externalIds: string[]) => ({ items: externalIds.map((externalId) => ({ externalId })) });
    await tenant.ask(mutation, items('ada'));
    for (let i = 0; i < 28; i++) await tenant.ask(SMALL);
    const { status } = await tenant.ask(mutation, items('bob', 'eve'));
    expect(status).toBe(429);
    const users = await withTenant(tenant.id, () => service.test.database.user.findMany());
    expect(users.map(({ externalId }) => externalId)).toEqual(['ada']);
  });

  it('is refused before a picture is read, and nothing of it is kept', async () => {
    const tenant = await tenantOf(120);
    expect((await upload(tenant.serviceKey, '#0a0a0a')).status).toBe(201);
    expect((await upload(tenant.serviceKey, '#0b0b0b')).status).toBe(201);
    const refused = await upload(tenant.serviceKey, '#0c0c0c');
    expect(refused.status).toBe(429);
    expect(refused.headers.get('retry-after')).toBe('50');
    expect(told(refused)).toEqual([120, 20, 50]);
    expect((await bodyOf(refused)).error).toMatchObject({
      code: 'RATE_LIMITED',
      message: 'This costs 50 points and the tenant has 20 of its 120 a minute left: ask again in 50 s.',
    });
    expect(await withTenant(tenant.id, () => service.test.database.image.count())).toBe(2);
  });
});

describe('who floods', () => {
  it("a key that has spent its own points leaves the tenant's other keys theirs", async () => {
    const tenant = await tenantOf(1000);
    const key = await keyOf(tenant, 10);
    const statuses = await Promise.all(Array.from({ length: 50 }, async () => (await post(key)).status));
    expect(statuses.filter((status) => status === 200)).toHaveLength(5);
    expect(statuses.filter((status) => status === 429)).toHaveLength(45);
    const { errors } = await bodyOf(await post(key));
    expect(errors[0].message).toBe(
      'This costs 2 points and this credential has 0 of its 10 a minute left: ask again in 50 s.',
    );
    expect(told(await post(tenant.serviceKey))).toEqual([1000, 988, 50]);
  });

  it('a tenant that has spent all leaves another untouched', async () => {
    const [flooder, other] = [await tenantOf(20), await tenantOf(20)];
    const statuses = await Promise.all(Array.from({ length: 50 }, async () => (await post(flooder.serviceKey)).status));
    expect(statuses.filter((status) => status === 200)).toHaveLength(10);
    expect((await post(flooder.adminKey)).status).toBe(429);
    expect(told(await post(other.serviceKey))).toEqual([20, 18, 50]);
  });
});

it("a tenant's usage says what is left and what runs its models, to its ADMIN", async () => {
  const tenant = await tenantOf(1000);
  await tenant.upload('#112233');
  const ask = () =>
    tenant.ask(
      '{ viewer { tenant { usage { pointsLeft resetsAt imagesPending executionProvider } } } }',
      {},
      tenant.adminKey,
    );
  const { data, errors } = await ask();
  expect(errors).toEqual([]);
  expect(data.viewer.tenant.usage).toEqual({
    pointsLeft: 1000 - 50 - 7,
    resetsAt: '2026-01-01T12:01:00.000Z',
    imagesPending: 1,
    executionProvider: 'cpu',
  });
  await tenant.encode();
  expect((await ask()).data.viewer.tenant.usage).toMatchObject({ pointsLeft: 1000 - 50 - 14, imagesPending: 0 });
});
