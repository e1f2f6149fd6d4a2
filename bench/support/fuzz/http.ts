/** HTTP itself: paths and methods that are not there, headers too many, too long or contradictory, and bytes that are none. */
import type { Random } from '../../../src/random.ts';
import { type FuzzTarget, type Generator, graphqlPost, randomBytes, someKey } from './target.ts';

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND', 'SEARCH', 'MKCOL'];
const PATHS = [
  ...['/', '/graphql/', '/graphql/../images', '//graphql', '/graphql%00', '/GRAPHQL', '/.env', '/admin', '/metrics'],
  ...['/images', '/images/x', '/pictures', '/pictures/a/b', '/health', '/healthz', '/readyz'],
  ...[
    '/%',
    '/%zz',
    '/%ff%fe',
    '/a%2fb',
    '/graphql?query=%7Bviewer%7Brole%7D%7D',
    '/graphql?query=',
    '/graphql?variables=%7B',
  ],
  ...[
    `/${'a/'.repeat(2_000)}`,
    `/graphql?${'a=b&'.repeat(1_500)}`,
    '/graphql?__proto__[x]=1',
    '/__proto__',
    '/constructor',
  ],
];

export const randomRoute: Generator = (random, target) => {
  const method = random.pick(METHODS);
  const withBody = !['GET', 'HEAD', 'OPTIONS', 'TRACE'].includes(method) && random.uniform() < 0.7;
  return {
    ...{ via: 'http', method, path: random.pick(PATHS), body: withBody ? '{"query":"{ viewer { role } }"}' : null },
    headers: {
      ...(random.uniform() < 0.7 ? { authorization: `Bearer ${someKey(random, target)}` } : {}),
      ...(withBody ? { 'content-type': random.pick(['application/json', 'text/plain', 'image/png']) } : {}),
      ...(random.uniform() < 0.2 ? { 'apollo-require-preflight': '1' } : {}),
      ...(random.uniform() < 0.2
        ? { origin: random.pick(['null', 'https://evil.example', 'x']), 'access-control-request-method': 'POST' }
        : {}),
    },
  };
};

/** A good request among headers that are not. */
export const oddHeaders: Generator = (random, target) => {
  const headers = random.pick<() => Record<string, string>>([
    () => ({ 'x-request-id': random.pick(['a b', 'é', '../..', 'x'.repeat(5_000), '%{jndi}']) }),
    () => ({ 'x-long': 'x'.repeat(random.pick([1_000, 15_000, 20_000, 100_000])) }),
    () => Object.fromEntries(Array.from({ length: random.pick([100, 1_000, 3_000]) }, (_, i) => [`x-h${i}`, 'v'])),
    () => ({ 'x-forwarded-for': '1.2.3.4, ::1', 'x-forwarded-host': 'evil', 'x-http-method-override': 'DELETE' }),
    () => ({ host: random.pick(['evil.example', '[::1]:1', 'a'.repeat(2_000)]) }),
    () => ({ expect: random.pick(['100-continue', '200-ok']) }),
    () => ({ connection: random.pick(['upgrade', 'close', 'x']), upgrade: random.pick(['websocket', 'h2c']) }),
    () => ({ 'accept-encoding': random.pick(['gzip;q=9', '*', 'x'.repeat(3_000)]), range: 'bytes=0-1,5-9999999999' }),
    () => ({ 'if-none-match': '*', 'if-modified-since': 'yesterday', te: 'trailers', via: '1.1 x' }),
  ])();
  return graphqlPost(someKey(random, target), '{"query":"{ viewer { role } }"}', headers);
};

const line = (...lines: string[]) => Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');

/** Bytes that no HTTP client would send. */
export const socketGarbage: Generator = (random, target) => {
  const good = [
    `POST /graphql HTTP/1.1`,
    'Host: x',
    `Authorization: Bearer ${someKey(random, target)}`,
    'Content-Type: application/json',
  ];
  const bytes = random.pick([
    () => randomBytes(random, random.pick([1, 16, 500, 20_000])),
    () => Buffer.from('16030100f8010000f4030312', 'hex'),
    () => Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
    () => line('GET / HTTP/9.9', 'Host: x'),
    () => line('FOO /graphql HTTP/1.1', 'Host: x'),
    () => line('GET /graphql HTTP/1.1'),
    () => line('GET http://evil.example/ HTTP/1.1', 'Host: x'),
    () => line('GET /\0 HTTP/1.1', 'Host: x'),
    () => line(...good, 'Content-Length: 5', 'Transfer-Encoding: chunked', '', '0'),
    () => line(...good, 'Content-Length: -1'),
    () => line(...good, 'Content-Length: 99999999999999999999'),
    () => line(...good, 'Content-Length: 3', 'Content-Length: 4'),
    () => line(...good, 'Transfer-Encoding: chunked', '', 'zz', 'x'),
    () => line(...good, 'Transfer-Encoding: chunked', '', 'ffffffffffffffff', 'x'),
    () => line(...good, 'X-Null: a\0b'),
    () => line(...good, ' folded: x'),
    () => line(...good, `X: ${'x'.repeat(100_000)}`),
    () => Buffer.concat(Array.from({ length: 50 }, () => line('GET /healthz HTTP/1.1', 'Host: x'))),
    () => Buffer.from('\r\n'.repeat(5_000)),
  ])();
  return { via: 'socket', bytes, end: random.uniform() < 0.5 };
};

/** A request that begins and does not go on: the other half is for the service to end. */
export const halfOpen: Generator = (random, target) => {
  const whole = wholeRequest(random, target);
  return { via: 'socket', bytes: whole.subarray(0, random.int(whole.length)), end: random.uniform() < 0.3 };
};

function wholeRequest(random: Random, target: FuzzTarget): Buffer {
  const picture = random.uniform() < 0.3;
  const body = picture ? target.picture : Buffer.from('{"query":"{ viewer { role } }"}');
  const head = [
    `POST ${picture ? '/images' : '/graphql'} HTTP/1.1`,
    ...['Host: x', `Authorization: Bearer ${someKey(random, target)}`, `Content-Length: ${body.length}`],
    `Content-Type: ${picture ? 'image/png' : 'application/json'}`,
  ];
  return Buffer.concat([line(...head), body]);
}
