/**
 * How models do in life: scores that were returned are kept where the tenant wants it, and later judgements tell how good
 * they were; a candidate scores beside the active model, and nobody who asks sees or feels it.
 */
import type { Model } from '../../src/database/generated/client.ts';
import { type Exposure, keepExposures, liveAccuracies, sweepExposures } from '../../src/domain/exposures.ts';
import { fromGlobalId, toGlobalId } from '../../src/domain/ids.ts';
import { compareMargins } from '../../src/domain/shadows.ts';
import { keepShown, ShownScores, startKeepingShown } from '../../src/domain/shownScores.ts';
import { prepareModel } from '../../src/workers/prepare.ts';
import { newCandidate } from '../support/candidates.ts';
import { type TestService, type TestTenant, testService, unknownId } from './service.ts';

const COLOURS = ['#ff0000', '#00ff00', '#0000ff', '#ffff00', '#00ffff', '#ff00ff'];
const DAY_MS = 24 * 60 * 60 * 1000;

let service: TestService;
let tenant: TestTenant;
let images: string[];
let ada: string;
let bea: string;
let logged: [level: string, details: Record<string, unknown>, message: string][];

const log = {
  warn: (details: object, message: string) => void logged.push(['warn', { ...details }, message]),
  debug: (details: object, message: string) => void logged.push(['debug', { ...details }, message]),
};
const uuid = (id: string) => fromGlobalId(id)!.id;
const settle = (mostShadowed?: number) => keepShown(service.platform, log, mostShadowed);

beforeAll(async () => {
  service = await testService();
});
afterAll(() => service.close());
beforeEach(async () => {
  logged = [];
  tenant = await service.tenant();
  images = [];
  for (const colour of COLOURS) images.push(await tenant.upload(colour));
  await tenant.encode();
  [ada, bea] = (await tenant.people('ada', 'bea')) as [string, string];
});

const admin = (query: string, variables: object = {}) => tenant.ask(query, variables, tenant.adminKey);
const setKeeping = async (keepExposures: boolean) => {
  const { data } = await admin(
    'mutation ($on: Boolean!) { updateTenantSettings(input: { keepExposures: $on }) { tenant { settings { keepExposures } } } }',
    { on: keepExposures },
  );
  expect(data.updateTenantSettings.tenant.settings).toEqual({ keepExposures });
};

const RANK =
  'query ($user: ID!, $images: [ID!]!) { user(by: { id: $user }) { rank(imageIds: $images) { scores { value image { id } } } } }';
const rank = async (user = ada, of = images, key = tenant.serviceKey) => {
  const { data } = await tenant.ask(RANK, { user, images: of }, key);
  return data.user.rank.scores as { value: number; image: { id: string } }[];
};
const kept = () => tenant.run(() => service.test.database.exposure.findMany({ orderBy: { imageId: 'asc' } }));
/** `image value`, of what was answered and of what was kept. */
const answered = (scores: readonly { value: number; image: { id: string } }[]) =>
  scores.map(({ value, image }) => `${uuid(image.id)} ${value}`).sort();
const asAnswered = (rows: readonly { imageId: string; value: number }[]) =>
  rows.map(({ imageId, value }) => `${imageId} ${value}`).sort();

