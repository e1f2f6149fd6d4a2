/**
 * Versions over HTTP: listed, promoted and rolled back while others ask. Every answer is of one version, none fails, and
 * what becomes READY meanwhile is prepared for the versions that may serve next.
 */
import pg from 'pg';
import type { Model } from '../../src/database/generated/client.ts';
import { fromGlobalId, toGlobalId } from '../../src/domain/ids.ts';
import { Networks } from '../../src/domain/models.ts';
import { prepareModel } from '../../src/workers/prepare.ts';
import { startWarming } from '../../src/workers/warm.ts';
import { newCandidate } from '../support/candidates.ts';
import { type TestService, type TestTenant, testService, unknownId } from './service.ts';

let service: TestService;
let tenant: TestTenant;
let user: string;
let images: string[];
let owner: pg.Client;

beforeAll(async () => {
  service = await testService();
  owner = new pg.Client({ connectionString: service.test.ownerUrl });
  await owner.connect();
});
afterAll(async () => {
  await owner.end();
  await service.close();
});
beforeEach(async () => {
  tenant = await service.tenant();
  [user] = (await tenant.people('ada', 'bea')) as [string];
  images = [];
  for (const colour of ['#ff0000', '#00ff00', '#0000ff']) images.push(await tenant.upload(colour));
  await tenant.encode();
  await tenant.judge(user, 'LIKE', images[0]!);
  await tenant.judge(user, 'DISLIKE', images[1]!);
});

const prepared = (seed: string): Promise<Model> =>
  tenant.run(async () => {
    const model = await newCandidate(service.platform, seed);
    await prepareModel(service.platform, { tenantId: tenant.id, modelId: model.id });
    return model;
  });

