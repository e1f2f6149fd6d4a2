/** What every answer carries, who may ask from a browser, and what is said to who sends no HTTP. */
import { connect } from 'node:net';
import { type TestService, type TestTenant, testService } from './service.ts';

const APP = 'https://app.example';
let service: TestService;
let tenant: TestTenant;

beforeAll(async () => {
  service = await testService({ corsOrigins: [APP, 'http://localhost:5173'], https: true });
  tenant = await service.tenant();
});
afterAll(() => service.close());

/** Sends bytes, and answers what came back until the connection was closed. */
function exchange(bytes: string): Promise<string> {
  const { hostname, port } = new URL(service.url);
  return new Promise((resolve) => {
    let answer = '';
    const socket = connect(Number(port), hostname);
    socket.on('error', () => {});
    socket.setEncoding('utf8').on('data', (text: string) => {
      answer += text;
    });
    socket.once('close', () => resolve(answer));
    socket.write(bytes);
  });
}

const ask = (headers: Record<string, string>, body = '{"query":"{ viewer { role } }"}') =>
  fetch(`${service.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${tenant.serviceKey}`, ...headers },
    body,
  });

describe('every answer', () => {
  const answers: [string, number, () => Promise<Response>][] = [
    ['of GraphQL', 200, () => ask({})],
    ['without a key', 401, () => ask({ authorization: '' })],
    ['to what is no JSON', 400, () => ask({}, '{')],
    ['at no address', 404, () => fetch(`${service.url}/nowhere`)],
    ['to an address that cannot be read', 400, () => fetch(`${service.url}/%zz`)],
    ['of health', 200, () => fetch(`${service.url}/healthz`)],
    ['of a picture address', 404, () => fetch(`${service.url}/pictures/x/y?signature=no`)],
    ['to a preflight', 204, () => preflight(APP)],
  ];

  it.each(answers)('%s is guarded and tells nothing of the server', async (_, status, send) => {
    const { headers, status: answered } = await send();
    expect(answered).toBe(status);
    expect(Object.fromEntries(headers)).toMatchObject({
      'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'referrer-policy': 'no-referrer',
      'cross-origin-opener-policy': 'same-origin',
      'cross-origin-resource-policy': 'same-origin',
      'strict-transport-security': 'max-age=31536000; includeSubDomains',
      'cache-control': 'no-store',
      'x-request-id': expect.any(String),
    });
    expect(headers.has('server')).toBe(false);
    expect(headers.has('x-powered-by')).toBe(false);
  });

  it('that gives a picture has a policy of its own, may be kept, and may be shown by other origins', async () => {
    const id = await tenant.upload('green');
    const { data } = await tenant.ask('query ($id: ID!) { image(by: { id: $id }) { url } }', { id });
    const { headers } = await fetch(data.image.url);
    expect(Object.fromEntries(headers)).toMatchObject({
      'content-security-policy': "default-src 'none'; sandbox",
      'cross-origin-resource-policy': 'cross-origin',
      'cache-control': expect.stringMatching(/^private, max-age=\d+, immutable$/),
      'x-content-type-options': 'nosniff',
    });
  });
});

function preflight(origin: string): Promise<Response> {
  return fetch(`${service.url}/graphql`, {
    method: 'OPTIONS',
    headers: {
      origin,
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'authorization,content-type',
    },
  });
}

const corsOf = ({ headers }: Response) =>
  Object.fromEntries([...headers].filter(([name]) => name.startsWith('access-control-')));

describe('another origin', () => {
  it('that is named may ask, without cookies, after a preflight that needs no key', async () => {
    const response = await preflight(APP);
    expect([response.status, corsOf(response)]).toEqual([
      204,
      {
        'access-control-allow-origin': APP,
        'access-control-allow-methods': 'GET, HEAD, POST',
        'access-control-allow-headers': 'authorization,content-type',
        'access-control-expose-headers':
          'x-request-id, retry-after, ratelimit, ratelimit-policy, ratelimit-limit, ratelimit-remaining, ratelimit-reset',
        'access-control-max-age': '600',
      },
    ]);
    expect(corsOf(await ask({ origin: APP }))).toMatchObject({ 'access-control-allow-origin': APP });
  });

  it('that is named may read its refusals', async () => {
    const response = await ask({ origin: APP, authorization: 'Bearer nonsense' });
    expect(response.status).toBe(401);
    expect(corsOf(response)).toMatchObject({ 'access-control-allow-origin': APP });
  });

  it.each(['https://evil.example', 'https://app.example.evil.example', 'http://app.example', 'null'])(
    '%s, which is not named, is told of no permission',
    async (origin) => {
      expect(corsOf(await preflight(origin))).not.toHaveProperty('access-control-allow-origin');
      expect(corsOf(await ask({ origin }))).not.toHaveProperty('access-control-allow-origin');
    },
  );
});

describe('what is no request', () => {
  const parts = (answer: string) => {
    const [head, body] = answer.split('\r\n\r\n') as [string, string];
    return { head, body: JSON.parse(body) as { error: { requestId: string } } };
  };

  it.each([
    [
      '431 Request Header Fields Too Large',
      'TOO_LARGE',
      "The request's headers are larger than 16384 bytes, the most that is taken.",
      `GET /healthz HTTP/1.1\r\nhost: x\r\nx-a: ${'a'.repeat(20_000)}\r\n\r\n`,
    ],
    ['400 Bad Request', 'BAD_USER_INPUT', 'This is no request of HTTP/1.1.', '\u0016\u0003\u0001 hello\r\n\r\n'],
  ])('is told %s in our shape, with the id that the log has', async (status, code, message, bytes) => {
    const { head, body } = parts(await exchange(bytes));
    expect(head).toMatch(new RegExp(`^HTTP/1.1 ${status}\r\n`));
    expect(body).toEqual({ error: { code, message, requestId: expect.any(String) } });
    expect(head).toContain(`x-request-id: ${body.error.requestId}\r\n`);
    expect(head).toContain("content-security-policy: default-src 'none'; frame-ancestors 'none'\r\n");
    expect(service.logLines().filter((line) => line.includes(body.error.requestId))).toHaveLength(1);
  });
});

describe('an id', () => {
  it('stands in every error, in the header and in the log', async () => {
    const sends: (() => Promise<Response>)[] = [
      () => ask({}, '{"query":"{ nonsense }"}'),
      () => ask({}, '{"query":"query ($id: ID!) { node(id: $id) { id } }"}'),
      () => ask({}, '{"query":"{ viewer { tenant { userCount } } }"}'),
      () => ask({ authorization: '' }),
      () => ask({}, '{'),
      () => ask({}, '[]'),
      () => ask({}, '{"a":1}'),
      () => ask({ 'content-type': 'text/plain' }),
      () => fetch(`${service.url}/nowhere`),
      () => fetch(`${service.url}/%zz`),
      () => fetch(`${service.url}/images`, { method: 'POST' }),
    ];
    for (const send of sends) {
      const response = await send();
      const id = response.headers.get('x-request-id')!;
      const body = (await response.json()) as {
        error?: { requestId: string };
        errors?: { extensions: { code: string; requestId: string } }[];
      };
      const ids = body.error ? [body.error.requestId] : body.errors!.map(({ extensions }) => extensions.requestId);
      expect(ids.length).toBeGreaterThan(0);
      for (const told of ids) expect(told).toBe(id);
      expect(service.logLines().some((line) => line.includes(id))).toBe(true);
    }
  });
});
