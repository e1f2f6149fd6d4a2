/** `palate evaluate --tenant`: the tenant's own people, the report, and the figures beside the version. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Database, withTenant } from '../../src/database/client.ts';
import { evaluationOf } from '../../src/domain/evaluations.ts';
import { newId, toGlobalId } from '../../src/domain/ids.ts';
import { PreferenceModel } from '../../src/inference/preferenceModel.ts';
import { encodeWeights } from '../../src/model/artifact.ts';
import { Random } from '../../src/random.ts';
import { partOfPerson } from '../../src/training/feedback/people.ts';
import { newTenant, type TestDatabase, testDatabase } from '../support/database.ts';
import { encodedItems, SMALL_ARCHITECTURE, smallArtifact } from '../support/model.ts';
import { palate } from './palate.ts';

const IMAGES = 60;
const PEOPLE = 120;
const JUDGEMENTS = 12;

const artifact = smallArtifact();
let folder: string;
let db: TestDatabase;
let database: Database;
let model: PreferenceModel;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'palate-evaluate-tenant-'));
  await mkdir(join(folder, 'model'));
  await writeFile(join(folder, 'model', 'manifest.json'), JSON.stringify(artifact.manifest));
  await writeFile(join(folder, 'model', 'weights.bin'), encodeWeights(artifact));
  db = await testDatabase();
  ({ database } = db);
  model = await PreferenceModel.open(artifact);
});
afterAll(async () => {
  await model.close();
  await db.close();
  await rm(folder, { recursive: true, force: true });
});

const makeTenant = () => {
  const { layers, heads, tokens } = SMALL_ARCHITECTURE;
  const { sha256, towerHash, imageEncoder, textEncoder } = model;
  return newTenant(database, { sha256, towerHash, imageEncoder, textEncoder, layers, heads, tokens });
};

const bytesOf = (numbers: Uint16Array | Float32Array) => Uint8Array.from(new Uint8Array(numbers.buffer));

/** People who like what lies far in a direction of their own. */
async function fill(tenantId: string): Promise<void> {
  const random = new Random('tenant');
  const items = await model.itemVectors(encodedItems('tenant', IMAGES));
  const imageIds = items.map(() => newId());
  const userIds = Array.from({ length: PEOPLE }, () => newId());
  const images = imageIds.map((id, i) => ({
    ...{ tenantId, id, sha256: String(i).padStart(64, '0'), format: 'jpeg', byteLength: 1, width: 1, height: 1 },
    status: 'READY' as const,
  }));
  const feedback = userIds.flatMap((userId) => {
    const taste = Array.from({ length: SMALL_ARCHITECTURE.imageMetric }, () => random.normal());
    return random.choose([...items.keys()], JUDGEMENTS).map((image, i) => {
      const opinion = model.imageMetric(items[image]!).reduce((sum, x, k) => sum + x * taste[k]!, 0);
      const judgedAt = new Date(Date.UTC(2026, 0, 1, i));
      const sentiment = opinion > 0 ? ('LIKE' as const) : ('DISLIKE' as const);
      return { tenantId, id: newId(), userId, imageId: imageIds[image]!, sentiment, weight: 1, judgedAt };
    });
  });
  await withTenant(tenantId, async () => {
    await database.user.createMany({ data: userIds.map((id) => ({ tenantId, id, externalId: id })) });
    await database.image.createMany({ data: images });
    await database.itemVector.createMany({
      data: items.map((vector, i) => ({
        ...{ tenantId, tower: model.towerHash, imageId: imageIds[i]! },
        vector: bytesOf(vector),
      })),
    });
    await database.feedback.createMany({ data: feedback });
  });
}

const evaluate = (...args: string[]) =>
  palate(['evaluate', '--model', 'model', ...args], { cwd: folder, environment: { DATABASE_URL: db.ownerUrl } });

const activeRow = (tenantId: string) =>
  withTenant(tenantId, () => database.model.findFirstOrThrow({ where: { status: 'ACTIVE' } }));

it('measures the people held out, writes the report, and keeps the figures beside the version', async () => {
  const { id } = await makeTenant();
  await fill(id);
  const { status, stdout, stderr } = await evaluate('--tenant', toGlobalId('Tenant', id), '--out', 'report');
  expect([status, stderr.replaceAll(/Measuring.*\n/g, '')]).toEqual([0, '']);
  const heldOut = await withTenant(id, async () =>
    (await database.user.findMany()).filter((user) => partOfPerson(id, user.id) === 'test'),
  );
  const kept = evaluationOf(await activeRow(id))!;
  expect(kept.users).toBeGreaterThan(2);
  expect(kept.users).toBeLessThanOrEqual(heldOut.length);
  expect(kept.pairwiseAccuracy).toBeGreaterThan(0.5);
  expect(kept.byHistory.map(({ likes, dislikes }) => `${likes}+${dislikes}`)).toEqual(
    expect.arrayContaining(['0+0', '8+8', '8+0', '0+8']),
  );
  expect(kept.against).toBeNull();
  expect(kept.baselines.map(({ name }) => name)).toEqual(expect.arrayContaining(['chance', 'popularity']));
  expect(stdout).toContain(`${(100 * kept.pairwiseAccuracy).toFixed(1)} % ±`);
  expect(stdout).toContain(`${kept.users} people held out\nreport: report.md, report.json, accuracy.svg`);
  expect(await readFile(join(folder, 'report', 'report.md'), 'utf8')).toContain(model.sha256);
});

it('says who is missing where nobody can be measured', async () => {
  const { id } = await makeTenant();
  const { status, stderr } = await evaluate('--tenant', id, '--out', 'none');
  expect(stderr).toMatch(
    /^palate: --tenant: of the 0 people who gave 0 likes and dislikes .* It takes some ten people\./,
  );
  expect(status).toBe(2);
  expect((await activeRow(id)).evaluation).toBeNull();
});

it('refuses a tenant that is not there, a model that is none of its versions, and other people beside it', async () => {
  const { id } = await newTenant(database);
  const refusals = await Promise.all([
    evaluate('--tenant', 'nobody'),
    evaluate('--tenant', '0198c0de-0000-7000-8000-000000000000'),
    evaluate('--tenant', id),
    evaluate('--tenant', id, '--images', '.'),
  ]);
  expect(refusals.map(({ status, stderr }) => [status, stderr.split('\n')[0]])).toEqual([
    [2, 'palate: --tenant nobody is no id of a tenant.'],
    [2, 'palate: --tenant: there is no tenant of this id.'],
    [
      2,
      expect.stringMatching(
        /^palate: --model model has the weights \w{64}, which are none of the tenant's versions: 0 \(a{64}\)\.$/,
      ),
    ],
    [2, "error: option '--tenant <id>' cannot be used with option '--images <dir>'"],
  ]);
});
