/** Clients that are slow on purpose, and work that takes too long: both end, and others are answered meanwhile. */
import { connect, type Socket } from 'node:net';
import { DEFAULT_TIMEOUTS } from '../../src/http/timeouts.ts';
import { type TestService, type TestTenant, testService } from './service.ts';

let service: TestService;
let tenant: TestTenant;

beforeAll(async () => {
  service = await testService({
    timeouts: {
      ...DEFAULT_TIMEOUTS,
      headersMs: 1_000,
      requestMs: 2_000,
      workMs: 30_000,
      answerMs: 300,
      refusedMs: 300,
      checkMs: 50,
    },
  });
  tenant = await service.tenant();
});
afterAll(() => service.close());

interface Slow {
  socket: Socket;
  /** What came back by the time the connection was closed. */
  closed: Promise<string>;
}

/** Sends the beginning, then a byte of the rest every 20 ms, again and again. */
function drip(beginning: string, rest: string): Slow {
  const { hostname, port } = new URL(service.url);
  const socket = connect(Number(port), hostname);
  socket.on('error', () => {}); // a byte on its way when it is closed
  socket.write(beginning);
  let at = 0;
  const dripping = setInterval(() => socket.write(rest[at++ % rest.length]!), 20);
  let answer = '';
  socket.setEncoding('utf8').on('data', (text: string) => {
    answer += text;
  });
  const closed = new Promise<string>((resolve) => {
    socket.once('close', () => {
      clearInterval(dripping);
      resolve(answer);
    });
  });
  return { socket, closed };
}

const bodyOf = (answer: string): unknown => JSON.parse(answer.slice(answer.indexOf('\r\n\r\n') + 4));

const LATE = {
  error: {
    code: 'BAD_USER_INPUT',
    message: 'The request did not arrive whole in time: send it faster, or less of it.',
    requestId: expect.any(String),
  },
};

it.each([
  ['headers', () => drip('GET /healthz HTTP/1.1\r\nhost: x\r\n', 'x-a: b\r\n')],
  [
    'a body',
    () =>
      drip(
        `POST /graphql HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${tenant.serviceKey}\r\ncontent-type: application/json\r\ncontent-length: 100000\r\n\r\n{"query":"`,
        'x',
      ),
  ],
  [
    'a form',
    () =>
      drip(
        `POST /images HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${tenant.serviceKey}\r\ncontent-type: multipart/form-data; boundary=b\r\ntransfer-encoding: chunked\r\n\r\n`,
        '1\r\nx\r\n',
      ),
  ],
])('50 connections that send %s byte after byte are closed, and others are answered', async (_, slow) => {
  const connections = Array.from({ length: 50 }, slow);
  expect(await tenant.ask('{ viewer { role } }')).toMatchObject({ status: 200, errors: [] });
  const answers = await Promise.all(connections.map(({ closed }) => closed));
  // A byte that arrives after the end resets the connection, and the answer may be lost with it: not everybody's.
  const told = answers.filter((answer) => answer !== '');
  expect(told.length).toBeGreaterThan(0);
  for (const answer of told) {
    expect(answer).toMatch(/^HTTP\/1\.1 408 Request Timeout\r\n/);
    expect(answer).toContain("content-security-policy: default-src 'none'; frame-ancestors 'none'\r\n");
    expect(bodyOf(answer)).toEqual(LATE);
  }
  while (service.server.inFlight.count > 0) await new Promise((resolve) => setTimeout(resolve, 5));
});

it('a connection that sends nothing is closed', async () => {
  const { hostname, port } = new URL(service.url);
  const socket = connect(Number(port), hostname);
  await new Promise((resolve) => socket.resume().once('close', resolve));
});

it('a refused upload that goes on after its answer is closed', async () => {
  const { closed } = drip('POST /images HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n', 'x');
  const answer = await closed;
  expect(answer).toMatch(/^HTTP\/1\.1 401 /);
  expect(answer.match(/HTTP\/1\.1/g)).toHaveLength(1); // nothing more after the answer
});

