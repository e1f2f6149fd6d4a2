/**
 * The registry: candidates come in whole or not at all, exactly one version serves, and a rollback gives back what was,
 * to the last digit. A file that cannot be used is refused, and the last good version serves.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pino } from 'pino';
import { NO_TENANT, withTenant } from '../../src/database/client.ts';
import type { Model } from '../../src/database/generated/client.ts';
import { newId, toGlobalId } from '../../src/domain/ids.ts';
import { keepShipped } from '../../src/domain/modelFiles.ts';
import { activeModel, loadWeights, Networks } from '../../src/domain/models.ts';
import type { Platform } from '../../src/domain/platform.ts';
import { keptModels } from '../../src/domain/preparing.ts';
import { offerBaseModel, promote, promoteModel, readinessOf } from '../../src/domain/registry.ts';
import { scoreMany } from '../../src/domain/scores.ts';
import { submitFeedback } from '../../src/domain/submitFeedback.ts';
import { upsertUsers } from '../../src/domain/users.ts';
import { toHalfFloats } from '../../src/halfFloats.ts';
import { EngineUnavailable } from '../../src/inference/engine/engine.ts';
import { PreferenceModel } from '../../src/inference/preferenceModel.ts';
import { SessionHost } from '../../src/inference/sessionHost.ts';
import type { JobData } from '../../src/queue/jobs.ts';
import { takeOutTenant } from '../../src/queue/queue.ts';
import { prepareModel, prepareProfiles } from '../../src/workers/prepare.ts';
import { EVALUATION, moved, newCandidate } from '../support/candidates.ts';
import { newTenant, type TestDatabase, testDatabase } from '../support/database.ts';
import { quietEngine, withoutProcesses } from '../support/engine.ts';
import { encodedItems, smallArtifact } from '../support/model.ts';
import { putReadyImages, testNetworks, testPlatform } from '../support/platform.ts';

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
    const halves = (vector: Float32Array) => Uint8Array.from(new Uint8Array(toHalfFloats(vector).buffer));
    await db.database.embedding.createMany({
      data: ITEMS.flatMap(({ image, text }, i) => [
        { tenantId: tenant.id, imageId: images[i]!, encoder: base.imageEncoder, vector: halves(image) },
        ...(text
          ? [{ tenantId: tenant.id, imageId: images[i]!, encoder: base.textEncoder, vector: halves(text) }]
          : []),
      ]),
    });
    const { users } = await upsertUsers(platform, [{ externalId: 'ada' }]);
    ada = users[0]!.id;
    await judge('ada', 6);
  });
});

async function judge(externalId: string, count: number): Promise<void> {
  const items = images.slice(0, count).map((id, i) => ({
    user: { externalId },
    image: { id: toGlobalId('Image', id) },
    sentiment: i % 2 === 0 ? ('LIKE' as const) : ('DISLIKE' as const),
  }));
  expect((await submitFeedback(platform, { items })).userErrors).toEqual([]);
}

/** Values, best first. */
const scores = async (of = platform) => {
  const [ranking] = await scoreMany(of, [{ userId: ada, imageIds: images }]);
  return ranking!.scores.map(({ imageId, value }) => [imageId, value]);
};
const versions = async () =>
  (await db.database.model.findMany({ orderBy: { version: 'asc' } })).map(
    ({ version, status }) => `${version} ${status}`,
  );
/** As the worker does it, the rest of a job included. */
const prepare = (model: Model) => prepareModel(platform, { tenantId: tenant.id, modelId: model.id });
const prepared = async (...args: [seed: string, options?: { tower: boolean }]): Promise<Model> => {
  const model = await newCandidate(platform, ...args);
  await prepare(model);
  return model;
};
const jobsOf = async ({ id }: Model) =>
  (await db.database.$queryRaw<object[]>`SELECT FROM pgboss.job WHERE name = 'prepare' AND data ->> 'modelId' = ${id}`)
    .length;
const fileOf = ({ tenantId, sha256 }: Model) => join(folder, 'models', tenantId, sha256.slice(0, 2), sha256);
const caller = { credential: { actor: 'a test' }, address: null, requestId: 'test' } as Parameters<
  typeof promoteModel
>[1];
/** The same platform in a process that has just started, and what it logs. */
function restarted(base?: PreferenceModel) {
  const lines: { level: number; msg: string; version: number }[] = [];
  const log = pino({ level: 'info' }, { write: (line: string) => void lines.push(JSON.parse(line)) });
  const networks = new Networks({ base: base ?? platform.networks.base, files: platform.weights, maxBytes: 1e8, log });
  return { restarted: { ...platform, networks }, lines };
}

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
    await db.database.profile.deleteMany({ where: { modelId: model.id } });
    expect(await promote(platform, model.id, null)).toMatchObject({ model: { id: model.id }, retired: null });
    expect(await versions()).toEqual(['0 RETIRED', '1 ACTIVE']);
    await promote(platform, first.id, null);
    expect(await scores()).toEqual(before);
    expect(await versions()).toEqual(['0 ACTIVE', '1 RETIRED']);
  }));

