/** The keys that people's tokens are verified by: rotated, forged, weak, not to be had, and how often they are asked for. */
import { KeySets } from '../../src/domain/keySets.ts';
import { verifyPersonToken } from '../../src/domain/personTokens.ts';
import { type TestDatabase, testDatabase } from '../support/database.ts';
import { newKey, type Provider, type ProviderKey, startProvider } from '../support/provider.ts';
import { claimsOf, TEST_TLS, type TokenIssuer, tokenParts, tokenTenant } from '../support/tokens.ts';

let test: TestDatabase;
let platform: Parameters<typeof verifyPersonToken>[0];
/** Every provider that was started: one that stays open keeps the tests from ending. */
const providers: Provider[] = [];

beforeAll(async () => {
  test = await testDatabase();
  platform = { ...test, ...tokenParts(test.now) };
});
afterAll(async () => {
  await Promise.all(providers.map((each) => each.close()));
  await test.close();
});

/** A provider with these keys, and a tenant whose people have its tokens. */
async function tenantOfProvider(...keys: ProviderKey[]): Promise<{ own: Provider; from: TokenIssuer }> {
  const own = await startProvider(...keys);
  providers.push(own);
  const { issuer } = await tokenTenant(test.database, { keySetUrl: own.url, secrets: null });
  return { own, from: issuer };
}

const claims = (from: TokenIssuer) => claimsOf(from, { sub: 'ada' }, test.time);
const verify = (token: string) => verifyPersonToken(platform, token, test.time);
const refused = (message: string) => ({ code: 'UNAUTHENTICATED', message });

describe('a key set', () => {
  it('is read anew for a key that it lacks: a rotation is felt within 30 seconds', async () => {
    const [old, next] = [await newKey('ES256', 'old'), await newKey('ES256', 'next')];
    const { own, from } = await tenantOfProvider(old);
    await verify(await old.sign(claims(from)));
    own.keys = [old, next];
    const token = await next.sign(claims(from));
    const message = `The tenant's key set has no key for this token (kid "next", ES256); it was read a moment ago.`;
    await expect(verify(token)).rejects.toMatchObject(refused(message));
    test.time = new Date(test.time.getTime() + 30_000);
    expect(await verify(token)).toMatchObject({ role: 'USER' });
    expect(await verify(await old.sign(claims(from)))).toMatchObject({ role: 'USER' });
  });

  it('whose one key has no name may change it just so', async () => {
    const [old, next] = [await newKey('ES256'), await newKey('ES256')];
    const { own, from } = await tenantOfProvider(old);
    await verify(await old.sign(claims(from)));
    own.keys = [next];
    test.time = new Date(test.time.getTime() + 30_000);
    expect(await verify(await next.sign(claims(from)))).toMatchObject({ role: 'USER' });
  });

  it('is asked for once by 200 tokens of keys that never were', async () => {
    const [known, forged] = [await newKey('ES256', 'known'), await newKey('ES256', 'forged')];
    const { own, from } = await tenantOfProvider(known);
    await verify(await known.sign(claims(from)));
    test.time = new Date(test.time.getTime() + 30_000);
    const [header, payload, signature] = (await forged.sign(claims(from))).split('.');
    expect(header).toBeDefined();
    const flood = Array.from({ length: 200 }, (_, i) => {
      const named = Buffer.from(JSON.stringify({ alg: 'ES256', kid: `forged-${i}` })).toString('base64url');
      return verify(`${named}.${payload}.${signature}`).catch(({ code }) => code);
    });
    for (const code of await Promise.all(flood)) expect(['UNAUTHENTICATED', 'NOT_READY']).toContain(code);
    expect(own.asked).toHaveLength(2);
    expect(await verify(await known.sign(claims(from)))).toMatchObject({ role: 'USER' });
  });

  it('of several keys needs a token that names one', async () => {
    const [one, two] = [await newKey('ES256'), await newKey('ES256')];
    const { from } = await tenantOfProvider(one, two);
    await expect(verify(await one.sign(claims(from)))).rejects.toMatchObject(
      refused("The tenant's key set has several keys for this token: its header must name one (kid)."),
    );
  });

  it('with a key that is too weak or damaged lets nobody in, and is no fault of the service', async () => {
    const key = await newKey('RS256', 'weak');
    const { own, from } = await tenantOfProvider(key);
    own.answer = (_, response) =>
      response.end(JSON.stringify({ keys: [{ kty: 'RSA', kid: 'weak', n: 'AQAB', e: 'AQAB' }] }));
    await expect(verify(await key.sign(claims(from)))).rejects.toMatchObject(
      refused('The key that this token is signed with cannot be used for RS256.'),
    );
  });

  it('that cannot be had is told as such', async () => {
    const key = await newKey('ES256', 'lost');
    const { own, from } = await tenantOfProvider(key);
    await own.close();
    await expect(verify(await key.sign(claims(from)))).rejects.toMatchObject(
      refused(
        "The tenant's key set (tokenKeySetUrl) could not be had: it could not be reached over https at a public address. It is asked for again every 30 seconds.",
      ),
    );
  });

  it('is fetched from nowhere inside, whatever the row says', async () => {
    const strict = new KeySets({ internalHosts: [], ca: TEST_TLS.cert, now: test.now, log: { warn: () => {} } });
    const key = await newKey('ES256', 'inside');
    const { own, from } = await tenantOfProvider(key);
    await expect(
      verifyPersonToken({ ...platform, keySets: strict }, await key.sign(claims(from)), test.time),
    ).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    expect(own.asked).toEqual([]);
  });
});
