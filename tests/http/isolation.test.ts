/** Two tenants beside each other: neither sees, judges, scores or changes anything by an id of the other. */
import { picture, type TestService, type TestTenant, testService, unknownId } from './service.ts';

let service: TestService;
let mine: TestTenant;
let theirs: TestTenant;
/** Ids of the other tenant, one of each type. */
let foreign: { user: string; image: string; feedback: string; comparison: string; model: string; tenant: string };
let own: { user: string; image: string };

const SUBMIT = `mutation ($input: SubmitFeedbackInput!) {
  submitFeedback(input: $input) { feedback { id } userErrors { field code message } }
}`;
const COMPARE = `mutation ($input: SubmitComparisonInput!) {
  submitComparison(input: $input) { comparison { id } userErrors { field code message } }
}`;

beforeAll(async () => {
  service = await testService();
  [mine, theirs] = [await service.tenant(), await service.tenant()];
  const fill = async (tenant: TestTenant) => {
    const [user] = (await tenant.people('ada')) as [string];
    const [image, other] = [await tenant.upload('#ff0000', { externalId: 'red' }), await tenant.upload('#0000ff')];
    await tenant.encode();
    await tenant.judge(user, 'LIKE', image);
    return { user, image, other };
  };
  const { user, image, other } = await fill(theirs);
  own = await fill(mine);
  const compared = await theirs.ask(COMPARE, {
    input: { user: { id: user }, chosen: { id: image }, others: [{ id: other }] },
  });
  const { data } = await theirs.ask(
    'query ($id: ID!) { user(by: { id: $id }) { feedback { nodes { id } } } viewer { tenant { id activeModel { id } } } }',
    { id: user },
  );
  foreign = {
    user,
    image,
    feedback: data.user.feedback.nodes[0].id,
    comparison: compared.data.submitComparison.comparison.id,
    model: data.viewer.tenant.activeModel.id,
    tenant: data.viewer.tenant.id,
  };
});
afterAll(() => service.close());

it('their own ids are theirs, every one, so that what follows means something', async () => {
  const ids = Object.values(foreign);
  const { data } = await theirs.ask('query ($ids: [ID!]!) { nodes(ids: $ids) { id __typename } }', { ids });
  expect(data.nodes.map((node: { id: string }) => node.id)).toEqual(ids);
});

it('node and nodes answer null for every foreign id, as for one that never was', async () => {
  const ids = [...Object.values(foreign), unknownId('User'), unknownId('Feedback'), 'nonsense'];
  const { data, errors } = await mine.ask(
    'query ($ids: [ID!]!, $id: ID!) { nodes(ids: $ids) { id } node(id: $id) { id } }',
    { ids, id: foreign.user },
  );
  expect(errors).toEqual([]);
  expect(data).toEqual({ nodes: ids.map(() => null), node: null });
});

it('user and image answer null for a foreign id, and for an externalId their own row', async () => {
  const { data } = await mine.ask(
    `query ($user: ID!, $image: ID!) {
      user(by: { id: $user }) { id } image(by: { id: $image }) { id }
      ada: user(by: { externalId: "ada" }) { id } red: image(by: { externalId: "red" }) { id }
    }`,
    foreign,
  );
  expect(data).toEqual({ user: null, image: null, ada: { id: own.user }, red: { id: own.image } });
});

it('lists hold their own rows only', async () => {
  const { data } = await mine.ask(
    `{ users(first: 10) { totalCount nodes { id similarUsers { nodes { user { id } } } recommendations { nodes { image { id } } } } }
       images(first: 10) { totalCount nodes { id similarImages { id } } } }`,
  );
  expect(data.users.totalCount).toBe(1);
  expect(data.images.totalCount).toBe(2);
  const text = JSON.stringify(data);
  for (const id of Object.values(foreign)) expect(text).not.toContain(id);
});

it('score and rank find no foreign image', async () => {
  const { data, errors } = await mine.ask(
    `query ($user: ID!, $image: ID!) {
      user(by: { id: $user }) {
        score(imageId: $image) { value }
        rank(imageIds: [$image]) { scores { value } notScored { code message } }
      }
    }`,
    { user: own.user, image: foreign.image },
  );
  expect(data.user.score).toBeNull();
  expect(errors).toMatchObject([{ message: 'There is no image with this id.', extensions: { code: 'NOT_FOUND' } }]);
  expect(data.user.rank).toEqual({
    scores: [],
    notScored: [{ code: 'NOT_FOUND', message: 'There is no image with this id.' }],
  });
});

