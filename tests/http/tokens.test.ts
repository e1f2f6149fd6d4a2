/** People's own tokens over HTTP: whom they let in, what a person sees, and in which words the rest is turned away. */
import { newKey, type Provider, type ProviderKey, startProvider } from '../support/provider.ts';
import { claimsOf, newIssuer, signWithSecret, type TokenIssuer } from '../support/tokens.ts';
import { picture, type TestService, type TestTenant, testService } from './service.ts';

const SETTINGS = 'settings { tokenIssuer tokenKeySetUrl tokenSecretSet tokenAudience anonymousSimilarity }';
const WHO = '{ viewer { role user { externalId } tenant { name } } }';

let service: TestService;
let tenant: TestTenant;
let provider: Provider;
let key: ProviderKey;

beforeAll(async () => {
  service = await testService();
  tenant = await service.tenant();
  key = await newKey('ES256', 'current');
  provider = await startProvider(key);
});
afterAll(async () => {
  await provider.close();
  await service.close();
});

const setTokens = async (of: TestTenant, input: object) =>
  (
    await of.ask(
      `mutation ($input: UpdateTenantSettingsInput!) {
        updateTenantSettings(input: $input) { tenant { ${SETTINGS} } userErrors { field code message } }
      }`,
      { input },
      of.adminKey,
    )
  ).data.updateTenantSettings;

/** A tenant of its own whose people have tokens of the provider's, and who issues them. */
async function tenantOfProvider(): Promise<{ other: TestTenant; issuer: TokenIssuer }> {
  const other = await service.tenant();
  const issuer = newIssuer(other.id);
  await setTokens(other, { tokenIssuer: issuer.issuer, tokenKeySetUrl: provider.url });
  return { other, issuer };
}

describe('settings of tokens', () => {
  it('are set, kept where left out, and taken away by null; the secret is never shown', async () => {
    const other = await service.tenant();
    const secret = 'a secret of thirty-two bytes, ok';
    const given = {
      tokenIssuer: 'https://id.example/',
      tokenKeySetUrl: 'https://id.example/keys',
      tokenSecret: secret,
    };
    const settings = {
      ...{ tokenIssuer: 'https://id.example/', tokenKeySetUrl: 'https://id.example/keys', tokenSecretSet: true },
      ...{ tokenAudience: `palate:${other.id}`, anonymousSimilarity: false },
    };
    expect(await setTokens(other, given)).toEqual({ tenant: { settings }, userErrors: [] });
    expect(await setTokens(other, {})).toEqual({ tenant: { settings }, userErrors: [] });
    const row = await other.run(() => service.test.database.tenant.findFirstOrThrow());
    expect(Buffer.from(row.tokenSecret!).includes(secret)).toBe(false);
    expect((await setTokens(other, { tokenSecret: null })).tenant.settings).toEqual({
      ...settings,
      tokenSecretSet: false,
    });
    expect((await setTokens(other, { tokenIssuer: null, tokenKeySetUrl: null })).tenant.settings).toMatchObject({
      ...{ tokenIssuer: null, tokenKeySetUrl: null },
    });
  });

  it.each([
    ['tokenIssuer', 'tokenIssuer is empty; it needs at least one character.', 'INVALID', ''],
    ['tokenIssuer', 'tokenIssuer has 2001 characters; at most 2000 are kept.', 'TOO_LARGE', 'i'.repeat(2001)],
    ['tokenKeySetUrl', 'tokenKeySetUrl is empty; it needs at least one character.', 'INVALID', ''],
    [
      'tokenKeySetUrl',
      'tokenKeySetUrl has 2001 characters; at most 2000 are kept.',
      'TOO_LARGE',
      `https://id.example/${'k'.repeat(1982)}`,
    ],
    [
      'tokenKeySetUrl',
      'tokenKeySetUrl cannot be asked for a key set: it must be an https:// address.',
      'INVALID',
      'http://id.example/keys',
    ],
    [
      'tokenKeySetUrl',
      'tokenKeySetUrl cannot be asked for a key set: it must hold no user name and no password.',
      'INVALID',
      'https://a:b@id.example/keys',
    ],
    [
      'tokenKeySetUrl',
      'tokenKeySetUrl cannot be asked for a key set: it must have no fragment (#…).',
      'INVALID',
      'https://id.example/keys#a',
    ],
    [
      'tokenKeySetUrl',
      'tokenKeySetUrl cannot be asked for a key set: 169.254.169.254 is not an address of the public internet.',
      'INVALID',
      'https://169.254.169.254/keys',
    ],
    ['tokenSecret', 'tokenSecret has 31 bytes; it needs at least 32, drawn at random.', 'INVALID', 's'.repeat(31)],
    ['tokenSecret', 'tokenSecret has 0 bytes; it needs at least 32, drawn at random.', 'INVALID', ''],
    ['tokenSecret', 'tokenSecret has 1026 bytes; at most 1024 are kept.', 'TOO_LARGE', 'é'.repeat(513)],
  ])('refuse %s: %s', async (field, message, code, value) => {
    expect(await setTokens(tenant, { anonymousSimilarity: true, [field]: value })).toEqual({
      ...{ tenant: null, userErrors: [{ field: [field], code, message }] },
    });
    const { data } = await tenant.ask(
      '{ viewer { tenant { settings { anonymousSimilarity } } } }',
      {},
      tenant.adminKey,
    );
    expect(data.viewer.tenant.settings.anonymousSimilarity).toBe(false);
  });
});

