/** The main job over HTTP: likes and dislikes in, scores, rankings, recommendations, similar people and reasons out. */
import { idOf } from '../../src/domain/ids.ts';
import { prepareProfiles } from '../../src/workers/prepare.ts';
import { type TestService, type TestTenant, testService, unknownId } from './service.ts';

let service: TestService;
let tenant: TestTenant;
/** Three reds and three blues that are judged, three of each that are not. */
let reds: string[];
let blues: string[];
let pending: string;

const REDS = ['#ff0000', '#ee1010', '#dd0000', '#cc2020', '#ff3030', '#bb0000'];
const BLUES = ['#0000ff', '#1010ee', '#0000dd', '#2020cc', '#3030ff', '#0000bb'];

beforeAll(async () => {
  service = await testService();
  tenant = await service.tenant();
  const upload = (colour: string) => tenant.upload(colour, { prompt: `a field of ${colour}`, collection: 'fields' });
  reds = await Promise.all(REDS.map(upload));
  blues = await Promise.all(BLUES.map(upload));
  await tenant.encode();
  pending = await tenant.upload('#00ff00');
  const [ada, bob, cleo] = (await tenant.people('ada', 'bob', 'cleo', 'new')) as [string, string, string];
  await tenant.judge(ada, 'LIKE', ...reds.slice(0, 3));
  await tenant.judge(ada, 'DISLIKE', ...blues.slice(0, 3));
  await tenant.judge(bob, 'LIKE', ...blues.slice(0, 3));
  await tenant.judge(bob, 'DISLIKE', ...reds.slice(0, 3));
  await tenant.judge(cleo, 'LIKE', ...reds.slice(0, 3));
  await tenant.judge(cleo, 'DISLIKE', ...blues.slice(0, 2));
});
afterAll(() => service.close());

/** Asks for fields of one user. */
const ofUser = async (externalId: string, fields: string, variables: object = {}, types = '') => {
  const query = `query ($externalId: String! ${types}) { user(by: { externalId: $externalId }) { ${fields} } }`;
  const { data, errors } = await tenant.ask(query, { externalId, ...variables });
  return { user: data?.user, errors };
};

describe('a score', () => {
  it('is higher for what is like the liked than for what is like the disliked', async () => {
    const score = 'value standardError basis asOf logits { like dislike } user { externalId } image { id }';
    const { user, errors } = await ofUser(
      'ada',
      `red: score(imageId: $red) { ${score} model { version status } } blue: score(imageId: $blue) { value }`,
      { red: reds[4], blue: blues[4] },
      '$red: ID! $blue: ID!',
    );
    expect(errors).toEqual([]);
    expect(user.red.value).toBeGreaterThan(user.blue.value);
    expect(user.red.logits.like - user.red.logits.dislike).toBeGreaterThan(0);
    expect(user.red).toMatchObject({
      basis: 'PERSONAL',
      asOf: '2026-01-01T12:00:00.000Z',
      user: { externalId: 'ada' },
      image: { id: reds[4] },
      model: { version: 0, status: 'ACTIVE' },
    });
    expect(user.red.standardError).toBeGreaterThan(0);
  });

  it('of somebody who has judged nothing is a COLD_START, as of no judgement', async () => {
    const { user } = await ofUser('new', 'score(imageId: $id) { basis asOf value }', { id: reds[0] }, '$id: ID!');
    expect(user.score).toMatchObject({ basis: 'COLD_START', asOf: null, value: 0.5 });
  });

  it('is null with NOT_READY at its path while the image is not encoded', async () => {
    const { user, errors } = await ofUser('ada', 'score(imageId: $id) { value }', { id: pending }, '$id: ID!');
    expect(user.score).toBeNull();
    expect(errors).toEqual([
      {
        message: 'This image is not encoded yet: ask again shortly.',
        path: ['user', 'score'],
        extensions: { code: 'NOT_READY', requestId: expect.any(String) },
        locations: expect.anything(),
      },
    ]);
  });

  it.each([
    ['an id that never was', () => unknownId('Image')],
    ['an id of another type', () => unknownId('User')],
    ['what is no id', () => 'nonsense'],
  ])('is NOT_FOUND, in the same words, for %s', async (_, id) => {
    const { errors } = await ofUser('ada', 'score(imageId: $id) { value }', { id: id() }, '$id: ID!');
    expect(errors).toMatchObject([{ message: 'There is no image with this id.', extensions: { code: 'NOT_FOUND' } }]);
  });

  it('changes with the next judgement', async () => {
    const [dora] = (await tenant.people('dora')) as [string];
    const ask = () => ofUser('dora', 'score(imageId: $id) { value basis }', { id: reds[5] }, '$id: ID!');
    const before = (await ask()).user.score;
    await tenant.judge(dora, 'LIKE', reds[0]!);
    const after = (await ask()).user.score;
    expect(before.basis).toBe('COLD_START');
    expect(after.basis).toBe('PERSONAL');
    expect(after.value).toBeGreaterThan(before.value);
  });
});

