/** Recommendations where there are more images than the model scores for one list: the first pass and its depth. */

import { newId } from '../../src/domain/ids.ts';
import type { Platform } from '../../src/domain/platform.ts';
import { recommendMany } from '../../src/domain/recommendations.ts';
import { scoreMany } from '../../src/domain/scores.ts';
import { upsertUsers } from '../../src/domain/users.ts';
import type { PreferenceModel } from '../../src/inference/preferenceModel.ts';
import { Random } from '../../src/random.ts';
import { newTenant, type TestDatabase, testDatabase } from '../support/database.ts';
import { untrainedModel } from '../support/model.ts';
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
