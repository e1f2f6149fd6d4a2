/** Recommendations where there are more images than the model scores for one list: the first pass and its depth. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { newId } from '../../src/domain/ids.ts';
import { Networks } from '../../src/domain/models.ts';
import { PictureLinks } from '../../src/domain/pictureLinks.ts';
import { createPlatform, type Platform } from '../../src/domain/platform.ts';
import { recommendMany } from '../../src/domain/recommendations.ts';
import { scoreMany } from '../../src/domain/scores.ts';
import { upsertUsers } from '../../src/domain/users.ts';
import type { PreferenceModel } from '../../src/inference/preferenceModel.ts';
import { PictureStore } from '../../src/pictures/store.ts';
import { Random } from '../../src/random.ts';
import { newTenant, type TestDatabase, testDatabase } from '../support/database.ts';
import { untrainedModel } from '../support/model.ts';
import { tokenParts } from '../support/tokens.ts';

/** Above the 2,000 that the model scores for one list. */
const IMAGES = 2_400;

let test: TestDatabase;
let directory: string;
let model: PreferenceModel;
let platform: Platform;
let tenant: Awaited<ReturnType<typeof newTenant>>;
let imageIds: string[];
let userId: string;

beforeAll(async () => {
  test = await testDatabase();
  directory = await mkdtemp(join(tmpdir(), 'palate-recommendations-'));
  model = await untrainedModel({ image: 'c'.repeat(64), text: 'd'.repeat(64) });
  platform = createPlatform(
    {
      ...{
        database: test.database,
        queue: test.queue,
        now: test.now,
        baseModel: model,
        networks: new Networks([model]),
      },
      pictures: await PictureStore.open(directory),
      pictureLimits: { maxBytes: 1, maxPixels: 1 },
      links: new PictureLinks('a key for tests, of 32 characters', () => ''),
      ...tokenParts(test.now),
    },
    { userStates: 10_000_000, vectorIndexes: 10_000_000 },
  );
  tenant = await newTenant(test.database, model);
  const random = new Random('recommendations');
  const embeddings = Array.from({ length: IMAGES }, () => ({
    image: Float32Array.from({ length: 1664 }, () => random.normal()),
    text: null,
  }));
  const vectors = await model.itemVectors(embeddings);
  imageIds = vectors.map(newId);
  await tenant.run(async () => {
    const picture = {
      tenantId: tenant.id,
      format: 'png',
      byteLength: 1,
      width: 1,
      height: 1,
      status: 'READY' as const,
    };
    const rows = imageIds.map((id, i) => ({ ...picture, id, sha256: i.toString(16).padStart(64, '0') }));
    await test.database.image.createMany({ data: rows });
    await test.database.itemVector.createMany({
      data: vectors.map((vector, i) => ({
        tenantId: tenant.id,
        tower: model.towerHash,
        imageId: imageIds[i]!,
        vector: Uint8Array.from(new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength)),
      })),
    });
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
  await rm(directory, { recursive: true });
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
