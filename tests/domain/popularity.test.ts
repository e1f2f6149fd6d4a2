/** What others made of an image moves its score, whoever asks: never one's own judgement, nor another tenant's. */
import { type Database, withPerson, withTenant } from '../../src/database/client.ts';
import { newId } from '../../src/domain/ids.ts';
import type { Platform } from '../../src/domain/platform.ts';
import { readPopularity } from '../../src/domain/popularity.ts';
import { recommendMany } from '../../src/domain/recommendations.ts';
import { scoreMany } from '../../src/domain/scores.ts';
import { type ItemVector, PreferenceModel } from '../../src/inference/preferenceModel.ts';
import { newTenant, type TestDatabase, testDatabase } from '../support/database.ts';
import { encodedItems, smallArtifact } from '../support/model.ts';
import { putReadyImages, testPlatform } from '../support/platform.ts';

let test: TestDatabase;
let database: Database;
let model: PreferenceModel;
let platform: Platform;
let close: () => Promise<void>;
let vectors: ItemVector[];
beforeAll(async () => {
  test = await testDatabase();
  ({ database } = test);
  model = await PreferenceModel.open(smallArtifact({ set: { 'prior.gain': 2 } }));
  ({ platform, close } = await testPlatform(test, model));
  vectors = await model.itemVectors(encodedItems('popularity', 3));
});
afterAll(async () => {
  await model.close();
  await test.close();
  await close();
});

/** A tenant with three images and three people: their ids. */
async function makeTenant() {
  const tenant = await newTenant(database, model);
  const images = await tenant.run(() =>
    putReadyImages(database, { tenantId: tenant.id, tower: model.towerHash }, vectors),
  );
  const people = [newId(), newId(), newId()] as const;
  await tenant.run(() =>
    database.user.createMany({ data: people.map((id) => ({ tenantId: tenant.id, id, externalId: id })) }),
  );
  const judge = (user: number, image: number, sentiment: 'LIKE' | 'DISLIKE' | 'SKIP', weight = 1) =>
    tenant.run(() =>
      database.feedback.create({
        data: {
          ...{ tenantId: tenant.id, id: newId(), userId: people[user]!, imageId: images[image]!, sentiment, weight },
          judgedAt: test.now(),
        },
      }),
    );
  return { ...tenant, images, people, judge };
}

const marginsOf = async (tenant: Awaited<ReturnType<typeof makeTenant>>, person: number) => {
  const [ranking] = await tenant.run(() =>
    scoreMany(platform, [{ userId: tenant.people[person]!, imageIds: tenant.images }]),
  );
  return tenant.images.map((image) => {
    const { like, dislike } = ranking!.scores.find(({ imageId }) => imageId === image)!;
    return like - dislike;
  });
};

it('is the sum of what others judged, without the person and without skips, of one tenant', async () => {
  const [ours, theirs] = [await makeTenant(), await makeTenant()];
  await ours.judge(0, 0, 'LIKE', 2);
  await ours.judge(1, 0, 'DISLIKE', 0.5);
  await ours.judge(2, 0, 'SKIP');
  await ours.judge(1, 1, 'LIKE');
  await theirs.judge(1, 0, 'LIKE', 10);
  const pairs = [0, 1, 2].flatMap((person) =>
    [0, 1].map((image) => ({ userId: ours.people[person]!, imageId: ours.images[image]! })),
  );
  const expected = [
    { sum: -0.5, count: 0.5 },
    { sum: 1, count: 1 },
    { sum: 2, count: 2 },
    { sum: 0, count: 0 },
    { sum: 1.5, count: 2.5 },
    { sum: 1, count: 1 },
  ];
  expect(await ours.run(() => readPopularity(database, pairs))).toEqual(expected);
  // A person's own session, which sees their own rows alone, is told the same sums; another tenant's, nothing.
  expect(await withPerson(ours.id, ours.people[0]!, () => readPopularity(database, pairs))).toEqual(expected);
  const nothing = pairs.map(() => ({ sum: 0, count: 0 }));
  expect(await withTenant(theirs.id, () => readPopularity(database, pairs))).toEqual(nothing);
  // The function's setting ends with it: the session is the person's again.
  const seen = await withPerson(ours.id, ours.people[0]!, () =>
    database.$transaction(async (rows) => {
      await rows.$queryRaw`SELECT * FROM popularity(${[ours.people[0]!]}::uuid[], ${[ours.images[0]!]}::uuid[])`;
      return rows.feedback.count();
    }),
  );
  expect(seen).toBe(1);
});

it('moves scores and recommendations of a model that reads it, and one’s own judgement does not', async () => {
  const tenant = await makeTenant();
  const before = await marginsOf(tenant, 0);
  await tenant.judge(1, 1, 'LIKE', 5);
  await tenant.judge(2, 1, 'LIKE', 5);
  const after = await marginsOf(tenant, 0);
  expect(after[1]! - before[1]!).toBeGreaterThan(0.5);
  expect([after[0], after[2]]).toEqual([before[0], before[2]]);

  const [page] = await tenant.run(() =>
    recommendMany(platform, [{ userId: tenant.people[0]!, collection: null, first: 3, after: null }]),
  );
  const scores = page instanceof Error ? [] : page!.nodes;
  const liked = scores.find((score) => score?.imageId === tenant.images[1]);
  expect(liked!.like - liked!.dislike).toBeCloseTo(after[1]!, 6);
});
