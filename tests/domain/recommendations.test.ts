/** Recommendations where there are more images than the model scores for one list: the first pass and its depth. */

import { newId } from '../../src/domain/ids.ts';
import { readItemVectors } from '../../src/domain/itemVectors.ts';
import type { Platform } from '../../src/domain/platform.ts';
import { recommendMany } from '../../src/domain/recommendations.ts';
import { scoreMany } from '../../src/domain/scores.ts';
import { upsertUsers } from '../../src/domain/users.ts';
import { PreferenceModel } from '../../src/inference/preferenceModel.ts';
import { Random } from '../../src/random.ts';
import { newTenant, type TestDatabase, testDatabase } from '../support/database.ts';
import { encodedItems, smallArtifact, untrainedModel } from '../support/model.ts';
import { putReadyImages, testPlatform } from '../support/platform.ts';

/** Above the 2,000 that the model scores for one list. */
const IMAGES = 2_400;

let test: TestDatabase;
let model: PreferenceModel;
let platform: Platform;
let close: () => Promise<void>;
let tenant: Awaited<ReturnType<typeof newTenant>>;
let imageIds: string[];
let userId: string;

beforeAll(async () => {
  test = await testDatabase();
  model = await untrainedModel({ image: 'c'.repeat(64), text: 'd'.repeat(64) });
  ({ platform, close } = await testPlatform(test, model));
  tenant = await newTenant(test.database, model);
  const random = new Random('recommendations');
  const embeddings = Array.from({ length: IMAGES }, () => ({
    image: Float32Array.from({ length: 1664 }, () => random.normal()),
    text: null,
  }));
  const vectors = await model.itemVectors(embeddings);
  await tenant.run(async () => {
    imageIds = await putReadyImages(test.database, { tenantId: tenant.id, tower: model.towerHash }, vectors);
    const { users } = await upsertUsers(test, [{ externalId: 'ada' }]);
    userId = users[0]!.id;
    await test.database.feedback.createMany({
      data: imageIds.slice(0, 8).map((imageId, i) => ({
        ...{ tenantId: tenant.id, id: newId(), userId, imageId, weight: 1, judgedAt: test.time },
        sentiment: i < 4 ? ('LIKE' as const) : ('DISLIKE' as const),
      })),
    });
    await test.database.user.update({
      where: { tenantId_id: { tenantId: tenant.id, id: userId } },
      data: { feedbackVersion: 1 },
    });
  });
});
afterAll(async () => {
  await model.close();
  await test.close();
  await close();
});

const everyPage = async () => {
  const ids: string[] = [];
  let after: string | null = null;
  do {
    const [page] = await recommendMany(platform, [{ userId, collection: null, first: 100, after }]);
    if (!page || page instanceof Error) throw page ?? new Error('no page');
    ids.push(...page.nodes.map(({ imageId }) => imageId));
    after = page.pageInfo.hasNextPage ? page.pageInfo.endCursor : null;
  } while (after);
  return ids;
};

it('are 1,000 deep, each image once, none that was judged', async () => {
  const ids = await tenant.run(everyPage);
  expect(ids).toHaveLength(1000);
  expect(new Set(ids).size).toBe(1000);
  for (const judged of imageIds.slice(0, 8)) expect(ids).not.toContain(judged);
});

it('begin with what scoring every image would put first', async () => {
  const all = await tenant.run(async () => {
    const parts = [];
    for (let start = 8; start < IMAGES; start += 200) parts.push(imageIds.slice(start, start + 200));
    const rankings = await scoreMany(
      platform,
      parts.map((part) => ({ userId, imageIds: part })),
    );
    return rankings
      .flatMap(({ scores }) => scores)
      .sort((a, b) => b.like - b.dislike - (a.like - a.dislike))
      .map(({ imageId }) => imageId);
  });
  const [page] = await tenant.run(() =>
    recommendMany(platform, [{ userId, collection: null, first: 20, after: null }]),
  );
  if (!page || page instanceof Error) throw page;
  expect(page.nodes.map(({ imageId }) => imageId)).toEqual(all.slice(0, 20));
});

describe('of somebody who judged nothing', () => {
  let general: PreferenceModel;
  let other: Awaited<ReturnType<typeof testPlatform>>;
  let house: Awaited<ReturnType<typeof newTenant>>;
  let bob: string;
  let place: { tenantId: string; tower: string };

  beforeAll(async () => {
    general = await PreferenceModel.open(smallArtifact({ set: { 'prior.gain': 2 } }));
    other = await testPlatform(test, general);
    house = await newTenant(test.database, general);
    place = { tenantId: house.id, tower: general.towerHash };
    const vectors = await general.itemVectors(encodedItems('general', 2_100));
    await house.run(async () => {
      await putReadyImages(test.database, place, vectors);
      bob = (await upsertUsers(test, [{ externalId: 'bob' }])).users[0]!.id;
    });
  });
  afterAll(async () => {
    await other.close();
    await general.close();
  });

  const first = async (count: number): Promise<string[]> => {
    const [page] = await recommendMany(other.platform, [{ userId: bob, collection: null, first: count, after: null }]);
    if (!page || page instanceof Error) throw page ?? new Error('no page');
    return page.nodes.map(({ imageId }) => imageId);
  };

  it('begin with what people in general like, the oldest image too, and follow what any replica writes', () =>
    house.run(async () => {
      const ids = (await test.database.image.findMany({ select: { id: true }, orderBy: { id: 'asc' } })).map(
        ({ id }) => id,
      );
      const best = async () => {
        const vectors = await readItemVectors(test.database, general.towerHash, ids);
        const [state] = await general.userStates([[]]);
        const [scores] = await general.score([{ state: state!, targets: ids.map((id) => vectors.get(id)!) }]);
        return scores!
          .map(({ like, dislike }, i) => ({ id: ids[i]!, margin: like - dislike }))
          .sort((a, b) => b.margin - a.margin)
          .slice(0, 20)
          .map(({ id }) => id);
      };
      const expected = await best();
      expect(await first(20)).toEqual(expected);

      // The best goes to somebody else, the next is not READY any more; one as good as the best comes in.
      const { users } = await upsertUsers(test, [{ externalId: 'cleo' }]);
      await test.database.image.updateMany({ where: { id: expected[0]! }, data: { ownerId: users[0]!.id } });
      await test.database.image.updateMany({ where: { id: expected[1]! }, data: { status: 'PENDING' } });
      const vectors = await readItemVectors(test.database, general.towerHash, [expected[0]!]);
      const [twin] = await putReadyImages(test.database, place, [vectors.get(expected[0]!)!]);
      expect(await first(19)).toEqual([twin, ...expected.slice(2)]);
      expect([...other.platform.catalogues.heldIds()]).not.toContain(expected[1]!);
    }));

  it('keep nothing of a tenant that is gone', () =>
    house.run(async () => {
      other.platform.catalogues.forgetTenant(house.id);
      await first(1);
      expect([...other.platform.catalogues.heldIds()]).toEqual([]);
    }));
});