it('makes what is not prepared NOT_READY, says by how much, and has it prepared', () =>
  tenant.run(async () => {
    const model = await newCandidate(platform, 'three', { tower: true });
    expect(await readinessOf(platform, model)).toBe(0);
    await expect(promote(platform, model.id, null)).rejects.toMatchObject({
      code: 'NOT_READY',
      field: ['id'],
      message: 'Version 1 is prepared by 0.0 %, and is being prepared: ask again when Model.readiness is 1.',
    });
    expect(await versions()).toEqual(['0 ACTIVE', '1 CANDIDATE']);
    await expect(promote(platform, model.id, null)).rejects.toMatchObject({ code: 'NOT_READY' });
    expect(await jobsOf(model)).toBe(1); // it is under way since the version came in
    await takeOutTenant(db.database);
    await expect(promote(platform, model.id, null)).rejects.toMatchObject({ code: 'NOT_READY' });
    expect(await jobsOf(model)).toBe(1);
    expect(await db.database.model.findFirst({ where: { id: model.id } })).toMatchObject({
      wantedAt: expect.any(Date),
    });
    await prepare(model);
    expect(await readinessOf(platform, model)).toBe(1);
    const rows = await db.database.tokenExemplar.findMany({ where: { modelId: model.id }, distinct: ['token'] });
    expect(rows).toHaveLength(model.tokens);
    await promote(platform, model.id, null);
    expect(await scores()).toHaveLength(images.length);
  }));

it('prepares in parts, each of which sends a job for the rest', () =>
  tenant.run(async () => {
    const others = ['bea', 'cleo', 'dora', 'edna'];
    await upsertUsers(
      platform,
      others.map((externalId) => ({ externalId })),
    );
    for (const externalId of others) await judge(externalId, 3);
    const model = await newCandidate(platform, 'parts', { tower: true });
    const shares: number[] = [];
    for (;;) {
      const [job] = await db.database.$queryRaw<{ id: string; data: JobData['prepare'] }[]>`
        DELETE FROM pgboss.job WHERE name = 'prepare' AND data ->> 'modelId' = ${model.id} RETURNING id, data`;
      if (!job) break;
      await prepareModel(platform, job.data, 5);
      shares.push(await readinessOf(platform, model));
    }
    // 12 images and 5 people: 5, 5, then 2 with all people at once, of whom there may be more.
    expect(shares).toEqual([5 / 17, 10 / 17, 1, 1]);
  }));

it('keeps the version before and the candidates prepared for new feedback', () =>
  tenant.run(async () => {
    const { row: first } = await activeModel(platform);
    const second = await prepared('four');
    await promote(platform, second.id, null);
    const third = await prepared('five');
    await upsertUsers(platform, [{ externalId: 'bea' }]);
    await judge('bea', 4);
    await prepareProfiles(platform);
    for (const { id } of [first, second, third]) {
      expect(await db.database.profile.count({ where: { modelId: id } })).toBe(2);
    }
    await newCandidate(platform, 'six');
    await newCandidate(platform, 'seven');
    expect((await keptModels(db.database)).map(({ version }) => version)).toEqual([1, 4, 3, 0]);
    await promote(platform, third.id, null); // left, and still as it was
    expect(await versions()).toEqual(['0 RETIRED', '1 RETIRED', '2 ACTIVE', '3 CANDIDATE', '4 CANDIDATE']);
  }));

it('does no harm where the model, the tenant or everybody is gone', async () => {
  const model = await tenant.run(() => newCandidate(platform, 'eight'));
  await tenant.run(() => prepareModel(platform, { tenantId: tenant.id, modelId: newId() }));
  await tenant.run(async () => {
    await db.database.user.deleteMany();
    await prepare(model);
    expect(await readinessOf(platform, model)).toBe(1);
  });
  await withTenant(newId(), () => prepare(model));
});

it('leaves exactly one active of many promotions at once', () =>
  tenant.run(async () => {
    const { row: first } = await activeModel(platform);
    const all = [first, await prepared('nine'), await prepared('ten')];
    for (let round = 0; round < 5; round++) {
      const promoted = await Promise.allSettled([...all, ...all].map(({ id }) => promote(platform, id, null)));
      expect(promoted.filter(({ status }) => status === 'rejected')).toEqual([]);
      expect((await versions()).filter((text) => text.endsWith('ACTIVE'))).toHaveLength(1);
    }
  }));

