/** What holds for every request: the key, the role, limits, and errors that tell nothing they should not. */
import { serverAudits } from 'graphql-http';
import { withTenant } from '../../src/database/client.ts';
import { makeApiKey } from '../../src/domain/apiKeys.ts';
import { type TestService, type TestTenant, testService } from './service.ts';

let service: TestService;
let tenant: TestTenant;

beforeAll(async () => {
  service = await testService();
  tenant = await service.tenant();
});
afterAll(() => service.close());

const post = (path: string, headers: Record<string, string>, body = '{"query":"{ viewer { role } }"}') =>
  fetch(`${service.url}${path}`, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body });

describe('a key', () => {
  const wrongKeys: [string, Record<string, string>, string][] = [
    [
      'no header',
      {},
      `This needs a credential: send the header "Authorization: Bearer …" with an API key or a person's token.`,
    ],
    [
      'another scheme',
      { authorization: 'Basic YTpi' },
      `The Authorization header must read "Bearer", one space, and an API key or a person's token.`,
    ],
    [
      'neither a key nor a token',
      { authorization: 'Bearer hunter2' },
      'This is no API key (plt_<tenant>_<secret>) and no JWT (header.payload.signature). Copy it whole.',
    ],
    [
      'a malformed key',
      { authorization: 'Bearer plt_nonsense' },
      'This is no API key: one reads plt_<tenant>_<secret>. Copy it whole.',
    ],
    [
      'a key of a tenant that never was',
      { authorization: `Bearer plt_${'0'.repeat(32)}_${'a'.repeat(32)}` },
      'This API key is not known. Ask an ADMIN of the tenant for another.',
    ],
  ];

  it.each(wrongKeys)('is asked for: %s is 401 at /graphql', async (_, headers, message) => {
    const response = await post('/graphql', headers);
    expect(response.status).toBe(401);
    expect(response.headers.get('www-authenticate')).toBe('Bearer realm="palate"');
    expect(await response.json()).toEqual({
      errors: [{ message, extensions: { code: 'UNAUTHENTICATED', requestId: response.headers.get('x-request-id') } }],
    });
  });

  it.each(wrongKeys)('is asked for: %s is 401 at /images', async (_, headers, message) => {
    const response = await post('/images', headers);
    expect(response.status).toBe(401);
    expect(await response.json()).toEqual({
      error: { code: 'UNAUTHENTICATED', message, requestId: response.headers.get('x-request-id') },
    });
  });

  it('with the right tenant and the wrong secret is as unknown as one of no tenant', async () => {
    const key = `${tenant.serviceKey.slice(0, -4)}AAAA`;
    const { status, errors } = await tenant.ask('{ viewer { role } }', {}, key);
    expect(status).toBe(401);
    expect(errors).toMatchObject([{ message: 'This API key is not known. Ask an ADMIN of the tenant for another.' }]);
  });

  it('is no good once it has expired', async () => {
    const { secret } = await withTenant(tenant.id, () =>
      makeApiKey(service.test.database, { name: 'short', role: 'SERVICE', expiresAt: service.test.time }),
    );
    const { status, errors } = await tenant.ask('{ viewer { role } }', {}, secret);
    expect(status).toBe(401);
    expect(errors).toMatchObject([{ message: 'The API key "short" expired at 2026-01-01T12:00:00.000Z.' }]);
  });

  it('says who asks: role and tenant', async () => {
    const { data } = await tenant.ask('{ viewer { role tenant { name activeModel { version } } } }');
    expect(data.viewer).toEqual({ role: 'SERVICE', tenant: { name: 'a tenant', activeModel: { version: 0 } } });
    const admin = await tenant.ask('{ viewer { role tenant { userCount } } }', {}, tenant.adminKey);
    expect(admin.data.viewer).toEqual({ role: 'ADMIN', tenant: { userCount: 0 } });
  });

  it('of role SERVICE may not read what is for ADMIN', async () => {
    const { status, data, errors } = await tenant.ask('{ viewer { tenant { name userCount } } }');
    expect(status).toBe(403);
    expect(data).toBeUndefined();
    expect(errors).toMatchObject([
      {
        message: "Tenant.userCount is for OPERATOR, ADMIN; this credential's role is SERVICE.",
        extensions: { code: 'FORBIDDEN' },
      },
    ]);
  });

  it('is in no line of the log', async () => {
    await tenant.ask('{ viewer { role } }');
    const lines = service.logLines().join('');
    expect(lines).toContain('/graphql');
    expect(lines).not.toContain('plt_');
    expect(lines).not.toContain(tenant.serviceKey.slice(-32));
  });
});

