/** Requests in flight: what is refused when there are too many, what is not, and that no place is lost. */
import type { IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { picture, type TestService, type TestTenant, testService } from './service.ts';

const MOST = 4;
let service: TestService;
let flooder: TestTenant;
let other: TestTenant;

beforeAll(async () => {
  service = await testService({ maxRequestsInFlight: MOST });
  [flooder, other] = await Promise.all([service.tenant(), service.tenant()]);
});
afterAll(() => service.close());

const USERS = '{ users { nodes { id } } }';

/** Holds every query of users until it is opened; `reached` counts those that wait. */
function gate() {
  const { user } = service.test.database;
  const findMany = user.findMany;
  let open = () => {};
  let reached = 0;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  Object.defineProperty(user, 'findMany', {
    configurable: true,
    value: async (...args: Parameters<typeof findMany>) => {
      reached++;
      await opened;
      return Reflect.apply(findMany, user, args);
    },
  });
  return {
    reached: (count: number) => until(() => reached >= count),
    open() {
      Object.defineProperty(user, 'findMany', { configurable: true, value: findMany });
      open();
    },
  };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

const idle = () => until(() => service.server.inFlight.count === 0);

const viewer = (headers: Record<string, string>, signal?: AbortSignal, query = '{ viewer { role } }') =>
  fetch(`${service.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ query }),
    ...(signal ? { signal } : {}),
  });

it('refuses one tenant at half of all, and answers the others', async () => {
  const held = gate();
  const waiting = [flooder.ask(USERS), flooder.ask(USERS)];
  await held.reached(2);
  const response = await viewer({ authorization: `Bearer ${flooder.serviceKey}` });
  expect([response.status, response.headers.get('retry-after'), await response.json()]).toEqual([
    503,
    '1',
    {
      errors: [
        {
          message:
            'This tenant has 2 requests in flight, half of what the service takes at once: send this again in a second.',
          extensions: { code: 'OVERLOADED', requestId: expect.any(String) },
        },
      ],
    },
  ]);
  expect(await other.ask('{ viewer { role } }')).toMatchObject({ status: 200, errors: [] });
  const guess = `${flooder.serviceKey.slice(0, -8)}AAAAAAAA`; // tells nobody how busy a tenant is
  expect((await viewer({ authorization: `Bearer ${guess}` })).status).toBe(401);
  held.open();
  for (const { errors } of await Promise.all(waiting)) expect(errors).toEqual([]);
  await idle();
  expect(await flooder.ask('{ viewer { role } }')).toMatchObject({ status: 200, errors: [] });
});

it('refuses at its door as behind it', async () => {
  const held = gate();
  const waiting = [flooder.ask(USERS), flooder.ask(USERS)];
  await held.reached(2);
  const headers = {
    authorization: `Bearer ${flooder.serviceKey}`,
    accept: 'application/graphql-response+json',
    'x-request-id': 'mine',
  };
  const [atDoor, behind] = await Promise.all([viewer(headers), viewer({ ...headers, origin: 'https://a.example' })]);
  const told = async (response: Response) => {
    // What is left of points is not looked up at the door.
    const headers = [...response.headers].filter(([name]) => !/^(date|connection|keep-alive|ratelimit.*)$/.test(name));
    return [response.status, Object.fromEntries(headers), await response.json()];
  };
  expect(await told(atDoor)).toEqual(await told(behind));
  held.open();
  await Promise.all(waiting);
  await idle();
});

it('counts a picture among the requests of the tenant whose it is, once its address has proved to be good', async () => {
  const id = await flooder.upload('blue');
  const { data } = await flooder.ask('query ($id: ID!) { image(by: { id: $id }) { url } }', { id });
  const { url } = data.image as { url: string };
  const { pictures } = service.platform;
  const get = pictures.get.bind(pictures);
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  let reached = 0;
  pictures.get = async (...args) => {
    reached++;
    await opened;
    return get(...args);
  };
  const waiting = [fetch(url), fetch(url)];
  await until(() => reached === 2);
  expect((await fetch(url)).status).toBe(503);
  expect((await fetch(url.replace('signature=', 'signature=x'))).status).toBe(404); // no share of it is taken
  expect(await flooder.ask('{ viewer { role } }')).toMatchObject({ status: 503 });
  expect(await other.ask('{ viewer { role } }')).toMatchObject({ status: 200 });
  pictures.get = get;
  open();
  for (const response of await Promise.all(waiting)) await response.arrayBuffer();
  await idle();
});

describe('when all places are taken', () => {
  it('refuses whoever asks, before the key and the body are read, but answers for its health', async () => {
    const held = gate();
    const waiting = [flooder, flooder, other, other].map((tenant) => tenant.ask(USERS));
    await held.reached(MOST);
    const words = 'The service is answering 4 requests, the most it takes at once: send this again in a second.';
    const before = service.statements();
    for (const headers of [{}, { authorization: `Bearer ${other.serviceKey}` }]) {
      const response = await viewer(headers as Record<string, string>);
      expect([response.status, response.headers.get('retry-after'), await response.json()]).toMatchObject([
        503,
        '1',
        { errors: [{ message: words, extensions: { code: 'OVERLOADED' } }] },
      ]);
    }
    const plain = await fetch(`${service.url}/images`, { method: 'POST', body: await picture('red') });
    expect([plain.status, await plain.json()]).toEqual([
      503,
      { error: { code: 'OVERLOADED', message: words, requestId: expect.any(String) } },
    ]);
    expect(service.statements()).toBe(before);
    for (const path of ['/healthz', '/readyz']) expect((await fetch(service.url + path)).status).toBe(200);
    held.open();
    await Promise.all(waiting);
    await idle();
  });

  it('does not hold the connection of a refused upload that goes on and on', async () => {
    const held = gate();
    const waiting = [flooder, flooder, other, other].map((tenant) => tenant.ask(USERS));
    await held.reached(MOST);
    const { hostname, port } = new URL(service.url);
    const socket = connect(Number(port), hostname);
    let answer = '';
    socket.setEncoding('utf8').on('data', (text: string) => {
      answer += text;
    });
    socket.on('error', () => {}); // written to when it is closed
    socket.write('POST /images HTTP/1.1\r\nhost: x\r\ncontent-length: 100000000\r\n\r\n');
    const dripping = setInterval(() => socket.write('x'), 50);
    await new Promise((resolve) => socket.once('close', resolve));
    clearInterval(dripping);
    expect(answer).toMatch(/^HTTP\/1\.1 503 /);
    held.open();
    await Promise.all(waiting);
    await idle();
  });
});

describe('a place', () => {
  it('is given back however the request ends', async () => {
    const authorization = `Bearer ${other.serviceKey}`;
    for (let round = 0; round < MOST; round++) {
      await viewer({}); // no key
      await viewer({ authorization }, undefined, '{ nonsense }');
      await fetch(`${service.url}/nowhere`, { method: 'POST', body: 'x' });
      await fetch(`${service.url}/%zz`);
      await fetch(`${service.url}/images`, { method: 'POST', headers: { authorization }, body: Buffer.alloc(300_000) });
      await fetch(`${service.url}/pictures/x/y?signature=no`);
    }
    await idle();
  });

  it('is given back when the client is gone, once the work that it left has ended', async () => {
    const held = gate();
    const gone = new AbortController();
    const left = new Promise((resolve) => {
      service.server.server.once('request', ({ socket }: IncomingMessage) => socket.once('close', resolve));
    });
    const waiting = viewer({ authorization: `Bearer ${other.serviceKey}` }, gone.signal, USERS);
    await held.reached(1);
    gone.abort();
    await expect(waiting).rejects.toThrow('aborted');
    await left;
    expect(service.server.inFlight.count).toBe(1);
    held.open();
    await idle();
  });

  it('is given back for each of the requests that a connection had ahead when it was closed', async () => {
    const held = gate();
    const { hostname, port } = new URL(service.url);
    const socket = connect(Number(port), hostname);
    const body = JSON.stringify({ query: USERS });
    const ask = `POST /graphql HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${other.serviceKey}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
    socket.write(ask.repeat(2));
    await held.reached(2);
    expect(service.server.inFlight.count).toBe(2);
    socket.destroy();
    held.open();
    await idle();
    expect(await other.ask('{ viewer { role } }')).toMatchObject({ status: 200, errors: [] });
  });
});