describe('rank', () => {
  const rank = (externalId: string, ids: readonly string[]) =>
    ofUser(
      externalId,
      'rank(imageIds: $ids) { scores { value image { id } } notScored { imageId code message } }',
      { ids },
      '$ids: [ID!]!',
    );

  it('answers the best first, and opposite tastes in opposite order', async () => {
    const candidates = [blues[4]!, reds[4]!, blues[5]!, reds[5]!];
    const order = async (who: string) =>
      (await rank(who, candidates)).user.rank.scores.map(({ image }: { image: { id: string } }) => image.id);
    const ada = await order('ada');
    expect(new Set(ada.slice(0, 2))).toEqual(new Set([reds[4], reds[5]]));
    expect(new Set((await order('bob')).slice(0, 2))).toEqual(new Set([blues[4], blues[5]]));
  });

  it('scores the rest where some cannot be scored, and says of each why', async () => {
    const unknown = unknownId('Image');
    const { user, errors } = await rank('ada', [reds[4]!, unknown, pending, reds[4]!, 'nonsense', blues[4]!]);
    expect(errors).toEqual([]);
    expect(user.rank.scores).toHaveLength(2);
    expect(user.rank.notScored).toEqual([
      { imageId: unknown, code: 'NOT_FOUND', message: 'There is no image with this id.' },
      { imageId: pending, code: 'NOT_READY', message: 'This image is not encoded yet: ask again shortly.' },
      { imageId: reds[4], code: 'INVALID', message: 'This image is given more than once; it is scored once.' },
      { imageId: 'nonsense', code: 'NOT_FOUND', message: 'There is no image with this id.' },
    ]);
  });

  it('takes 200 candidates and refuses 201, naming the limit', async () => {
    const many = (count: number) => Array.from({ length: count }, () => unknownId('Image'));
    expect((await rank('ada', many(200))).user.rank.notScored).toHaveLength(200);
    const { errors } = await rank('ada', many(201));
    expect(errors).toMatchObject([
      { message: 'imageIds has 201 candidates; rank takes at most 200.', extensions: { code: 'BAD_USER_INPUT' } },
    ]);
  });

  it('of no candidates is empty', async () => {
    expect((await rank('ada', [])).user.rank).toEqual({ scores: [], notScored: [] });
  });
});

describe('an owned image', () => {
  it('is scored, ranked and recommended for its owner and for nobody else', async () => {
    const owned = await tenant.upload('#fe0101', { owner: 'ada' });
    await tenant.encode();
    const fields = 'score(imageId: $id) { value } recommendations(first: 100) { nodes { image { id } } }';
    const mine = await ofUser('ada', fields, { id: owned }, '$id: ID!');
    const theirs = await ofUser('cleo', fields, { id: owned }, '$id: ID!');
    const recommended = ({ user }: typeof mine) =>
      user.recommendations.nodes.map(({ image }: { image: { id: string } }) => image.id);
    expect(mine.user.score.value).toBeGreaterThan(0.5);
    expect(recommended(mine)).toContain(owned);
    expect(theirs.errors).toMatchObject([{ extensions: { code: 'NOT_FOUND' } }]);
    expect(recommended(theirs)).not.toContain(owned);
  });
});