describe('a person', () => {
  it('is let in by a token of its provider, and made by the first one, once', async () => {
    const { other, issuer } = await tenantOfProvider();
    const token = await key.sign(claimsOf(issuer, { sub: 'grace' }, service.test.time));
    const answers = await Promise.all(Array.from({ length: 8 }, () => other.ask(WHO, {}, token)));
    for (const { data } of answers) {
      expect(data.viewer).toEqual({ role: 'USER', user: { externalId: 'grace' }, tenant: { name: 'a tenant' } });
    }
    const { data } = await other.ask('{ users { totalCount nodes { externalId } } }');
    expect(data.users).toEqual({ totalCount: 1, nodes: [{ externalId: 'grace' }] });
  });

  it('costs one statement to know', async () => {
    const token = await tenant.personKey('ada');
    await tenant.ask('{ viewer { role } }', {}, token);
    const before = service.statements();
    await tenant.ask('{ viewer { role } }', {}, token);
    expect(service.statements() - before).toBe(1);
  });

  it('sees themself and nobody else', async () => {
    const [ada, bob] = await tenant.people('ada', 'bob');
    const image = await tenant.upload('#804020', { externalId: 'brown' });
    await tenant.judge(bob!, 'LIKE', image);
    const token = await tenant.personKey('ada');
    const { data } = await tenant.ask(
      `query ($ada: ID!, $bob: ID!) {
        self: user(by: { id: $ada }) { externalId feedback { nodes { sentiment } } }
        other: user(by: { id: $bob }) { externalId }
        named: user(by: { externalId: "bob" }) { externalId }
        nodes(ids: [$ada, $bob]) { id }
      }`,
      { ada, bob },
      token,
    );
    expect(data).toEqual({
      ...{ self: { externalId: 'ada', feedback: { nodes: [] } }, other: null, named: null },
      nodes: [{ id: ada }, null],
    });
    const { status, errors } = await tenant.ask('{ users { nodes { externalId } } }', {}, token);
    expect(status).toBe(403);
    expect(errors).toMatchObject([{ extensions: { code: 'FORBIDDEN' } }]);
  });

  it('judges with a weight of 1', async () => {
    const image = await tenant.upload('#802020');
    const judge = async (item: object) =>
      (
        await tenant.ask(
          `mutation ($items: [FeedbackItem!]!) {
            submitFeedback(input: { items: $items }) { feedback { sentiment weight } userErrors { field code message } }
          }`,
          { items: [{ user: { externalId: 'ada' }, image: { id: image }, sentiment: 'LIKE', ...item }] },
          await tenant.personKey('ada'),
        )
      ).data.submitFeedback;
    const message = "weight is 2; a person's own judgements weigh 1.";
    expect(await judge({ weight: 2 })).toEqual({
      ...{ feedback: [null], userErrors: [{ field: ['items', '0', 'weight'], code: 'INVALID', message }] },
    });
    expect(await judge({ weight: 1 })).toEqual({ feedback: [{ sentiment: 'LIKE', weight: 1 }], userErrors: [] });
    expect(await judge({ user: { externalId: 'bob' } })).toMatchObject({ userErrors: [{ code: 'NOT_FOUND' }] });
  });

  it('may upload no picture', async () => {
    const response = await fetch(`${service.url}/images`, {
      method: 'POST',
      headers: { authorization: `Bearer ${await tenant.personKey('ada')}`, 'content-type': 'image/png' },
      body: new Uint8Array(await picture('#123456')),
    });
    expect(response.status).toBe(403);
    expect(await response.json()).toMatchObject({
      error: { code: 'FORBIDDEN', message: "POST /images is for SERVICE; this credential's role is USER." },
    });
  });
});