it('judgements of a foreign person or image are NOT_FOUND, beside a right one that is kept', async () => {
  const { data } = await mine.ask(SUBMIT, {
    input: {
      items: [
        { user: { id: foreign.user }, image: { id: own.image }, sentiment: 'DISLIKE' },
        { user: { id: own.user }, image: { id: foreign.image }, sentiment: 'DISLIKE' },
        { user: { id: own.user }, image: { id: own.image }, sentiment: 'DISLIKE' },
      ],
    },
  });
  const { feedback, userErrors } = data.submitFeedback;
  expect(feedback).toEqual([null, null, { id: expect.any(String) }]);
  expect(userErrors).toEqual([
    { field: ['items', '0', 'user'], code: 'NOT_FOUND', message: 'There is no user as user names one.' },
    { field: ['items', '1', 'image'], code: 'NOT_FOUND', message: 'There is no image as image names one.' },
  ]);
});

it('comparisons of a foreign person or image are NOT_FOUND', async () => {
  for (const [input, field] of [
    [{ user: { id: foreign.user }, chosen: { id: own.image }, others: [{ id: own.image }] }, ['user']],
    [{ user: { id: own.user }, chosen: { id: foreign.image }, others: [{ id: own.image }] }, ['chosen']],
    [{ user: { id: own.user }, chosen: { id: own.image }, others: [{ id: foreign.image }] }, ['others', '0']],
  ] as const) {
    const { data } = await mine.ask(COMPARE, { input });
    expect(data.submitComparison).toMatchObject({ comparison: null, userErrors: [{ field, code: 'NOT_FOUND' }] });
  }
});

it('foreign feedback and comparisons cannot be taken back', async () => {
  const { data } = await mine.ask(
    `mutation ($ids: [ID!]!) { retractFeedback(input: { ids: $ids }) { retractedIds userErrors { field code } } }`,
    { ids: [foreign.feedback, foreign.comparison] },
  );
  expect(data.retractFeedback).toEqual({
    retractedIds: [],
    userErrors: [
      { field: ['ids', '0'], code: 'NOT_FOUND' },
      { field: ['ids', '1'], code: 'NOT_FOUND' },
    ],
  });
  const still = await theirs.ask('query ($ids: [ID!]!) { nodes(ids: $ids) { id } }', {
    ids: [foreign.feedback, foreign.comparison],
  });
  expect(still.data.nodes).not.toContain(null);
});

it('foreign images cannot be described, nor given to a foreign person', async () => {
  const { data } = await mine.ask(
    `mutation ($items: [UpdateImageItem!]!) {
      updateImages(input: { items: $items }) { images { id } userErrors { field code } }
    }`,
    {
      items: [
        { id: foreign.image, prompt: 'taken' },
        { id: own.image, owner: { id: foreign.user } },
      ],
    },
  );
  expect(data.updateImages).toEqual({
    images: [null, null],
    userErrors: [
      { field: ['items', '0', 'id'], code: 'NOT_FOUND' },
      { field: ['items', '1', 'owner'], code: 'NOT_FOUND' },
    ],
  });
});

it("a person of the same externalId is another person, and another's picture another picture", async () => {
  expect(own.user).not.toBe(foreign.user);
  expect(own.image).not.toBe(foreign.image);
  const headers = { authorization: `Bearer ${mine.serviceKey}`, 'content-type': 'image/png' };
  const body = Uint8Array.from(await picture('#ff0000'));
  const response = await fetch(`${service.url}/images`, { method: 'POST', headers, body });
  expect(await response.json()).toEqual({ id: own.image });
});

it("another tenant's cursors begin no page", async () => {
  const page = `query ($id: ID!, $after: String) {
    user(by: { id: $id }) { recommendations(first: 1, after: $after) { nodes { image { id } } pageInfo { endCursor } } }
  }`;
  const { data } = await theirs.ask(page, { id: foreign.user });
  const { errors } = await mine.ask(page, { id: own.user, after: data.user.recommendations.pageInfo.endCursor });
  expect(errors).toMatchObject([{ extensions: { code: 'BAD_USER_INPUT' } }]);
});