describe('an explanation', () => {
  const explain = (externalId: string, image: string) =>
    ofUser(
      externalId,
      `score(imageId: $id) {
        logits { like dislike }
        explanation {
          influences(first: 10) { effect attention feedback { sentiment image { id } } }
          tokens { weight token { index } }
          attention { layers heads tokens weights }
        }
      }`,
      { id: image },
      '$id: ID!',
    );

  it('names each judgement with what the margin gains by it: the score with it less the score without', async () => {
    const { user, errors } = await explain('ada', reds[4]!);
    expect(errors).toEqual([]);
    const { influences } = user.score.explanation;
    expect(influences).toHaveLength(6);
    const sizes = influences.map(({ effect }: { effect: number }) => Math.abs(effect));
    expect(sizes).toEqual([...sizes].sort((a, b) => b - a));

    // The same person without the judgement that weighed most: made, and scored.
    const [twin] = (await tenant.people('twin')) as [string];
    const { feedback } = influences[0];
    const without = (ids: string[]) => ids.slice(0, 3).filter((id) => id !== feedback.image.id);
    await tenant.judge(twin, 'LIKE', ...without(reds));
    await tenant.judge(twin, 'DISLIKE', ...without(blues));
    const other = await explain('twin', reds[4]!);
    const margin = ({ like, dislike }: { like: number; dislike: number }) => like - dislike;
    const gained = margin(user.score.logits) - margin(other.user.score.logits);
    expect(influences[0].effect).toBeCloseTo(gained, 4);
  });

  it("gives attention over the preference tokens whose every head's sum is 1", async () => {
    const { tokens, attention } = (await explain('ada', reds[4]!)).user.score.explanation;
    const { layers, heads } = attention;
    expect(attention.weights).toHaveLength(layers * heads * attention.tokens);
    for (let head = 0; head < layers * heads; head++) {
      const weights = attention.weights.slice(head * attention.tokens, (head + 1) * attention.tokens);
      expect(weights.reduce((sum: number, weight: number) => sum + weight, 0)).toBeCloseTo(1, 4);
    }
    expect(tokens.map(({ token }: { token: { index: number } }) => token.index)).toEqual([...Array(10).keys()]);
    expect(tokens.reduce((sum: number, { weight }: { weight: number }) => sum + weight, 0)).toBeCloseTo(1, 4);
  });

  it('of a cold start has no influences', async () => {
    expect((await explain('new', reds[4]!)).user.score.explanation.influences).toEqual([]);
  });
});