const PROMOTE = `mutation ($id: ID!) {
  promoteModel(input: { id: $id }) {
    model { id status version } retired { id status version } userErrors { field code message }
  }
}`;
const promote = async (id: string, of = tenant) => (await of.ask(PROMOTE, { id }, of.adminKey)).data.promoteModel;
const MODELS = `query ($first: Int!, $after: String) {
  models(first: $first, after: $after) {
    nodes { version status readiness seed sha256 parent { version } evaluation { users } }
    pageInfo { hasNextPage endCursor }
  }
}`;
const SCORES = `query ($user: ID!, $images: [ID!]!, $image: ID!) {
  viewer { tenant { activeModel { id } } }
  user(by: { id: $user }) {
    rank(imageIds: $images) { scores { value model { id } explanation { influences { effect } } } }
    score(imageId: $image) { value model { id } }
    recommendations(first: 1) { nodes { value model { id } } }
    preferenceProfile { model { id } vector }
    similarUsers(first: 1) { nodes { similarity } }
  }
}`;
const ask = () => tenant.ask(SCORES, { user, images, image: images[2] }, tenant.adminKey);
/** The ids of all versions that an answer names. */
const named = (value: unknown): string[] => [
  ...new Set([...JSON.stringify(value).matchAll(/"id":"([^"]+)"/g)].map(([, id]) => id!)),
];

it('lists versions newest first, with where each came from', async () => {
  const model = await prepared('listed');
  const page = async (variables: object) => (await tenant.ask(MODELS, variables, tenant.adminKey)).data.models;
  const first = await page({ first: 1 });
  expect(first.nodes).toEqual([
    {
      ...{ version: 1, status: 'CANDIDATE', readiness: 1, seed: 7, sha256: model.sha256 },
      ...{ parent: { version: 0 }, evaluation: { users: 3 } },
    },
  ]);
  expect(first.pageInfo.hasNextPage).toBe(true);
  const second = await page({ first: 5, after: first.pageInfo.endCursor });
  expect(second.nodes).toMatchObject([{ version: 0, status: 'ACTIVE', seed: null, parent: null, evaluation: null }]);
  expect(second.pageInfo.hasNextPage).toBe(false);
  const { errors } = await tenant.ask(MODELS, { first: 0 }, tenant.adminKey);
  expect(errors[0]!.message).toBe('first is 0; it must be a whole number from 1 to 100.');
});

it('promotes, writes it into the audit log, and refuses what is not prepared or not there', async () => {
  const model = await prepared('promoted');
  const id = toGlobalId('Model', model.id);
  const before = await ask();
  const [base] = named(before.data.viewer);
  expect(await promote(id)).toEqual({
    model: { id, status: 'ACTIVE', version: 1 },
    retired: { id: base, status: 'RETIRED', version: 0 },
    userErrors: [],
  });
  expect(named((await ask()).data)).toEqual([id]);
  expect(await promote(id)).toEqual({ model: { id, status: 'ACTIVE', version: 1 }, retired: null, userErrors: [] });
  expect(await promote(base!)).toMatchObject({ model: { version: 0 }, retired: { version: 1 }, userErrors: [] });
  expect((await ask()).data).toEqual(before.data);
  const { data } = await tenant.ask('{ auditLog { nodes { action subject } } }', {}, tenant.adminKey);
  expect(data.auditLog.nodes.filter(({ action }: { action: string }) => action === 'promoteModel')).toEqual([
    { action: 'promoteModel', subject: base },
    { action: 'promoteModel', subject: id },
  ]);

  const other = await service.tenant();
  for (const nobodys of [id, unknownId('Model'), toGlobalId('User', model.id), 'nonsense']) {
    expect(await promote(nobodys, other)).toEqual({
      ...{ model: null, retired: null },
      userErrors: [{ field: ['id'], code: 'NOT_FOUND', message: 'There is no model with this id.' }],
    });
  }
  const unprepared = await tenant.run(() => newCandidate(service.platform, 'unprepared', { tower: true }));
  expect(await promote(toGlobalId('Model', unprepared.id))).toMatchObject({
    model: null,
    userErrors: [
      { field: ['id'], code: 'NOT_READY', message: expect.stringContaining('Version 2 is prepared by 0.0 %') },
    ],
  });
});

it('answers what the same request asks after a promotion by the promoted version', async () => {
  const id = toGlobalId('Model', (await prepared('within')).id);
  const { data } = await tenant.ask(
    `mutation ($id: ID!, $user: ID!, $image: ID!) {
      before: submitFeedback(input: { items: [{ user: { id: $user }, image: { id: $image }, sentiment: LIKE }] }) {
        feedback { user { score(imageId: $image) { model { id } } } }
      }
      promoteModel(input: { id: $id }) { userErrors { code } }
      upsertUsers(input: { items: [{ externalId: "ada" }] }) { users { preferenceProfile { model { id } } } }
    }`,
    { id, user, image: images[2] },
    tenant.adminKey,
  );
  expect(data.promoteModel.userErrors).toEqual([]);
  expect(named(data.before)).not.toEqual([id]);
  expect(named(data.upsertUsers)).toEqual([id]);
});

it('fails no request and mixes nothing while versions are promoted to and fro', async () => {
  const ids = [toGlobalId('Model', (await prepared('to')).id), toGlobalId('Model', (await prepared('fro')).id)];
  const answers: Awaited<ReturnType<typeof ask>>[] = [];
  let promoting = true;
  const asking = [1, 2, 3].map(async () => {
    while (promoting) answers.push(await ask());
  });
  for (let turn = 0; turn < 8; turn++) {
    expect((await promote(ids[turn % 2]!)).userErrors).toEqual([]);
    const so = answers.length;
    while (answers.length < so + 3) await new Promise((resolve) => setTimeout(resolve, 5));
  }
  promoting = false;
  await Promise.all(asking);
  const byModel = new Map<string, Set<string>>();
  for (const { status, data, errors } of answers) {
    expect([status, errors]).toEqual([200, []]);
    const [id, ...others] = named(data);
    expect(others).toEqual([]);
    const { rank, score, preferenceProfile } = data.user;
    const values = JSON.stringify([rank.scores.map(({ value }: { value: number }) => value), score, preferenceProfile]);
    byModel.set(id!, (byModel.get(id!) ?? new Set()).add(values));
  }
  for (const id of ids) expect(byModel.get(id)?.size).toBe(1);
});

it('keeps a cursor of recommendations to the version of its first page', async () => {
  const id = toGlobalId('Model', (await prepared('cursor')).id);
  for (const colour of ['#110000', '#001100']) await tenant.upload(colour);
  await tenant.encode();
  const page = async (after: string | null) => {
    const { data } = await tenant.ask(
      `query ($user: ID!, $after: String) { user(by: { id: $user }) {
        recommendations(first: 1, after: $after) { nodes { value model { id } } pageInfo { endCursor } }
      } }`,
      { user, after },
    );
    return data.user.recommendations;
  };
  const first = await page(null);
  await promote(id);
  const second = await page(first.pageInfo.endCursor);
  expect(named(second.nodes)).toEqual(named(first.nodes));
  expect(named((await page(null)).nodes)).toEqual([id]);
});

it('puts an image that becomes READY into the towers of all versions that are kept prepared', async () => {
  const { database } = service.platform;
  const model = await tenant.run(() => newCandidate(service.platform, 'tower', { tower: true }));
  const towersOf = (image: string) =>
    tenant.run(() => database.itemVector.count({ where: { imageId: fromGlobalId(image)!.id } }));
  const image = await tenant.upload('#00ffff');
  await tenant.encode();
  expect(await towersOf(image)).toBe(2);
  expect(await towersOf(images[0]!)).toBe(1);

  // A version comes in as an image is about to become READY: it is put into that one's tower as well.
  const late = await tenant.upload('#ff00ff');
  let encoding: Promise<void> | undefined;
  await tenant.run(() =>
    newCandidate(service.platform, 'late tower', {
      tower: true,
      also: async () => {
        encoding = tenant.encode();
        const waits =
          "SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
        while ((await owner.query(waits)).rowCount === 0) await new Promise((resolve) => setTimeout(resolve, 5));
      },
    }),
  );
  await encoding;
  expect(await towersOf(late)).toBe(3);
  await tenant.run(() => prepareModel(service.platform, { tenantId: tenant.id, modelId: model.id }));
  expect(await promote(toGlobalId('Model', model.id))).toMatchObject({ userErrors: [] });
  const { data, errors } = await ask();
  expect(errors).toEqual([]);
  expect(data.user.rank.scores).toHaveLength(3);
});

it('has other replicas load a version when it is prepared, before it is asked for', async () => {
  const { platform, test } = service;
  const networks = new Networks({
    ...{ base: platform.networks.base, files: platform.weights, maxBytes: 1e8 },
    log: { info: () => {}, error: () => {} },
  });
  const ears = await startWarming({ ...platform, networks }, test.url, (error) => {
    throw error;
  });
  try {
    await prepared('warm');
    while (networks.size === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(networks.size).toBe(1);
  } finally {
    await ears.close();
  }
});
