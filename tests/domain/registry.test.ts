/**
 * The registry: candidates come in whole or not at all, exactly one version serves, and a rollback gives back what was,
 * to the last digit.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Model } from '../../src/database/generated/client.ts';
import { newId, toGlobalId } from '../../src/domain/ids.ts';
import { activeModel, loadWeights } from '../../src/domain/models.ts';
import type { Platform } from '../../src/domain/platform.ts';
import { promote, readinessOf } from '../../src/domain/registry.ts';
import { scoreMany } from '../../src/domain/scores.ts';
import { submitFeedback } from '../../src/domain/submitFeedback.ts';
import { upsertUsers } from '../../src/domain/users.ts';
import { PreferenceModel } from '../../src/inference/preferenceModel.ts';
import { prepareModel } from '../../src/workers/prepare.ts';
import { EVALUATION, moved, newCandidate } from '../support/candidates.ts';
import { newTenant, type TestDatabase, testDatabase } from '../support/database.ts';
import { encodedItems, smallArtifact } from '../support/model.ts';
import { putReadyImages, testPlatform } from '../support/platform.ts';

const ITEMS = encodedItems('registry', 12);
let db: TestDatabase;
let base: PreferenceModel;
let platform: Platform;
let folder: string;
let close: () => Promise<void>;
let tenant: Awaited<ReturnType<typeof newTenant>>;
let images: string[];
let ada: string;

beforeAll(async () => {
  db = await testDatabase();
  base = await PreferenceModel.open(smallArtifact());
  ({ platform, folder, close } = await testPlatform(db, base));
});
afterAll(async () => {
  await db.close();
  await base.close();
  await close();
});
beforeEach(async () => {
  tenant = await newTenant(db.database, base);
  await tenant.run(async () => {
    images = await putReadyImages(
      db.database,
      { tenantId: tenant.id, tower: base.towerHash },
      await base.itemVectors(ITEMS),
    );
    const { users } = await upsertUsers(platform, [{ externalId: 'ada' }]);
    ada = users[0]!.id;
    const items = images.slice(0, 6).map((id, i) => ({
      user: { externalId: 'ada' },
      image: { id: toGlobalId('Image', id) },
      sentiment: i % 2 === 0 ? ('LIKE' as const) : ('DISLIKE' as const),
    }));
    expect((await submitFeedback(platform, { items })).userErrors).toEqual([]);
  });
});

/** Value by image, in one order. */
const scores = async () => {
  const [ranking] = await scoreMany(platform, [{ userId: ada, imageIds: images }]);
  return ranking!.scores.map(({ imageId, value }) => [imageId, value]);
};
const versions = async () =>
  (await db.database.model.findMany({ orderBy: { version: 'asc' } })).map(
    ({ version, status }) => `${version} ${status}`,
  );
const prepared = async (seed: string): Promise<Model> => {
  const model = await newCandidate(platform, seed);
  await prepareModel(platform, { tenantId: tenant.id, modelId: model.id });
  return model;
};

it('keeps a candidate with where it came from, and its numbers in a file', () =>
  tenant.run(async () => {
    const parent = (await activeModel(platform)).row;
    const artifact = moved(base.artifact, 'one');
    const people = [[newId(), newId()], [newId()]];
    const heard: string[] = [];
    const model = await newCandidate(platform, 'one', {
      artifact,
      peopleIds: people,
      also: async (_, { id }) => void heard.push(id),
    });
    expect(model).toMatchObject({
      ...{ version: 1, status: 'CANDIDATE', parentId: parent.id, seed: 7, datasetSha256: 'd'.repeat(64) },
      ...{
        sha256: artifact.manifest.weights.sha256,
        tower: base.towerHash,
        evaluation: EVALUATION,
        codeVersion: '0.1.0',
      },
    });
    expect(heard).toEqual([model.id]);
    const rows = await db.database.trainingPerson.findMany({ where: { modelId: model.id } });
    expect(rows.map(({ userId }) => userId).sort()).toEqual(people.flat().sort());
    expect(await loadWeights(platform, model.sha256)).toEqual(artifact);
    expect(await loadWeights(platform, base.sha256)).toEqual(base.artifact);
    await expect(loadWeights(platform, 'e'.repeat(64))).rejects.toMatchObject({ code: 'NOT_FOUND' });
  }));

it('promotes a prepared candidate, changes every score, and rolls back to the very scores before', () =>
  tenant.run(async () => {
    const before = await scores();
    const { row: first } = await activeModel(platform);
    const model = await prepared('two');
    expect(await readinessOf(platform, model)).toBe(1);
    expect(await promote(platform, model.id, null)).toMatchObject({
      model: { id: model.id, status: 'ACTIVE' },
      retired: { id: first.id, status: 'RETIRED' },
    });
    const after = await scores();
    expect(after.filter(([, value], i) => value === before[i]![1])).toEqual([]);
    expect(await promote(platform, model.id, null)).toMatchObject({ model: { id: model.id }, retired: null });
    expect(await versions()).toEqual(['0 RETIRED', '1 ACTIVE']);
    await promote(platform, first.id, null);
    expect(await scores()).toEqual(before);
    expect(await versions()).toEqual(['0 ACTIVE', '1 RETIRED']);
  }));