describe('a token that is refused', () => {
  const ask = async (token: string, path = '/graphql') => {
    const response = await fetch(service.url + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      body: JSON.stringify({ query: WHO }),
    });
    return { response, body: await response.json() };
  };
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');

  it.each<[string, (issuer: TokenIssuer, other: TokenIssuer) => Promise<string>, RegExp]>([
    [
      'is not signed',
      async (issuer) => `${part({ alg: 'none' })}.${part(claimsOf(issuer, { sub: 'ada' }, service.test.time))}.`,
      /^The token's algorithm \(alg\) is "none"; it must be one of RS256, /,
    ],
    [
      'is signed with the public key',
      (issuer) =>
        signWithSecret({ ...issuer, secret: JSON.stringify(key.publicKey) }, { sub: 'ada' }, service.test.time),
      /^The token is signed with HS256, and the tenant has no shared secret \(tokenSecret\)\.$/,
    ],
    [
      'is for another tenant',
      (issuer, other) => key.sign(claimsOf({ ...issuer, audience: other.audience }, { sub: 'ada' }, service.test.time)),
      /^The token's issuer \(iss\) is "https:\/\/provider\.test\/[0-9a-f-]+", which is not the tenant's tokenIssuer\.$/,
    ],
    [
      'has expired',
      (issuer) => key.sign(claimsOf(issuer, { sub: 'ada', exp: 1_600_000_000 }, service.test.time)),
      /^The token expired at 2020-09-13T12:26:40\.000Z \(exp\); get a new one from its issuer\.$/,
    ],
    [
      'is of 10 kB',
      (issuer) => key.sign(claimsOf(issuer, { sub: 'ada', more: 'x'.repeat(7_000) }, service.test.time)),
      /^This token has \d+ characters; at most 8192 are read\.$/,
    ],
  ])('%s: 401 with the reason, on every route', async (_, token, message) => {
    const [{ issuer }, { issuer: other }] = [await tenantOfProvider(), await tenantOfProvider()];
    const bearer = await token(issuer, other);
    const graphql = await ask(bearer);
    expect(graphql.response.status).toBe(401);
    expect(graphql.response.headers.get('www-authenticate')).toBe('Bearer realm="palate"');
    expect(graphql.body).toMatchObject({
      errors: [{ message: expect.stringMatching(message), extensions: { code: 'UNAUTHENTICATED' } }],
    });
    const images = await ask(bearer, '/images');
    expect(images.response.status).toBe(401);
    expect(images.body).toMatchObject({ error: { code: 'UNAUTHENTICATED', message: expect.stringMatching(message) } });
  });
});