describe('limits', () => {
  it('refuse an operation that costs too much, its page size given by variable', async () => {
    const query = 'query ($n: Int!) { users(first: $n) { nodes { recommendations(first: $n) { nodes { value } } } } }';
    const { status, errors } = await tenant.ask(query, { n: 1000 });
    expect(status).toBe(400);
    expect(errors).toMatchObject([{ extensions: { code: 'QUERY_TOO_COSTLY', maxCost: 20_000 } }]);
    expect(errors[0]!.message).toMatch(/^This operation costs \d+ points and at most 20000 are allowed: ask for/);
  });

  it('refuse a document of too many tokens', async () => {
    const { errors } = await tenant.ask(`{ ${'viewer { role } '.repeat(600)} }`);
    expect(errors).toMatchObject([{ extensions: { code: 'GRAPHQL_PARSE_FAILED' } }]);
  });

  it('refuse nodes of more than 100 ids', async () => {
    const { errors } = await tenant.ask('query ($ids: [ID!]!) { nodes(ids: $ids) { id } }', {
      ids: Array.from({ length: 101 }, () => 'x'),
    });
    expect(errors).toMatchObject([{ message: 'ids has 101 ids; nodes takes at most 100.' }]);
  });

  it('refuse a body of more than 5 MB', async () => {
    const body = JSON.stringify({ query: '{ viewer { role } }', variables: { a: 'x'.repeat(5_000_000) } });
    const response = await post('/graphql', { authorization: `Bearer ${tenant.serviceKey}` }, body);
    expect(response.status).toBe(413);
    expect(await response.json()).toMatchObject({ errors: [{ extensions: { code: 'TOO_LARGE' } }] });
  });
});