describe('recommendations', () => {
  const page = (externalId: string, first: number, after: string | null = null, collection: string | null = null) =>
    ofUser(
      externalId,
      `recommendations(first: $first, after: $after, collection: $collection) {
        edges { cursor node { value basis image { id } explanation { influences(first: 100) { effect } } } }
        pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
      }`,
      { first, after, collection },
      '$first: Int! $after: String $collection: String',
    );
  const idsOf = ({ user }: Awaited<ReturnType<typeof page>>) =>
    user.recommendations.edges.map(({ node }: { node: { image: { id: string } } }) => node.image.id);

  it('are what the person has not judged, best first', async () => {
    const { user } = await page('cleo', 100, null, 'fields');
    const values = user.recommendations.edges.map(({ node }: { node: { value: number } }) => node.value);
    expect(values).toEqual([...values].sort((a, b) => b - a));
    const ids = idsOf({ user, errors: [] });
    expect(new Set(ids)).toEqual(new Set([...reds.slice(3), ...blues.slice(2)]));
    expect(reds).toContain(ids[0]);
  });

  it('go on where a page ended, by the feedback of the first page', async () => {
    const [eve] = (await tenant.people('eve')) as [string];
    await tenant.judge(eve, 'LIKE', reds[0]!);
    const whole = idsOf(await page('eve', 100, null, 'fields'));
    const first = await page('eve', 4, null, 'fields');
    await tenant.judge(eve, 'DISLIKE', ...reds.slice(1)); // turns the order round, for who begins anew
    const { endCursor } = first.user.recommendations.pageInfo;
    const second = await page('eve', 100, endCursor, 'fields');
    expect([...idsOf(first), ...idsOf(second)]).toEqual(whole);
    expect(first.user.recommendations.pageInfo).toMatchObject({ hasNextPage: true, hasPreviousPage: false });
    expect(second.user.recommendations.pageInfo).toMatchObject({ hasNextPage: false, hasPreviousPage: true });
    const influences = second.user.recommendations.edges[0].node.explanation.influences;
    expect(influences).toHaveLength(1); // the one judgement of the first page
    expect(idsOf(await page('eve', 1, null, 'fields'))).not.toEqual(idsOf(first).slice(0, 1));
  });

  it('refuse a cursor after an hour, saying what to do', async () => {
    const { endCursor } = (await page('ada', 2)).user.recommendations.pageInfo;
    service.test.time = new Date(service.test.time.getTime() + 3_600_000);
    const { errors } = await page('ada', 2, endCursor);
    service.test.time = new Date(service.test.time.getTime() - 3_600_000);
    expect(errors).toMatchObject([
      {
        message: `after is "${endCursor}", which has expired: a list is kept for an hour. Begin without it.`,
        extensions: { code: 'BAD_USER_INPUT' },
      },
    ]);
  });

  it("refuse another person's cursor, another collection's, and what is none", async () => {
    const { endCursor } = (await page('ada', 2)).user.recommendations.pageInfo;
    const foreign = `after is "${endCursor}", a cursor of another person's or collection's recommendations.`;
    expect((await page('bob', 2, endCursor)).errors).toMatchObject([{ message: foreign }]);
    expect((await page('ada', 2, endCursor, 'fields')).errors).toMatchObject([{ message: foreign }]);
    expect((await page('ada', 2, 'nonsense')).errors).toMatchObject([
      { message: 'after is "nonsense", which is no cursor of this list: pass an endCursor of it.' },
    ]);
  });

  it.each([
    ['', 'collection is empty; it needs at least one character.'],
    ['a\0', 'collection holds a NUL character; leave it out.'],
    ['x'.repeat(101), 'collection has 101 characters; at most 100 are kept.'],
  ])('refuse the collection %j, which no image can be in, as a list of images does', async (collection, message) => {
    const errors = [{ message, extensions: { code: 'BAD_USER_INPUT' } }];
    expect((await page('ada', 2, null, collection)).errors).toMatchObject(errors);
    const images = 'query ($collection: String) { images(collection: $collection) { totalCount } }';
    expect((await tenant.ask(images, { collection })).errors).toMatchObject(errors);
  });

  it.each([0, -1, 101])('refuse a page of %d', async (first) => {
    expect((await page('ada', first)).errors).toMatchObject([
      {
        message: `first is ${first}; it must be a whole number from 1 to 100.`,
        extensions: { code: 'BAD_USER_INPUT' },
      },
    ]);
  });
});

