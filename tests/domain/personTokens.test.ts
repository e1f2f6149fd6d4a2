/** People's own tokens: which are believed, whom they stand for, and in which words the others are turned away. */
import { createHmac } from 'node:crypto';
import { SignJWT } from 'jose';
import { verifyPersonToken } from '../../src/domain/personTokens.ts';
import { SecretBox } from '../../src/domain/secretBox.ts';
import { newTenant, type TestDatabase, testDatabase } from '../support/database.ts';
import { newKey, type Provider, type ProviderKey, startProvider } from '../support/provider.ts';
import { claimsOf, signWithSecret, type TokenIssuer, tokenParts, tokenTenant } from '../support/tokens.ts';

type Tenant = Awaited<ReturnType<typeof newTenant>>;

let test: TestDatabase;
let platform: Parameters<typeof verifyPersonToken>[0];
let provider: Provider;
/** Every provider that was started: one that stays open keeps the tests from ending. */
const providers: Provider[] = [];
let rsa: ProviderKey;
/** Its tokens are signed with the provider's keys, or with a secret. */
let tenant: Tenant;
let issuer: TokenIssuer;

beforeAll(async () => {
  test = await testDatabase();
  platform = { ...test, ...tokenParts(test.now) };
  rsa = await newKey('RS256', 'rsa');
  provider = await openProvider(rsa);
  ({ tenant, issuer } = await tenantWithTokens());
});
beforeEach(() => {
  test.time = new Date('2026-01-01T12:00:00.000Z');
});
afterAll(async () => {
  await Promise.all(providers.map((each) => each.close()));
  await test.close();
});

async function openProvider(...keys: ProviderKey[]): Promise<Provider> {
  const started = await startProvider(...keys);
  providers.push(started);
  return started;
}

/** A tenant that takes tokens by key set and by secret, or by what is given of the two. */
const tenantWithTokens = (only: 'keySet' | 'secret' | 'both' = 'both') =>
  tokenTenant(test.database, {
    keySetUrl: only === 'secret' ? null : provider.url,
    secrets: only === 'keySet' ? null : platform.secrets,
  });

const claims = (changed: Record<string, unknown> = {}, from = issuer) =>
  claimsOf(from, { sub: 'ada', ...changed }, test.time);
const verify = (token: string, now = test.time) => verifyPersonToken(platform, token, now);
const seconds = (offset: number) => test.time.getTime() / 1000 + offset;
const refused = (message: string) => ({ code: 'UNAUTHENTICATED', message });
const userIds = (of: Tenant, externalId: string) =>
  of.run(async () => (await test.database.user.findMany({ where: { externalId } })).map(({ id }) => id));

/** header.payload.signature, each part as given. */
function raw(header: object, payload: object, sign: (data: string) => string = () => ''): string {
  const data = [header, payload].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
  return `${data}.${sign(data)}`;
}

describe('a token', () => {
  it('stands for the person that it names', async () => {
    const credential = await verify(await rsa.sign(claims()));
    const [userId] = await userIds(tenant, 'ada');
    expect(credential).toEqual({
      role: 'USER',
      tenant: { id: tenant.id, pointsPerMinute: 600_000 },
      id: userId,
      actor: Buffer.from(`User:${userId}`).toString('base64url'),
      userId,
      pointsPerMinute: 30_000,
      expiresAt: new Date(test.time.getTime() + 3_600_000),
    });
    expect(await verify(await signWithSecret(issuer, { sub: 'ada' }, test.time))).toEqual(credential);
  });

  it.each(['RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'])(
    'may be signed by %s',
    async (algorithm) => {
      const key = await newKey(algorithm, algorithm);
      const own = await openProvider(key);
      const { tenant: other, issuer: from } = await tenantWithTokens();
      await other.run(() =>
        test.database.tenant.update({ where: { id: other.id }, data: { tokenKeySetUrl: own.url } }),
      );
      expect(await verify(await key.sign(claims({}, from)))).toMatchObject({ role: 'USER', tenant: { id: other.id } });
    },
  );

  it.each(['HS384', 'HS512'])('may be signed by %s', async (alg) => {
    const key = new TextEncoder().encode(issuer.secret);
    expect(await verify(await new SignJWT(claims()).setProtectedHeader({ alg }).sign(key))).toBeDefined();
  });

  it('may name other audiences beside the tenant', async () => {
    expect(await verify(await rsa.sign(claims({ aud: ['shop', issuer.audience] })))).toBeDefined();
  });

  it('is good until 60 seconds after it expires, and from 60 seconds before it begins', async () => {
    expect(await verify(await rsa.sign(claims({ exp: seconds(-59) })))).toBeDefined();
    expect(await verify(await rsa.sign(claims({ nbf: seconds(60) })))).toBeDefined();
  });
});