describe('scores that were returned', () => {
  it('are kept where the tenant wants it: of score, rank and recommendations, whoever asked', async () => {
    await rank();
    await settle();
    expect(await kept()).toEqual([]);
    await setKeeping(true);
    const scores = await rank();
    await settle();
    expect(asAnswered(await kept())).toEqual(answered(scores));

    const own = await tenant.personKey('bea');
    const { data } = await tenant.ask(
      'query ($image: ID!) { viewer { user { score(imageId: $image) { value image { id } } recommendations(first: 2) { nodes { value image { id } } } nextToRate(first: 3) { id } } } }',
      { image: images[5] },
      own,
    );
    await settle();
    const { score, recommendations } = data.viewer.user;
    const beas = (await kept()).filter(({ userId }) => userId === uuid(bea));
    expect(asAnswered(beas)).toEqual([...new Set(answered([score, ...recommendations.nodes]))]);
    expect(logged).toEqual([]);
  });

  it('are kept of images that the person has not judged, the newest score of each', async () => {
    await setKeeping(true);
    await rank();
    await settle();
    const [first] = await kept();
    service.test.time = new Date(service.test.time.getTime() + 1_000);
    await tenant.judge(ada, 'LIKE', images[0]!);
    await tenant.judge(ada, 'SKIP', images[1]!);
    const scores = await rank();
    await settle();
    const rows = await kept();
    const isNew = ({ at }: { at: Date }) => at > first!.at;
    expect(rows).toHaveLength(COLOURS.length);
    expect(asAnswered(rows.filter(isNew))).toEqual(
      answered(scores.filter(({ image }) => !images.slice(0, 2).includes(image.id))),
    );
  });

  it('stand in the export of the person, and go with them, with an image, and after 90 days', async () => {
    await setKeeping(true);
    const [best] = await rank();
    await rank(bea);
    await settle();
    const response = await fetch(`${service.url}/users/${ada}/export`, {
      headers: { authorization: `Bearer ${tenant.serviceKey}` },
    });
    const { exposures } = (await response.json()) as { exposures: object[] };
    expect(exposures).toHaveLength(COLOURS.length);
    expect(exposures).toContainEqual({
      imageId: best!.image.id,
      value: best!.value,
      modelId: expect.any(String),
      at: service.test.time.toISOString(),
    });

    await tenant.ask('mutation ($id: ID!) { deleteUser(input: { id: $id }) { deletedId } }', { id: ada });
    await tenant.ask('mutation ($ids: [ID!]!) { deleteImages(input: { ids: $ids }) { deletedIds } }', {
      ids: [images[0]],
    });
    const left = await kept();
    expect([left.length, new Set(left.map(({ userId }) => userId))]).toEqual([5, new Set([uuid(bea)])]);

    const { database, time } = service.test;
    const sweep = (days: number, atMost = 100) =>
      tenant.run(() => sweepExposures(database, new Date(time.getTime() + days * DAY_MS), atMost));
    expect([await sweep(89), await sweep(91, 2), await sweep(91), (await kept()).length]).toEqual([0, 2, 3, 0]);
  });

  it('of somebody who was erased meanwhile are dropped, and of others kept', async () => {
    await setKeeping(true);
    await rank();
    await rank(bea);
    const { shownScores } = service.platform;
    const put = [...shownScores.take().values()].flat();
    await tenant.ask('mutation ($id: ID!) { deleteUser(input: { id: $id }) { deletedId } }', { id: ada });
    shownScores.putBack(put); // as if they had been asked for just before the row was gone
    await settle();
    expect(new Set((await kept()).map(({ userId }) => userId))).toEqual(new Set([uuid(bea)]));
    expect(logged).toEqual([]);
  });

  it('are tried again where the database fails, then given up and counted; no request fails', async () => {
    await setKeeping(true);
    const { database } = service.test;
    const broken = {
      ...service.platform,
      database: new Proxy(database, { get: () => () => Promise.reject(new Error('gone')) }),
    };
    const scores = await rank();
    await keepShown(broken, log);
    expect(await kept()).toEqual([]);
    await settle();
    expect(asAnswered(await kept())).toEqual(answered(scores));
    await rank(bea);
    for (let round = 0; round < 4; round++) await keepShown(broken, log);
    expect(logged.map(([, { err: _, tenant: __, ...details }, message]) => [details, message])).toEqual([
      [{}, 'scores that were shown could not be kept yet'],
      [{}, 'scores that were shown could not be kept yet'],
      [{ scores: COLOURS.length }, 'scores that were shown were not kept'],
    ]);
  });

  it('that wait are seen to when the service stops', async () => {
    await setKeeping(true);
    const keeping = startKeepingShown(service.platform, log);
    await rank();
    await keeping.stop();
    expect(await kept()).toHaveLength(COLOURS.length);
  });

  it('wait in bounded memory', () =>
    tenant.run(async () => {
      const { shownScores } = service.platform;
      const waiting = new ShownScores(service.platform);
      const [ranking] = await (await import('../../src/domain/scores.ts')).scoreMany(
        { ...service.platform, shownScores: waiting },
        [{ userId: uuid(ada), imageIds: images.map(uuid) }],
      );
      for (let i = 0; i < 10_000; i++) waiting.add([ranking!.scores]);
      const count = [...waiting.take().values()].flat().reduce((sum, { scores }) => sum + scores.length, 0);
      expect([count, waiting.takeDropped()]).toEqual([49_998, 10_008]); // one ranking was added by scoreMany
      expect(shownScores.takeDropped()).toBe(0);
    }));
});