describe('errors', () => {
  it('of the service itself are masked, and logged with the id of the response', async () => {
    const { user } = service.test.database;
    const findMany = user.findMany;
    Object.defineProperty(user, 'findMany', {
      configurable: true,
      value: () => Promise.reject(new Error('connect ECONNREFUSED postgres://palate:hunter2@db')),
    });
    const response = await post(
      '/graphql',
      { authorization: `Bearer ${tenant.serviceKey}`, 'x-request-id': 'masked-1' },
      '{"query":"{ users { nodes { id } } }"}',
    );
    Object.defineProperty(user, 'findMany', { configurable: true, value: findMany });
    expect(response.headers.get('x-request-id')).toBe('masked-1');
    expect(await response.json()).toEqual({
      data: null,
      errors: [
        {
          message: 'The service failed to answer this; its log tells why, under the x-request-id of this response.',
          locations: expect.anything(),
          path: ['users'],
          extensions: { code: 'INTERNAL_SERVER_ERROR', requestId: 'masked-1' },
        },
      ],
      extensions: { cost: expect.anything() },
    });
    const line = service.logLines().find((text) => text.includes('a resolver failed'));
    expect(line).toContain('masked-1');
    expect(line).toContain('ECONNREFUSED');
  });

  it.each([
    ['{ nonsense }', 'GRAPHQL_VALIDATION_FAILED'],
    ['{', 'GRAPHQL_PARSE_FAILED'],
  ])('of the document %s have their code and no stack', async (query, code) => {
    const { errors } = await tenant.ask(query);
    expect(errors).toMatchObject([{ extensions: { code } }]);
    expect(errors[0]!.extensions).not.toHaveProperty('stacktrace');
  });

  it.each([
    [
      'a number where a list of items belongs',
      'mutation ($v: [FeedbackItem!]!) { submitFeedback(input: { items: $v }) { userErrors { code } } }',
      7,
    ],
    [
      'null in the place of a default that a directive needs',
      'query ($v: Boolean = true) { users(first: 1) @include(if: $v) { totalCount } }',
      null,
    ],
  ])("of variables that do not fit (%s) are the caller's", async (_, query, v) => {
    const { errors } = await tenant.ask(query, { v });
    expect(errors).toMatchObject([{ extensions: { code: 'BAD_USER_INPUT' } }]);
  });

  it('of a hundred thousand variables that do not fit name the first', async () => {
    const items = Array.from({ length: 100_000 }, () => 1);
    const { errors } = await tenant.ask(
      'mutation ($v: [FeedbackItem!]!) { submitFeedback(input: { items: $v }) { userErrors { code } } }',
      { v: items },
    );
    expect(errors).toMatchObject([{ extensions: { code: 'BAD_USER_INPUT' } }]);
    expect(errors[0]!.message).toContain('at "v[0]"');
  });

  it.each(['yesterday', '2026-02-30T00:00:00Z', '2026-01-01', '2026-01-01T12:00:00'])(
    'refuse "%s" as a DateTime, showing how to write one',
    async (judgedAt) => {
      const { errors } = await tenant.ask(
        'mutation ($items: [FeedbackItem!]!) { submitFeedback(input: { items: $items }) { userErrors { code } } }',
        { items: [{ user: { id: 'a' }, image: { id: 'b' }, sentiment: 'LIKE', judgedAt }] },
      );
      expect(errors).toMatchObject([{ extensions: { code: 'BAD_USER_INPUT' } }]);
      expect(errors[0]!.message).toContain(
        `"${judgedAt}" is not an instant: write ISO 8601 with a time and an offset, such as 2026-01-31T12:00:00Z.`,
      );
    },
  );

  it('say that there is nothing where there is nothing', async () => {
    const response = await fetch(`${service.url}/nowhere?secret=1`);
    expect(response.status).toBe(404);
    expect(await response.json()).toEqual({
      error: { code: 'NOT_FOUND', message: 'There is nothing at GET /nowhere.', requestId: expect.any(String) },
    });
  });
});

describe('GraphQL over HTTP', () => {
  const audits = serverAudits({
    url: () => `${service.url}/graphql`,
    fetchFn: (url: string, init: RequestInit = {}) =>
      fetch(url, { ...init, headers: { ...init.headers, authorization: `Bearer ${tenant.serviceKey}` } }),
  });

  it.each(audits.filter(({ name }) => name.startsWith('MUST')).map((audit) => [audit.name, audit] as const))(
    '%s',
    async (_, audit) => {
      const result = await audit.fn();
      expect(result).toMatchObject({ status: 'ok' });
    },
  );

  it('has no error and no warning, and the three notices that CSRF protection costs: no GET that a form could send', async () => {
    expect(audits.length).toBeGreaterThanOrEqual(61);
    const results = await Promise.all(audits.map((audit) => audit.fn()));
    const named = (status: string) => results.filter((result) => result.status === status).map(({ name }) => name);
    expect({ errors: named('error'), warnings: named('warn'), notices: named('notice') }).toEqual({
      errors: [],
      warnings: [],
      notices: [
        'MAY accept application/x-www-form-urlencoded formatted GET requests',
        'MAY allow URL-encoded JSON string {variables} parameter in GETs when accepting application/graphql-response+json',
        'MAY allow URL-encoded JSON string {variables} parameter in GETs when accepting application/json',
      ],
    });
  });
});