describe('a token that is refused', () => {
  const ALGORITHMS = 'RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA, HS256, HS384, HS512';
  const AUDIENCE = 'it must name one tenant, as palate:<tenant> (TenantSettings.tokenAudience)';

  it.each(['hunter2', 'a.b', 'a.b.c', '...', `${'a'.repeat(20)}.${'b'.repeat(20)}.`, 'a b.c.d', 'W10.W10.'])(
    'is none: %j',
    async (token) => {
      await expect(verify(token)).rejects.toMatchObject(
        refused('This is no API key (plt_<tenant>_<secret>) and no JWT (header.payload.signature). Copy it whole.'),
      );
    },
  );

  it('is too long', async () => {
    const token = await rsa.sign(claims({ more: 'x'.repeat(10_000) }));
    await expect(verify(token)).rejects.toMatchObject(
      refused(`This token has ${token.length} characters; at most 8192 are read.`),
    );
  });

  it.each([
    ['none', '"none"'],
    ['None', '"None"'],
    ['ES256K', '"ES256K"'],
    [undefined, 'missing'],
    [['RS256'], '["RS256"]'],
  ])('is signed by %j', async (alg, shown) => {
    await expect(verify(raw({ alg }, claims()))).rejects.toMatchObject(
      refused(`The token's algorithm (alg) is ${shown}; it must be one of ${ALGORITHMS}.`),
    );
  });

  it('is signed by HS256 with the public key that everybody knows', async () => {
    const { tenant: other, issuer: from } = await tenantWithTokens('keySet');
    const pem = JSON.stringify(rsa.publicKey);
    const sign = (data: string) => createHmac('sha256', pem).update(data).digest('base64url');
    const header = { alg: 'HS256', kid: 'rsa' };
    await expect(verify(raw(header, claims({}, from), sign))).rejects.toMatchObject(
      refused('The token is signed with HS256, and the tenant has no shared secret (tokenSecret).'),
    );
    await expect(verify(raw(header, claims(), sign))).rejects.toMatchObject(
      refused('The signature does not fit: the token was altered, or signed with another key.'),
    );
    expect(await userIds(other, 'ada')).toEqual([]);
  });

  it('is signed with a key where the tenant has a secret alone', async () => {
    const { issuer: from } = await tenantWithTokens('secret');
    await expect(verify(await rsa.sign(claims({}, from)))).rejects.toMatchObject(
      refused('The token is signed with RS256, and the tenant has no key set (tokenKeySetUrl).'),
    );
  });

  it('was altered', async () => {
    const [header, , signature] = (await rsa.sign(claims())).split('.');
    const payload = Buffer.from(JSON.stringify(claims({ sub: 'eve' }))).toString('base64url');
    await expect(verify(`${header}.${payload}.${signature}`)).rejects.toMatchObject(
      refused('The signature does not fit: the token was altered, or signed with another key.'),
    );
    await expect(verify(`${header}.${payload}.`)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    expect(await userIds(tenant, 'eve')).toEqual([]);
  });

  it('asks for what is not understood (crit, b64)', async () => {
    const header = { alg: 'HS256', crit: ['b64'], b64: false };
    await expect(verify(raw(header, claims()))).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    await expect(verify(raw({ alg: 'HS256', crit: ['x'], x: 1 }, claims()))).rejects.toMatchObject({
      code: 'UNAUTHENTICATED',
    });
  });

  it.each<[string, () => Record<string, unknown>, () => string]>([
    [
      'has expired',
      () => ({ exp: seconds(-60) }),
      () => 'The token expired at 2026-01-01T11:59:00.000Z (exp); get a new one from its issuer.',
    ],
    [
      'never was good',
      () => ({ exp: -1e300 }),
      () => 'The token expired at -1e+300 (exp); get a new one from its issuer.',
    ],
    [
      'is not good yet',
      () => ({ nbf: seconds(61) }),
      () => 'The token is not good before 2026-01-01T12:01:01.000Z (nbf); it is 2026-01-01T12:00:00.000Z.',
    ],
    ['has no expiry', () => ({ exp: undefined }), () => "The token's claim exp is missing or not of its type."],
    [
      'is good for more than a day',
      () => ({ exp: seconds(86_461) }),
      () => 'The token is good until 2026-01-02T12:01:01.000Z (exp); one may be so for 24 hours at most.',
    ],
    [
      'is of another issuer',
      () => ({ iss: 'https://evil.test/' }),
      () => `The token's issuer (iss) is "https://evil.test/", which is not the tenant's tokenIssuer.`,
    ],
    ['has no issuer', () => ({ iss: undefined }), () => "The token's claim iss is missing or not of its type."],
    ['has no audience', () => ({ aud: undefined }), () => `The token's audience (aud) is missing; ${AUDIENCE}.`],
    ['is for another service', () => ({ aud: 'shop' }), () => `The token's audience (aud) is "shop"; ${AUDIENCE}.`],
    [
      'is for two tenants',
      () => ({ aud: [issuer.audience, 'palate:x'] }),
      () => `The token's audience (aud) is ["${issuer.audience}","palate:x"]; ${AUDIENCE}.`,
    ],
    [
      'is for no tenant',
      () => ({ aud: 'palate:00000000-0000-0000-0000-000000000000' }),
      () => `The token's audience (aud) is "palate:00000000-0000-0000-0000-000000000000"; ${AUDIENCE}.`,
    ],
    [
      'names nobody',
      () => ({ sub: undefined }),
      () => "The token's subject (sub) is missing; it must be the externalId of a user.",
    ],
    [
      'has an empty sub',
      () => ({ sub: '' }),
      () => 'The token names no user: sub is empty; it needs at least one character.',
    ],
    [
      'has a long sub',
      () => ({ sub: 'a'.repeat(256) }),
      () => 'The token names no user: sub has 256 characters; at most 255 are kept.',
    ],
    [
      'has a sub with NUL',
      () => ({ sub: 'a\0' }),
      () => 'The token names no user: sub holds a NUL character; leave it out.',
    ],
  ])('%s', async (_, changed, message) => {
    const token = await rsa.sign(claims(changed()));
    await expect(verify(token)).rejects.toMatchObject(refused(message()));
  });

  it('names one tenant twice', async () => {
    const token = await rsa.sign(claims({ aud: [issuer.audience, issuer.audience] }));
    await expect(verify(token)).rejects.toMatchObject({
      code: 'UNAUTHENTICATED',
      message: expect.stringContaining(AUDIENCE),
    });
  });

  it('has a sub that is no text', async () => {
    await expect(verify(raw({ alg: 'RS256' }, { ...claims(), sub: 7 }))).rejects.toMatchObject(
      refused("The token's subject (sub) is 7; it must be the externalId of a user."),
    );
  });

  it('is for another tenant, with the same provider, or the same secret', async () => {
    const { tenant: other, issuer: theirs } = await tenantWithTokens();
    // The provider serves both; the token of one is addressed to the other by whoever holds only the one's issuer.
    await expect(verify(await rsa.sign(claims({ aud: theirs.audience })))).rejects.toMatchObject(
      refused(`The token's issuer (iss) is "${issuer.issuer}", which is not the tenant's tokenIssuer.`),
    );
    await other.run(() =>
      test.database.tenant.update({
        where: { id: other.id },
        data: { tokenIssuer: issuer.issuer, tokenSecret: platform.secrets.seal(issuer.secret, other.id) },
      }),
    );
    const ours = await verify(await signWithSecret(issuer, { sub: 'bob' }, test.time));
    expect(ours.tenant.id).toBe(tenant.id);
    expect(await userIds(other, 'bob')).toEqual([]);
  });

  it('is for a tenant whose secret was copied from another row, or sealed with another key', async () => {
    const { tenant: other, issuer: theirs } = await tenantWithTokens('secret');
    const message = "The tenant's shared secret can be read no more: an ADMIN must set tokenSecret again.";
    const sealed = [
      platform.secrets.seal(issuer.secret, tenant.id),
      new SecretBox('another key of the installation').seal(issuer.secret, other.id),
      Uint8Array.of(1, 2, 3),
    ];
    for (const tokenSecret of sealed) {
      await other.run(() => test.database.tenant.update({ where: { id: other.id }, data: { tokenSecret } }));
      await expect(
        verify(await signWithSecret({ ...theirs, secret: issuer.secret }, { sub: 'ada' }, test.time)),
      ).rejects.toMatchObject(refused(message));
    }
  });

  it('is told the same of a tenant that takes no tokens and of one that never was', async () => {
    const message =
      "The tenant that this token is for (aud) takes no people's tokens: an ADMIN sets tokenIssuer and tokenKeySetUrl or tokenSecret with updateTenantSettings.";
    const other = await newTenant(test.database);
    const settings = (data: object) =>
      other.run(() => test.database.tenant.update({ where: { id: other.id }, data: { ...data } }));
    const token = () => rsa.sign(claims({ aud: `palate:${other.id}` }));
    await expect(verify(await token())).rejects.toMatchObject(refused(message));
    await settings({ tokenIssuer: issuer.issuer });
    await expect(verify(await token())).rejects.toMatchObject(refused(message));
    await settings({ tokenIssuer: null, tokenKeySetUrl: provider.url });
    await expect(verify(await token())).rejects.toMatchObject(refused(message));
    const nobody = await rsa.sign(claims({ aud: 'palate:01890000-0000-7000-8000-000000000000' }));
    await expect(verify(nobody)).rejects.toMatchObject(refused(message));
  });

  it('is of a suspended tenant: told so to who holds a genuine one, and to nobody else', async () => {
    const { tenant: other, issuer: from } = await tenantWithTokens();
    await other.run(() => test.database.tenant.update({ where: { id: other.id }, data: { suspendedAt: test.time } }));
    await expect(verify(await rsa.sign(claims({}, from)))).rejects.toMatchObject({
      code: 'FORBIDDEN',
      message: 'This tenant has been suspended since 2026-01-01T12:00:00.000Z: ask whoever runs the installation.',
    });
    const forged = await signWithSecret({ ...from, secret: 'x'.repeat(40) }, { sub: 'ada' }, test.time);
    await expect(verify(forged)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    expect(await userIds(other, 'ada')).toEqual([]);
  });
});

describe('an unknown sub', () => {
  it('becomes one person, however many of its tokens come first at once', async () => {
    const token = await rsa.sign(claims({ sub: 'grace' }));
    const credentials = await Promise.all(Array.from({ length: 8 }, () => verify(token)));
    expect(new Set(credentials.map(({ userId }) => userId))).toEqual(new Set(await userIds(tenant, 'grace')));
    expect(await userIds(tenant, 'grace')).toHaveLength(1);
  });

  it('is no user where there is no room for one more; who is known stays so', async () => {
    const { tenant: full, issuer: from } = await tenantWithTokens();
    await full.run(() => test.database.tenant.update({ where: { id: full.id }, data: { maxUsers: 1 } }));
    const first = await rsa.sign(claims({ sub: 'first' }, from));
    // All eight find that nobody is known; the last of them to count finds the tenant full.
    const credentials = await Promise.all(Array.from({ length: 8 }, () => verify(first)));
    expect(new Set(credentials.map(({ userId }) => userId)).size).toBe(1);
    await expect(verify(await rsa.sign(claims({ sub: 'second' }, from)))).rejects.toMatchObject({
      code: 'FORBIDDEN',
      message:
        'The tenant has as many users as it may have (Tenant.limits.maxUsers), and "second" is none of them yet: no more are made.',
    });
    expect(await verify(first)).toMatchObject({ role: 'USER' });
  });
});
