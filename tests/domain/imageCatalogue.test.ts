/**
 * Questions and similar images from memory: what any replica has written is seen at once, what another has deleted too,
 * though nothing tells this one of it.
 */
import { withTenant } from '../../src/database/client.ts';
import { newId } from '../../src/domain/ids.ts';
import { readItemVectors } from '../../src/domain/itemVectors.ts';
import type { Platform } from '../../src/domain/platform.ts';
import { questionsForMany } from '../../src/domain/questions.ts';
import { similarImages } from '../../src/domain/similarImages.ts';
import { upsertUsers } from '../../src/domain/users.ts';
import { PreferenceModel } from '../../src/inference/preferenceModel.ts';
import { newTenant, type TestDatabase, testDatabase } from '../support/database.ts';
import { encodedItems, smallArtifact } from '../support/model.ts';
import { putReadyImages, testPlatform } from '../support/platform.ts';

const IMAGES = 16;
const NEAREST = 5;

let test: TestDatabase;
let model: PreferenceModel;
let platform: Platform;
let close: () => Promise<void>;

beforeAll(async () => {
  test = await testDatabase();
  model = await PreferenceModel.open(smallArtifact());
  ({ platform, close } = await testPlatform(test, model));
});
afterAll(async () => {
  await model.close();
  await test.close();
  await close();
});

/** A tenant with images, two people, and memory that has been asked already. */
async function filled() {
  const tenant = await newTenant(test.database, model);
  const place = { tenantId: tenant.id, tower: model.towerHash };
  const put = async (name: string, count: number, ownerId: string | null = null) =>
    putReadyImages(test.database, { ...place, ownerId }, await model.itemVectors(encodedItems(name, count)));
  return tenant.run(async () => {
    const { users } = await upsertUsers(test, [{ externalId: 'ada' }, { externalId: 'bob' }]);
    const [ada, bob] = users.map((user) => user!.id) as [string, string];
    const images = await put('images', IMAGES);
    await asked(ada);
    await alike(images[0]!);
    return { tenant, place, put, ada, bob, images };
  });
}

const asked = async (userId: string, collection: string | null = null): Promise<string[]> =>
  (await questionsForMany(platform, [{ userId, collection, first: 20 }]))[0]!;

const alike = async (imageId: string, ownerId: string | null = null): Promise<string[]> =>
  (await similarImages(platform, [{ imageId, ownerId, first: NEAREST }]))[0]!;

/** The nearest of these by what the database has. */
async function nearestAmong(imageId: string, ids: readonly string[]): Promise<string[]> {
  const vectors = await readItemVectors(test.database, model.towerHash, [imageId, ...ids]);
  const own = model.imageMetric(vectors.get(imageId)!);
  const product = (id: string) => model.imageMetric(vectors.get(id)!).reduce((sum, x, k) => sum + x * own[k]!, 0);
  return ids
    .filter((id) => id !== imageId)
    .map((id) => ({ id, product: product(id) }))
    .sort((a, b) => b.product - a.product)
    .slice(0, NEAREST)
    .map(({ id }) => id);
}

const sorted = (ids: readonly string[]) => ids.toSorted();

it('are of all images that there are, and of those that come', async () => {
  const { tenant, put, ada, images } = await filled();
  await tenant.run(async () => {
    expect(sorted(await asked(ada))).toEqual(sorted(images));
    expect(await alike(images[0]!)).toEqual(await nearestAmong(images[0]!, images));
    const [twin] = await put('images', 1);
    expect(await asked(ada)).toContain(twin);
    expect((await alike(images[0]!))[0]).toBe(twin);
  });
});

it('are without what another replica has deleted', async () => {
  const { tenant, ada, images } = await filled();
  await tenant.run(async () => {
    const [gone] = (await alike(images[0]!)) as [string];
    await test.database.image.delete({ where: { tenantId_id: { tenantId: tenant.id, id: gone } } });
    const left = images.filter((id) => id !== gone);
    expect(sorted(await asked(ada))).toEqual(sorted(left));
    expect(await alike(images[0]!)).toEqual(await nearestAmong(images[0]!, left));

    const [next] = (await alike(images[0]!)) as [string];
    await test.database.image.delete({ where: { tenantId_id: { tenantId: tenant.id, id: next } } });
    expect(await alike(images[0]!)).not.toContain(next);
    expect([...platform.catalogues.heldIds()]).not.toContain(next);
  });
});

it('are without what was given to somebody, is not READY any more, or has moved to another collection', async () => {
  const { tenant, ada, bob, images } = await filled();
  await tenant.run(async () => {
    const [given, changed, moved] = (await alike(images[0]!)) as [string, string, string];
    const at = (id: string) => ({ tenantId_id: { tenantId: tenant.id, id } });
    await test.database.image.update({ where: at(given), data: { ownerId: bob } });
    await test.database.image.update({ where: at(changed), data: { status: 'PENDING' } });
    await test.database.image.update({ where: at(moved), data: { collection: 'moved' } });
    const left = images.filter((id) => id !== given && id !== changed);
    expect(sorted(await asked(ada))).toEqual(sorted(left));
    expect(sorted(await asked(bob))).toEqual(sorted([...left, given]));
    expect(await asked(ada, 'moved')).toEqual([moved]);
    expect(await alike(images[0]!)).toEqual(await nearestAmong(images[0]!, left));
    expect(await alike(given, bob)).toEqual(await nearestAmong(given, left));
    expect(await alike(changed)).toEqual([]);
  });
});

it('ask about nothing that was judged a moment ago, and about the same again where nothing changed', async () => {
  const { tenant, ada, bob, images } = await filled();
  await tenant.run(async () => {
    const before = await asked(ada);
    expect(await asked(ada)).toEqual(before);
    const judgement = { tenantId: tenant.id, userId: ada, sentiment: 'SKIP', weight: 1, judgedAt: test.time } as const;
    await test.database.feedback.create({ data: { ...judgement, id: newId(), imageId: before[0]! } });
    expect(sorted(await asked(ada))).toEqual(sorted(images.filter((id) => id !== before[0])));
    expect(sorted(await asked(bob))).toEqual(sorted(images));
  });
});

it('are of one tenant, whoever asks first', async () => {
  const [one, other] = [await filled(), await filled()];
  for (const { tenant, ada, images } of [one, other, one]) {
    await withTenant(tenant.id, async () => {
      expect(sorted(await asked(ada))).toEqual(sorted(images));
      expect(await alike(images[0]!)).toEqual(await nearestAmong(images[0]!, images));
    });
  }
  expect(await withTenant(other.tenant.id, () => asked(one.ada))).toEqual([]);
});