describe('profiles and similar people', () => {
  const similar = (externalId: string, first = 10, after: string | null = null) =>
    ofUser(
      externalId,
      `similarUsers(first: $first, after: $after) {
        edges { cursor node { similarity user { externalId } } }
        pageInfo { hasNextPage endCursor }
      }`,
      { first, after },
      '$first: Int! $after: String',
    );

  it('know a person by how their history attends to the tokens', async () => {
    const { user, errors } = await ofUser(
      'ada',
      `preferenceProfile {
        likes dislikes asOf vector model { version }
        tokens { weight token { index } } attention { layers heads tokens weights }
      }`,
    );
    expect(errors).toEqual([]);
    const { vector, tokens, attention, ...rest } = user.preferenceProfile;
    expect(rest).toEqual({ likes: 3, dislikes: 3, asOf: '2026-01-01T12:00:00.000Z', model: { version: 0 } });
    expect(Math.hypot(...vector)).toBeCloseTo(1, 5);
    expect(tokens.reduce((sum: number, { weight }: { weight: number }) => sum + weight, 0)).toBeCloseTo(1, 4);
    const heads = attention.layers * attention.heads;
    expect(attention.weights.reduce((sum: number, weight: number) => sum + weight, 0) / heads).toBeCloseTo(1, 4);
  });

  it('are null and empty until there is a like or a dislike', async () => {
    const { user } = await ofUser('new', 'preferenceProfile { likes } similarUsers { nodes { similarity } }');
    expect(user).toEqual({ preferenceProfile: null, similarUsers: { nodes: [] } });
  });

  it('put the like-minded before the opposite, the same person left out', async () => {
    const { user, errors } = await similar('ada');
    expect(errors).toEqual([]);
    const found = user.similarUsers.edges.map(({ node }: { node: { user: { externalId: string } } }) => node.user);
    const names = found.map(({ externalId }: { externalId: string }) => externalId);
    expect(names).not.toContain('ada');
    expect(names.indexOf('cleo')).toBeLessThan(names.indexOf('bob'));
    for (const { node } of user.similarUsers.edges) {
      expect(node.similarity).toBeGreaterThanOrEqual(0);
      expect(node.similarity).toBeLessThanOrEqual(1);
    }
  });

  it('are paged without repeating or skipping anybody', async () => {
    const cursors = (await similar('ada')).user.similarUsers.edges.map(({ cursor }: { cursor: string }) => cursor);
    const paged: string[] = [];
    let after: string | null = null;
    do {
      const { user } = await similar('ada', 2, after);
      paged.push(...user.similarUsers.edges.map(({ cursor }: { cursor: string }) => cursor));
      after = user.similarUsers.pageInfo.hasNextPage ? user.similarUsers.pageInfo.endCursor : null;
    } while (after);
    expect(paged).toEqual(cursors);
  });

  it('are prepared by the worker as a reader would, so that a reader finds them kept', async () => {
    const [gil] = (await tenant.people('gil')) as [string];
    await tenant.judge(gil, 'LIKE', reds[0]!);
    const kept = () =>
      tenant.run(() => service.test.database.profile.findMany({ where: { userId: idOf('User', gil)! } }));
    expect(await kept()).toEqual([]);
    const worker = () => tenant.run(() => prepareProfiles(service.platform));
    await Promise.all([worker(), worker(), worker()]); // as many as there are replicas
    const [prepared] = await kept();
    const { user } = await ofUser('gil', 'preferenceProfile { vector likes }');
    expect(user.preferenceProfile.likes).toBe(1);
    expect(Float32Array.from(user.preferenceProfile.vector)).toEqual(
      new Float32Array(Uint8Array.from(prepared!.vector).buffer),
    );
    expect(await kept()).toEqual([prepared]);
  });

  it('follow the next judgement at once', async () => {
    const [fay] = (await tenant.people('fay')) as [string];
    await tenant.judge(fay, 'LIKE', reds[0]!);
    const before = (await ofUser('fay', 'preferenceProfile { likes dislikes vector }')).user.preferenceProfile;
    await tenant.judge(fay, 'DISLIKE', reds[1]!);
    const after = (await ofUser('fay', 'preferenceProfile { likes dislikes vector }')).user.preferenceProfile;
    expect([before.likes, before.dislikes, after.likes, after.dislikes]).toEqual([1, 0, 1, 1]);
    expect(after.vector).not.toEqual(before.vector);
  });

  it('are gone once every judgement has been taken back', async () => {
    const [hal] = (await tenant.people('hal')) as [string];
    await tenant.judge(hal, 'LIKE', reds[0]!);
    const near = async () => JSON.stringify((await similar('ada', 100)).user);
    expect(await near()).toContain('"hal"');
    const { user } = await ofUser('hal', 'preferenceProfile { likes } feedback { nodes { id } }');
    expect(user.preferenceProfile.likes).toBe(1);
    const ids = user.feedback.nodes.map(({ id }: { id: string }) => id);
    await tenant.ask('mutation ($ids: [ID!]!) { retractFeedback(input: { ids: $ids }) { retractedIds } }', { ids });
    expect((await ofUser('hal', 'preferenceProfile { likes }')).user.preferenceProfile).toBeNull();
    expect(await near()).not.toContain('"hal"');
  });
});

