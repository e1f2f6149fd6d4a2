/** Credentials that are none: keys cut short, changed or of other tenants, and tokens that nobody has signed. */
import { createHmac } from 'node:crypto';
import type { Random } from '../../../src/random.ts';
import { type FuzzTarget, type Generator, randomBytes } from './target.ts';

function forgedKey(random: Random, { serviceKey }: FuzzTarget): string {
  const at = random.int(serviceKey.length);
  const [, tenant, secret] = serviceKey.split('_');
  const wrong = random.pick(['A', 'B', '_', '-', '0', '.', '%00'].filter((character) => character !== serviceKey[at]));
  return random.pick([
    () => serviceKey.slice(0, at),
    () => serviceKey.slice(0, at) + wrong + serviceKey.slice(at + 1),
    () => serviceKey.toUpperCase(),
    () => `${serviceKey}${serviceKey}`,
    () => `plt_${randomBytes(random, 16).toString('hex')}_${secret}`,
    () => `plt_${'0'.repeat(32)}_${secret}`,
    () => `plt_${tenant}_${randomBytes(random, 24).toString('base64url')}`,
    () => `plt_${'f'.repeat(random.pick([32, 5_000]))}_${'a'.repeat(32)}`,
  ])();
}

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');

function forgedToken(random: Random, { serviceKey, externalIds }: FuzzTarget): string {
  const hex = serviceKey.split('_')[1]!;
  const tenant = hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
  const header = {
    alg: random.pick(['none', 'None', 'HS256', 'RS256', 'ES256', 'EdDSA', '', 7, null]),
    ...(random.uniform() < 0.5 ? { typ: 'JWT' } : {}),
    ...(random.uniform() < 0.3 ? { kid: random.pick(['a', '../../x', "' OR 1=1", '\0', 'k'.repeat(2_000)]) } : {}),
    ...(random.uniform() < 0.2
      ? { jku: 'https://127.0.0.1:1/jwks', jwk: { kty: 'oct', k: 'AA' }, x5u: 'http://[::1]/' }
      : {}),
    ...(random.uniform() < 0.1 ? { crit: ['b64'], b64: false } : {}),
  };
  const claims = {
    iss: random.pick(['https://login.example', '', 7, tenant]),
    aud: random.pick([`palate:${tenant}`, [`palate:${tenant}`, 'x'], 'palate:', null]),
    sub: random.pick([...externalIds, '', '\0', 'x'.repeat(3_000), 7]),
    exp: random.pick([9_999_999_999, 0, -1, 'never', 1e300]),
    ...(random.uniform() < 0.3 ? { nbf: 9_999_999_999, role: 'OPERATOR', tenant } : {}),
  };
  const signed = `${encode(header)}.${encode(claims)}`;
  const signature = random.pick([
    () => '',
    () =>
      createHmac('sha256', random.pick(['', 'secret', serviceKey]))
        .update(signed)
        .digest('base64url'),
    () => randomBytes(random, 64).toString('base64url'),
    () => '!',
  ])();
  const token = `${signed}.${signature}`;
  return random.pick([
    () => token,
    () => token,
    () => token.slice(0, random.int(token.length)),
    () => '..',
    () => 'a.b.c.d.e',
  ])();
}

const SCHEMES = ['Bearer', 'bearer', 'BEARER', 'Basic', 'Digest', 'Negotiate', '', 'Bearer Bearer', 'Bearer '];

export const forgedCredential: Generator = (random, target) => {
  const credential = random.uniform() < 0.5 ? forgedKey(random, target) : forgedToken(random, target);
  const scheme = random.uniform() < 0.7 ? 'Bearer' : random.pick(SCHEMES);
  const picture = random.uniform() < 0.2;
  return {
    ...{ via: 'http', method: 'POST', path: picture ? '/images' : '/graphql' },
    headers: {
      'content-type': picture ? 'image/png' : 'application/json',
      authorization: `${scheme} ${credential}`,
      ...(random.uniform() < 0.2 ? { 'x-tenant-id': 'other', cookie: `session=${credential}` } : {}),
    },
    body: picture ? target.picture : '{"query":"{ viewer { role tenant { id } } }"}',
  };
};
