/** Exemplars of preference tokens over HTTP: who sees which, and from when on no more. */
import { idOf } from '../../src/domain/ids.ts';
import { type TestService, type TestTenant, testService } from './service.ts';

const COLOURS = ['#ff0000', '#00ff00', '#0000ff', '#ffff00', '#00ffff'];

let service: TestService;
let tenant: TestTenant;
let images: string[];

beforeAll(async () => {
  service = await testService();
});
afterAll(() => service.close());
beforeEach(async () => {
  tenant = await service.tenant();
  await tenant.people('ada');
  images = [];
  for (const colour of COLOURS) images.push(await tenant.upload(colour, { prompt: `all ${colour}` }));
  await tenant.encode();
  await tenant.findExemplars();
});

const MODEL =
  'query ($id: ID!, $first: Int) { node(id: $id) { ... on Model { preferenceTokens { index exemplars(first: $first) { id owner { id } } } } } }';

/** The exemplars of every token, as global ids. */
async function exemplars(first: number, key?: string, of = tenant): Promise<string[][]> {
  const { data, errors } = await tenant.ask(MODEL, { id: await modelId(of), first }, key);
  expect(errors).toEqual([]);
  return data.node?.preferenceTokens.map((token: { exemplars: { id: string; owner: unknown }[] }) => {
    expect(token.exemplars.every(({ owner }) => owner === null)).toBe(true);
    return token.exemplars.map(({ id }) => id);
  });
}

async function modelId(of: TestTenant): Promise<string> {
  const { data } = await of.ask('{ viewer { tenant { activeModel { id } } } }', {}, of.adminKey);
  return data.viewer.tenant.activeModel.id;
}

const update = (input: object) =>
  tenant.ask(
    'mutation ($item: UpdateImageItem!) { updateImages(input: { items: [$item] }) { userErrors { message } } }',
    { item: input },
  );

it('are answered for each token, as many as asked for, four unless told', async () => {
  const all = await exemplars(20);
  expect(all).toHaveLength(10);
  for (const ids of all) expect([...ids].sort()).toEqual([...images].sort());
  expect(await exemplars(2)).toEqual(all.map((ids) => ids.slice(0, 2)));
  await tenant.judge((await tenant.people('ada'))[0]!, 'LIKE', images[0]!);
  const { data } = await tenant.ask(
    `query ($image: ID!) { user(by: { externalId: "ada" }) {
      preferenceProfile { tokens { token { index exemplars { id } } } }
      score(imageId: $image) { explanation { tokens { token { index exemplars { id } } } } }
    } }`,
    { image: images[0] },
  );
  const tokens = all.map((ids, index) => ({ token: { index, exemplars: ids.slice(0, 4).map((id) => ({ id })) } }));
  expect(data.user.preferenceProfile.tokens).toEqual(tokens);
  expect(data.user.score.explanation.tokens).toEqual(tokens);
});

it('of all tokens take no more statements than those of one', async () => {
  const statements = async (query: string) => {
    const before = service.statements();
    await tenant.ask(query, { id });
    return service.statements() - before;
  };
  const id = await modelId(tenant);
  const ofModel = (fields: string) => `query ($id: ID!) { node(id: $id) { ... on Model { ${fields} } } }`;
  await statements(ofModel('preferenceTokens { index }')); // reads the key, which is known from then on
  const none = await statements(ofModel('preferenceTokens { index }'));
  expect(await statements(ofModel('preferenceTokens { a: exemplars(first: 1) { id } b: exemplars { id } }'))).toBe(
    none + 2,
  );
});

it('are refused where first is not 1 to 20', async () => {
  const id = await modelId(tenant);
  for (const first of [0, 21, -1, null]) {
    const { errors } = await tenant.ask(MODEL, { id, first });
    const message = `first is ${first}; it must be a whole number from 1 to 20.`;
    expect(errors[0]).toMatchObject({ message, extensions: { code: 'BAD_USER_INPUT' } });
  }
});

it('are another tenant’s own', async () => {
  const other = await service.tenant();
  const theirs = await other.upload('#ff0000');
  await other.encode();
  await other.findExemplars();
  expect((await exemplars(20)).flat()).not.toContain(theirs);
  const { data } = await tenant.ask(MODEL, { id: await modelId(other), first: 20 });
  expect(data.node).toBeNull();
});

it('are answered to a person, and never an owned one, not even to its owner', async () => {
  const key = await tenant.personKey('ada');
  const all = await exemplars(20);
  expect(await exemplars(20, key)).toEqual(all);
  await update({ id: images[2], owner: { externalId: 'ada' } });
  const left = all.map((ids) => ids.filter((id) => id !== images[2]));
  for (const credential of [key, await tenant.personKey('bob'), tenant.serviceKey, tenant.adminKey]) {
    expect(await exemplars(20, credential)).toEqual(left);
  }
  await tenant.findExemplars();
  expect(await exemplars(20)).toEqual(left);
  // A row that was left behind by whatever fault would show nothing either.
  const [row] = await tenant.run(() => service.platform.database.tokenExemplar.findMany({ take: 1 }));
  const leftBehind = { ...row!, imageId: idOf('Image', images[2]!)!, weight: 1 };
  await tenant.run(() => service.platform.database.tokenExemplar.create({ data: leftBehind }));
  for (const credential of [key, tenant.serviceKey]) expect(await exemplars(20, credential)).toEqual(left);
  await update({ id: images[2], owner: null });
  await tenant.findExemplars();
  expect(await exemplars(20)).toEqual(all);
});

it('lose a deleted image with the answer that deletes it', async () => {
  const all = await exemplars(20);
  await tenant.ask('mutation ($ids: [ID!]!) { deleteImages(input: { ids: $ids }) { deletedIds } }', {
    ids: [images[0]],
  });
  const left = all.map((ids) => ids.filter((id) => id !== images[0]));
  expect(await exemplars(20)).toEqual(left);
  await tenant.findExemplars();
  expect(await exemplars(20)).toEqual(left);
});

it('lose an image with another prompt until it is encoded again, and follow the new one', async () => {
  const all = await exemplars(20);
  await update({ id: images[1], prompt: 'something else altogether' });
  expect((await exemplars(20)).flat()).not.toContain(images[1]);
  await tenant.encode();
  await tenant.findExemplars();
  const now = await exemplars(20);
  for (const ids of now) expect(ids).toContain(images[1]);
  expect(now).not.toEqual(all);
});

it('cost what docs/api.md says', async () => {
  const cost = async (fields: string) => {
    const query = `query ($id: ID!) { node(id: $id) { ... on Model { preferenceTokens { index ${fields} } } } }`;
    const response = await fetch(`${service.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${tenant.serviceKey}` },
      body: JSON.stringify({ query, variables: { id: await modelId(tenant) } }),
    });
    return ((await response.json()) as { extensions: { cost: { points: number } } }).extensions.cost.points;
  };
  expect((await cost('exemplars(first: 20) { id }')) - (await cost(''))).toBe(10 * (5 + 20));
});