it('a client that does not take its answers is closed, and its places are given back', async () => {
  const { url } = (await tenant.ask('query ($id: ID!) { image(by: { id: $id }) { url } }', { id: await uploadNoise() }))
    .data.image;
  const { hostname, port, pathname, search } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port) });
  socket.pause(); // takes what its buffers take, some megabytes
  const closed = new Promise((resolve) => socket.once('close', resolve));
  socket.on('error', () => {});
  socket.write(`GET ${pathname}${search} HTTP/1.1\r\nhost: x\r\n\r\n`.repeat(90));
  while (service.server.inFlight.count === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  while (service.server.inFlight.count > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  expect(await tenant.ask('{ viewer { role } }')).toMatchObject({ status: 200, errors: [] });
  socket.resume();
  await closed;
});

/** A picture that does not compress: some 190 kB. */
async function uploadNoise(): Promise<string> {
  const sharp = (await import('sharp')).default;
  const size = { width: 250, height: 250, channels: 3 as const };
  const bytes = await sharp(
    Buffer.from(Array.from({ length: 250 * 250 * 3 }, (_, i) => (i * i * 31 + (i >> 3)) % 251)),
    {
      raw: size,
    },
  )
    .png({ compressionLevel: 0 })
    .toBuffer();
  const response = await fetch(`${service.url}/images`, {
    method: 'POST',
    headers: { authorization: `Bearer ${tenant.serviceKey}`, 'content-type': 'image/png' },
    body: bytes,
  });
  return ((await response.json()) as { id: string }).id;
}

describe('work that takes too long', () => {
  let hasty: TestService;
  let asking: TestTenant;

  beforeAll(async () => {
    hasty = await testService({ timeouts: { ...DEFAULT_TIMEOUTS, requestMs: 60_000, workMs: 2_000 } });
    asking = await hasty.tenant();
  });
  afterAll(() => hasty.close());

  const MESSAGE =
    'This took longer than 2 seconds and may still be done: ask for less, or again with the same idempotency key.';

  function latch() {
    let open = () => {};
    const opened = new Promise<void>((resolve) => {
      open = resolve;
    });
    return { open: () => open(), opened };
  }

  async function idle(): Promise<void> {
    while (hasty.server.inFlight.count > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  }

  it('is answered for, and keeps its place until it ends', async () => {
    const { user } = hasty.test.database;
    const findMany = user.findMany;
    const { open, opened } = latch();
    Object.defineProperty(user, 'findMany', {
      configurable: true,
      value: async (...args: Parameters<typeof findMany>) => {
        await opened;
        return Reflect.apply(findMany, user, args);
      },
    });
    const { status, errors } = await asking.ask('{ users { nodes { id } } }');
    Object.defineProperty(user, 'findMany', { configurable: true, value: findMany });
    expect([status, errors]).toEqual([
      503,
      [{ message: MESSAGE, extensions: { code: 'OVERLOADED', requestId: expect.any(String) } }],
    ]);
    expect(hasty.server.inFlight.count).toBe(1);
    open();
    await idle();
  });

  it('of a picture is answered as an error is, and what comes of it later is dropped without a word', async () => {
    const id = await asking.upload('olive');
    const { data } = await asking.ask('query ($id: ID!) { image(by: { id: $id }) { url } }', { id });
    const { pictures } = hasty.platform;
    const get = pictures.get.bind(pictures);
    const { open, opened } = latch();
    pictures.get = async (...args) => {
      await opened;
      return get(...args);
    };
    const response = await fetch(data.image.url);
    expect([response.status, response.headers.get('content-type'), response.headers.get('cache-control')]).toEqual([
      503,
      'application/json; charset=utf-8',
      'no-store',
    ]);
    expect(await response.json()).toMatchObject({ error: { code: 'OVERLOADED', message: MESSAGE } });
    pictures.get = get;
    open();
    await idle();
    expect(hasty.logLines().join('')).not.toContain('signature=');
  });
});