describe('how near others are in taste', () => {
  let other: TestTenant;
  const PEOPLE = 60;
  const similar = async (args = '(first: 100)') =>
    other.ask(
      `{ viewer { user { similarUsers${args} { edges { cursor node { similarity user { externalId } } } pageInfo { hasNextPage } } } } }`,
      {},
      await other.personKey('p0'),
    );
  const list = async () => (await similar()).data.viewer.user.similarUsers;
  const NOBODY = { edges: [], pageInfo: { hasNextPage: false } };
  const judge = (people: number[], images: string[]) =>
    other.ask(
      'mutation ($items: [FeedbackItem!]!) { submitFeedback(input: { items: $items }) { userErrors { message } } }',
      {
        items: people.flatMap((i) =>
          images.map((id, j) => ({
            ...{ user: { externalId: `p${i}` }, image: { id } },
            sentiment: (i >> j) % 2 === 0 ? 'LIKE' : 'DISLIKE',
          })),
        ),
      },
    );
  const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);

  it('is told where the tenant wants it, of 20 people on, to two decimals, of 50 at most, and without names', async () => {
    other = await service.tenant();
    const images = [];
    for (const colour of ['#ff0000', '#00ff00', '#0000ff', '#ffff00', '#00ffff', '#ff00ff']) {
      images.push(await other.upload(colour));
    }
    await other.encode();
    await other.people(...numbers(0, PEOPLE).map((i) => `p${i}`));
    await judge(numbers(0, 19), images);
    expect(await list()).toEqual(NOBODY); // off
    await setTokens(other, { anonymousSimilarity: true });
    expect(await list()).toEqual(NOBODY); // 19 people who have judged
    await judge([19], images);
    expect((await list()).edges).toHaveLength(19);
    await judge(numbers(20, PEOPLE), images);
    const { edges, pageInfo } = await list();
    expect(edges).toHaveLength(50);
    expect(pageInfo).toEqual({ hasNextPage: false });
    for (const { node } of edges) {
      expect(node.user).toBeNull();
      expect(node.similarity).toBe(Math.round(node.similarity * 100) / 100);
    }
    const { errors } = await similar(`(first: 10, after: "${edges[0].cursor}")`);
    expect(errors).toMatchObject([{ extensions: { code: 'BAD_USER_INPUT' } }]);
    await setTokens(other, { anonymousSimilarity: false });
    expect(await list()).toEqual(NOBODY);
  });
});

it('a judgement of a picture that was given to somebody else since is neither seen nor read, and comes back with it', async () => {
  const other = await service.tenant();
  const [ada] = (await other.people('ada', 'bob')) as [string];
  const [red, blue] = [await other.upload('#ff0000'), await other.upload('#0000ff')];
  await other.encode();
  await other.judge(ada, 'LIKE', red);
  await other.judge(ada, 'DISLIKE', blue);
  const token = await other.personKey('ada');
  const give = (owner: object | null) =>
    other.ask(
      'mutation ($items: [UpdateImageItem!]!) { updateImages(input: { items: $items }) { userErrors { code } } }',
      {
        items: [{ id: red, owner }],
      },
    );
  const seen = async (credential: string) => {
    const query = `query ($ada: ID!, $blue: ID!) { user(by: { id: $ada }) {
      feedback { totalCount nodes { image { id } } }
      score(imageId: $blue) { explanation { influences { feedback { image { id } } } } }
    } }`;
    const { data, errors } = await other.ask(query, { ada, blue }, credential);
    expect(errors).toEqual([]);
    const { feedback, score } = data.user;
    return [feedback.totalCount, feedback.nodes.length, score.explanation.influences.length];
  };
  expect(await seen(token)).toEqual([2, 2, 2]);
  await give({ externalId: 'bob' });
  expect(await seen(token)).toEqual([1, 1, 1]);
  expect(await seen(other.serviceKey)).toEqual([2, 2, 1]);
  await give(null);
  expect(await seen(token)).toEqual([2, 2, 2]);
});

it('writes no token and no secret into the log', async () => {
  const { other, issuer } = await tenantOfProvider();
  const secret = 'the secret that is in no line of the log';
  await setTokens(other, { tokenSecret: secret, tokenKeySetUrl: 'https://127.0.0.1:1/keys?code=hunter2' });
  const tokens = [
    await signWithSecret({ ...issuer, secret }, { sub: 'ada' }, service.test.time),
    await key.sign(claimsOf(issuer, { sub: 'ada' }, service.test.time)),
    await tenant.personKey('ada'),
  ];
  for (const token of tokens) await other.ask(WHO, {}, token);
  const lines = service.logLines().join('');
  expect(lines).toContain("a tenant's key set could not be had");
  for (const hidden of [secret, 'hunter2', ...tokens.flatMap((token) => token.split('.').slice(1))]) {
    expect(lines).not.toContain(hidden);
  }
});