describe('Model.live', () => {
  const LIVE = '{ viewer { tenant { activeModel { live { judged pairwiseAccuracy standardError } } } } }';
  const live = async () => (await admin(LIVE)).data.viewer.tenant.activeModel.live;

  it('is null where exposures are not kept, and counts none at first', async () => {
    expect(await live()).toBeNull();
    await setKeeping(true);
    expect(await live()).toEqual({ judged: 0, pairwiseAccuracy: null, standardError: null });
  });

  it('is of what was judged after it was shown', async () => {
    await setKeeping(true);
    await tenant.judge(bea, 'LIKE', images[0]!);
    const scores = (await rank()).map(({ image }) => image.id);
    await rank(bea);
    await settle();
    service.test.time = new Date(service.test.time.getTime() + 1_000);
    await tenant.judge(ada, 'LIKE', scores[0]!, scores[2]!);
    await tenant.judge(ada, 'DISLIKE', scores[1]!);
    await tenant.judge(ada, 'SKIP', scores[3]!);
    await tenant.judge(bea, 'DISLIKE', images[1]!);
    // Ada's best is above the disliked one, her other like below; Bea liked hers before it was shown.
    expect(await live()).toEqual({ judged: 4, pairwiseAccuracy: 0.5, standardError: null });
  });

  it('weighs people alike, counts a tie a half, and is the same as counted by hand', async () => {
    await setKeeping(true);
    const { database, time } = service.test;
    await tenant.run(async () => {
      const { id: modelId } = await database.model.findFirstOrThrow();
      const later = new Date(time.getTime() + 1_000);
      const judge = async (userId: string, values: readonly [value: number, sentiment: 'LIKE' | 'DISLIKE'][]) => {
        const exposures = values.map(
          ([value], i): Exposure => ({ userId, imageId: uuid(images[i]!), modelId, value, at: time }),
        );
        await keepExposures(database, exposures);
        await database.feedback.createMany({
          data: values.map(([, sentiment], i) => ({
            ...{
              tenantId: tenant.id,
              id: uuid(unknownId('User')).replace(/.{12}$/, `${userId.slice(-10)}0${i}`),
              userId,
            },
            ...{ imageId: uuid(images[i]!), sentiment, weight: 1, judgedAt: later },
          })),
        });
      };
      await judge(uuid(ada), [
        [0.9, 'LIKE'],
        [0.5, 'DISLIKE'],
        [0.5, 'LIKE'],
        [0.2, 'DISLIKE'],
      ]); // 1, 1, ½, 1 of 4
      await judge(uuid(bea), [
        [0.1, 'LIKE'],
        [0.3, 'DISLIKE'],
      ]); // 0 of 1
      const accuracy = (await liveAccuracies(database, [modelId])).get(modelId);
      const [one, other] = [3.5 / 4, 0];
      const mean = (one + other) / 2;
      expect(accuracy).toEqual({
        judged: 6,
        pairwiseAccuracy: mean,
        standardError: expect.closeTo(Math.sqrt(((one - mean) ** 2 + (other - mean) ** 2) / 2), 12),
      });
    });
  });
});