describe('nextToRate', () => {
  const ask = (externalId: string, first: number | null, collection: string | null = 'fields') =>
    ofUser(
      externalId,
      `nextToRate(${first === null ? '' : 'first: $first, '}collection: $collection) { id }`,
      first === null ? { collection } : { first, collection },
      first === null ? '$collection: String' : '$first: Int! $collection: String',
    );
  const idsOf = ({ user }: Awaited<ReturnType<typeof ask>>): string[] =>
    user.nextToRate.map(({ id }: { id: string }) => id);

  it('asks somebody new about each kind of image before it asks about one twice', async () => {
    const ids = idsOf(await ask('new', 2));
    expect(ids.filter((id) => reds.includes(id))).toHaveLength(1);
    expect(ids.filter((id) => blues.includes(id))).toHaveLength(1);
    expect(idsOf(await ask('new', 2))).toEqual(ids);
    expect(idsOf(await ask('new', null))).toHaveLength(4);
  });

  it('asks about what is unlike anything that was judged, and about nothing that was judged or skipped', async () => {
    const [fay] = (await tenant.people('fay')) as [string];
    await tenant.judge(fay, 'LIKE', ...reds.slice(0, 4));
    expect(blues).toContain(idsOf(await ask('fay', 1))[0]);
    await tenant.judge(fay, 'SKIP', ...blues);
    expect(new Set(idsOf(await ask('fay', 20)))).toEqual(new Set(reds.slice(4)));
    await tenant.judge(fay, 'DISLIKE', ...reds);
    expect(idsOf(await ask('fay', 20))).toEqual([]);
  });

  it("keeps to a collection, and to pictures that are theirs or nobody's", async () => {
    await tenant.people('gil', 'hugo');
    const own = await tenant.upload('#00aa00', { owner: 'gil', collection: 'greens' });
    await tenant.encode();
    expect(idsOf(await ask('gil', 20, 'greens'))).toEqual([own]);
    expect(idsOf(await ask('hugo', 20, 'greens'))).toEqual([]);
    expect(idsOf(await ask('hugo', 20, 'no such collection'))).toEqual([]);
  });

  it.each([0, 21])('refuses first: %i', async (first) => {
    const { errors } = await ask('ada', first);
    expect(errors).toMatchObject([
      {
        message: `first is ${first}; it must be a whole number from 1 to 20.`,
        extensions: { code: 'BAD_USER_INPUT' },
      },
    ]);
  });
});

describe('similarImages', () => {
  it('are the nearest in the metric, the image itself left out', async () => {
    const { data, errors } = await tenant.ask(
      'query ($id: ID!) { image(by: { id: $id }) { similarImages(first: 5) { id } } }',
      { id: reds[3] },
    );
    expect(errors).toEqual([]);
    const ids = data.image.similarImages.map(({ id }: { id: string }) => id);
    expect(ids).toHaveLength(5);
    expect(ids).not.toContain(reds[3]);
    for (const id of ids) expect(reds).toContain(id);
  });

  it('are none of an image that is not encoded yet', async () => {
    const { data } = await tenant.ask('query ($id: ID!) { image(by: { id: $id }) { similarImages { id } } }', {
      id: await tenant.upload('#010203'),
    });
    expect(data.image.similarImages).toEqual([]);
  });
});