it('does not know the versions of another tenant', async () => {
  const other = await newTenant(db.database, base);
  const model = await tenant.run(() => prepared('eleven'));
  await other.run(async () => {
    for (const id of [toGlobalId('Model', model.id), toGlobalId('Image', model.id), 'nonsense']) {
      await expect(promoteModel(platform, caller, id)).rejects.toMatchObject({ code: 'NOT_FOUND', field: ['id'] });
    }
    await expect(loadWeights(platform, model.sha256)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(newCandidate(platform, 'twelve', { parentId: model.id })).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});

it("loads no other tenant's file, though a row names the same weights", async () => {
  const other = await newTenant(db.database, base);
  const model = await tenant.run(() => newCandidate(platform, 'theirs'));
  await platform.networks.of(model);
  await other.run(async () => {
    const { row } = await activeModel(platform);
    const named = { ...model, tenantId: other.id, id: newId(), parentId: row.id };
    await expect(platform.networks.of(named)).rejects.toMatchObject({ code: 'NOT_READY' });
  });
});

it('adds no version of weights that one has already, and leaves that one as it is', () =>
  tenant.run(async () => {
    const artifact = moved(base.artifact, 'thirteen');
    const model = await newCandidate(platform, '', { artifact });
    const again = { ...artifact, manifest: { ...artifact.manifest, name: 'another' } };
    await expect(newCandidate(platform, '', { artifact: again })).rejects.toMatchObject({
      code: 'CONFLICT',
      message: 'The new weights are those of version 1: there is nothing to add.',
    });
    await expect(newCandidate(platform, '', { artifact: base.artifact })).rejects.toMatchObject({ code: 'CONFLICT' });
    expect(await versions()).toEqual(['0 ACTIVE', '1 CANDIDATE']);
    expect((await loadWeights(platform, model.sha256)).manifest.name).toBe('small');
  }));

it('leaves neither row nor file where the transaction fails, and takes the place of a file that was left', () =>
  tenant.run(async () => {
    const artifact = moved(base.artifact, 'fourteen');
    const failing = newCandidate(platform, '', { artifact, also: () => Promise.reject(new Error('no')) });
    await expect(failing).rejects.toThrow('no');
    expect(await versions()).toEqual(['0 ACTIVE']);
    const files = async () => {
      const names: string[] = [];
      for await (const name of platform.weights.list(tenant.id)) names.push(name);
      return names;
    };
    expect(await files()).toEqual([]);
    const { sha256 } = artifact.manifest.weights;
    await platform.weights.put(tenant.id, sha256, Buffer.from('half of an earlier attempt'));
    await newCandidate(platform, '', { artifact });
    expect(await files()).toEqual([sha256]);
    expect(await loadWeights(platform, sha256)).toEqual(artifact);
  }));

const flip = (bytes: Buffer, at: number) => {
  bytes[at]! ^= 1;
  return bytes;
};

it.each([
  ['damaged weights', (bytes: Buffer) => flip(bytes, bytes.length - 9), 'the SHA-256 of its content is'],
  ['a damaged manifest', (bytes: Buffer) => flip(bytes, 300), 'the SHA-256 of its content is'],
  ['half of itself', (bytes: Buffer) => bytes.subarray(0, bytes.length / 2), 'the SHA-256 of its content is'],
  ['nothing in it', () => Buffer.alloc(0), 'its first line names no format'],
  [
    'a newer format',
    (bytes: Buffer) => Buffer.from(bytes.toString('latin1').replace('file-1', 'file-2'), 'latin1'),
    'It is of the format palate-model-file-2; this version of Palate reads palate-model-file-1.',
  ],
])('refuses a file with %s, and lets the last good version serve', (_, spoil, why) =>
  tenant.run(async () => {
    const before = await scores();
    const second = await prepared('fifteen');
    const third = await prepared('sixteen');
    await promote(platform, second.id, null);
    const last = await scores();
    await promote(platform, third.id, null);
    const now = await scores();
    const whole = await readFile(fileOf(third));
    await writeFile(fileOf(third), spoil(Buffer.from(whole)));

    const { restarted: service, lines } = restarted();
    expect(await scores(service)).toEqual(last);
    expect(await scores(service)).toEqual(last);
    expect((await activeModel(service)).row).toMatchObject({ version: 1, status: 'RETIRED' });
    expect(lines).toMatchObject([
      { level: 50, version: 2, msg: 'a model version is refused', err: { message: expect.stringContaining(why) } },
      { level: 50, version: 1, refused: 2 },
    ]);
    await expect(promote(service, third.id, null)).rejects.toMatchObject({
      code: 'NOT_READY',
      message: expect.stringContaining(
        'Model version 2 cannot be used: its file is missing, damaged, of a newer format or cannot be reached.',
      ),
    });
    await expect(loadWeights(service, third.sha256)).rejects.toMatchObject({
      code: 'NOT_READY',
      message: expect.stringContaining(why),
    });
    await writeFile(fileOf(second), '');
    expect(await scores(restarted().restarted)).toEqual(before);
    await writeFile(fileOf(third), whole);
    expect(await scores(restarted().restarted)).toEqual(now);
    // Others are served all along.
    expect(await versions()).toEqual(['0 RETIRED', '1 RETIRED', '2 ACTIVE']);
  }),
);

it('offers a newer base model as a candidate, once, and serves the older one from its file', () =>
  tenant.run(async () => {
    await keepShipped(platform.weights, base.artifact);
    const newer = await PreferenceModel.open(smallArtifact({ seed: 'the next release' }));
    const before = await scores();
    const { restarted: service, lines } = restarted(newer);
    expect(await scores(service)).toEqual(before);
    const offered = (await Promise.all([1, 2, 3].map(() => offerBaseModel(service, newer)))).filter((row) => row);
    expect(offered).toMatchObject([{ version: 1, status: 'CANDIDATE', parentId: null, sha256: newer.sha256 }]);
    expect(await offerBaseModel(service, newer)).toBeNull();
    expect(await offerBaseModel(service, base)).toBeNull();
    await prepareModel(service, { tenantId: tenant.id, modelId: offered[0]!.id });
    await promote(service, offered[0]!.id, null);
    expect(await scores(service)).not.toEqual(before);
    await promote(service, (await db.database.model.findFirstOrThrow({ where: { version: 0 } })).id, null);
    expect(await scores(service)).toEqual(before);
    expect(lines).toEqual([]);
    await newer.close();
  }));

it('mends a damaged copy of what ships', async () => {
  await keepShipped(platform.weights, base.artifact);
  const file = join(folder, 'models', NO_TENANT, base.sha256.slice(0, 2), base.sha256);
  const whole = await readFile(file);
  await writeFile(file, 'damaged');
  await keepShipped(platform.weights, base.artifact);
  expect(await readFile(file)).toEqual(whole);
});

it('refuses no version for want of a process that runs it', () =>
  tenant.run(async () => {
    const model = await newCandidate(platform, 'a');
    const engine = quietEngine();
    const log = pino({ level: 'silent' });
    const host = new SessionHost({}, engine);
    const networks = new Networks({ base, files: platform.weights, maxBytes: 1e8, host, log });
    await withoutProcesses(() => expect(networks.of(model)).rejects.toBeInstanceOf(EngineUnavailable));
    const [state] = await (await networks.of(model)).network.userStates([[]]);
    expect(state!.probe).toHaveLength(base.manifest.architecture.width);
    await networks.close();
    await engine.close();
  }));

describe('memory', () => {
  it('holds as many networks as fit, and whoever holds one that was dropped goes on with it', () =>
    tenant.run(async () => {
      const models = [await newCandidate(platform, 'a'), await newCandidate(platform, 'b')];
      const size = 4 * base.manifest.weights.bytes;
      const networks = testNetworks(base, platform.weights, 1.5 * size);
      const [first, second] = [await networks.of(models[0]!), await networks.of(models[1]!)];
      expect(networks.size).toBe(1);
      const [states, others] = [await first.network.userStates([[]]), await second.network.userStates([[]])];
      expect(states[0]!.probe).not.toEqual(others[0]!.probe);
      const again = await networks.of(models[0]!);
      expect(again.network).not.toBe(first.network);
      expect((await again.network.userStates([[]]))[0]!.probe).toEqual(states[0]!.probe);
    }));

  it('loads a network once, however many ask for it', () =>
    tenant.run(async () => {
      const model = await newCandidate(platform, 'c');
      const networks = testNetworks(base, platform.weights);
      const asked = await Promise.all(Array.from({ length: 8 }, () => networks.of(model)));
      expect(new Set(asked.map(({ network }) => network)).size).toBe(1);
    }));

  it('drops the networks of a tenant that is deleted', () =>
    tenant.run(async () => {
      const model = await newCandidate(platform, 'd');
      const networks = testNetworks(base, platform.weights);
      await networks.of(model);
      networks.forgetTenant(tenant.id);
      expect(networks.size).toBe(0);
      await networks.of(model);
      expect(networks.size).toBe(0);
    }));
});