describe('a shadow', () => {
  const SET = `mutation ($input: SetShadowInput!) { setShadow(input: $input) {
    shadow { model { id } share scored agreement } userErrors { field code message }
  } }`;
  const set = async (input: object) => (await admin(SET, { input })).data.setShadow;
  const shadow = async () =>
    (await admin('{ viewer { tenant { shadow { model { id } share scored agreement } } } }')).data.viewer.tenant.shadow;
  const candidate = (prepared = true): Promise<Model> =>
    tenant.run(async () => {
      const model = await newCandidate(service.platform, `shadow ${tenant.id}`, { tower: !prepared });
      if (prepared) await prepareModel(service.platform, { tenantId: tenant.id, modelId: model.id });
      return model;
    });

  it('scores what the active model scored, unseen, and is compared with it', async () => {
    const model = await candidate();
    const id = toGlobalId('Model', model.id);
    const none = { model: { id }, share: 1, scored: 0, agreement: null };
    expect(await set({ modelId: id, share: 1 })).toEqual({ shadow: none, userErrors: [] });
    await setKeeping(true);
    await tenant.judge(ada, 'LIKE', images[0]!);
    const before = await rank();
    await settle();
    const after = await shadow();
    expect(await rank()).toEqual(before);
    expect(after).toMatchObject({ ...none, scored: COLOURS.length, agreement: expect.any(Number) });

    const exposures = (await kept()).filter(({ modelId }) => modelId === model.id);
    expect(exposures).toHaveLength(COLOURS.length - 1);
    const { data } = await admin('query ($id: ID!) { node(id: $id) { ... on Model { live { judged } } } }', { id });
    expect(data.node.live).toEqual({ judged: 0 });

    // By hand: what the candidate answers once it serves.
    expect(
      (await admin('mutation ($id: ID!) { promoteModel(input: { id: $id }) { model { id } } }', { id })).errors,
    ).toEqual([]);
    const its = (await rank()).map(({ image }) => image.id);
    const place = (order: string[], image: string) => order.indexOf(image);
    const order = before.map(({ image }) => image.id);
    let [pairs, alike] = [0, 0];
    for (const [a, one] of images.entries())
      for (const other of images.slice(a + 1)) {
        pairs++;
        if (place(order, one) < place(order, other) === place(its, one) < place(its, other)) alike++;
      }
    expect(after.agreement).toBeCloseTo(alike / pairs, 12);
  });

  it('ends by itself when it is promoted, and by null', async () => {
    const id = toGlobalId('Model', (await candidate()).id);
    await set({ modelId: id, share: 1 });
    expect(await set({ modelId: null })).toEqual({ shadow: null, userErrors: [] });
    expect(await shadow()).toBeNull();
    await set({ modelId: id, share: 1 });
    await rank();
    await admin('mutation ($id: ID!) { promoteModel(input: { id: $id }) { model { id } } }', { id });
    service.platform.shownScores.forgetWishes(tenant.id);
    await settle();
    expect(await shadow()).toBeNull();
    expect((await set({ modelId: id })).userErrors).toMatchObject([{ field: ['modelId'], code: 'INVALID' }]);
  });

  it('keeps its counts where only its share changes', async () => {
    const id = toGlobalId('Model', (await candidate()).id);
    await set({ modelId: id, share: 1 });
    await rank();
    await settle();
    expect((await set({ modelId: id })).shadow).toMatchObject({ share: 0.1, scored: COLOURS.length });
  });

  it('is refused where it is no prepared candidate of the tenant, or its share is none', async () => {
    const unprepared = await candidate(false);
    const id = toGlobalId('Model', unprepared.id);
    const codes = async (input: object) => {
      const { shadow, userErrors } = await set(input);
      expect(shadow).toBeNull();
      return userErrors.map(({ field, code }: { field: string[]; code: string }) => `${field} ${code}`);
    };
    expect(await codes({ modelId: id })).toEqual(['modelId NOT_READY']);
    for (const share of [0, -1, 1.5]) expect(await codes({ modelId: id, share })).toEqual(['share INVALID']);
    expect(await codes({ modelId: unknownId('Model') })).toEqual(['modelId NOT_FOUND']);
    expect(await codes({ modelId: ada })).toEqual(['modelId NOT_FOUND']);
  });

  it('is not asked beyond what there is time for, and who asked never learns that it failed', async () => {
    const model = await candidate();
    await set({ modelId: toGlobalId('Model', model.id), share: 1 });
    for (const user of [ada, bea, ada]) await rank(user);
    await settle(2);
    expect(await shadow()).toMatchObject({ scored: 2 * COLOURS.length });
    expect(logged).toEqual([['debug', { rankings: 1 }, expect.stringContaining('not asked')]]);
    await rank();
    const networks = {
      of: () => Promise.reject(new Error('no such file')),
    } as unknown as typeof service.platform.networks;
    await keepShown({ ...service.platform, networks }, log);
    expect(logged.at(-1)).toMatchObject(['warn', { model: model.id }, expect.stringContaining('could not score')]);
    expect(await shadow()).toMatchObject({ scored: 2 * COLOURS.length });
  });

  it('is compared pair by pair: a tie of one counts a half, of both is alike', () => {
    expect(compareMargins([3, 2, 1], [30, 20, 10])).toEqual({ scored: 3, pairs: 3, alike: 3 });
    expect(compareMargins([3, 2, 1], [10, 20, 30])).toEqual({ scored: 3, pairs: 3, alike: 0 });
    expect(compareMargins([1, 1, 2], [5, 6, 6])).toEqual({ scored: 3, pairs: 3, alike: 2 });
    expect(compareMargins([1, 1], [2, 2])).toEqual({ scored: 2, pairs: 1, alike: 1 });
    expect(compareMargins([1], [2])).toEqual({ scored: 1, pairs: 0, alike: 0 });
  });
});
