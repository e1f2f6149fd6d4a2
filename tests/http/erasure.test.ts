/** Erasing people and pictures: what is found before is found nowhere after, in tables, files, the queue and memory. */
import { createHash } from 'node:crypto';
import { fromGlobalId } from '../../src/domain/ids.ts';
import { sweepLists } from '../../src/domain/recommendations.ts';
import { eraseFiles } from '../../src/domain/storedFiles.ts';
import { findTraces, type Trace } from '../../src/domain/traces.ts';
import { picture, type TestService, type TestTenant, testService, unknownId } from './service.ts';

let service: TestService;
let tenant: TestTenant;

beforeAll(async () => {
  service = await testService();
});
afterAll(async () => {
  await service.close();
});
beforeEach(async () => {
  tenant = await service.tenant();
});

const DELETE_USER = `mutation ($id: ID!) {
  deleteUser(input: { id: $id }) {
    deletedId feedbackDeleted modelsTrainedOnUser { id version } userErrors { field code message }
  }
}`;
const DELETE_IMAGES = `mutation ($ids: [ID!]!) {
  deleteImages(input: { ids: $ids }) { deletedIds userErrors { field code message } }
}`;
const SUBMIT = `mutation ($input: SubmitFeedbackInput!) {
  submitFeedback(input: $input) { feedback { id } userErrors { field code message } }
}`;
const COMPARE = `mutation ($input: SubmitComparisonInput!) {
  submitComparison(input: $input) { comparison { id } userErrors { field code } }
}`;

const uuid = (globalId: string) => fromGlobalId(globalId)!.id;
const shaOf = async (colour: string) =>
  createHash('sha256')
    .update(await picture(colour))
    .digest('hex');
const traces = (...values: string[]): Promise<Trace[]> => tenant.run(() => findTraces(service.platform, values));
const places = (found: Trace[]) => [...new Set(found.map(({ place }) => place.replace('public.', '')))].sort();
const erase = () => tenant.run(() => eraseFiles(service.platform));
const storedFile = async (colour: string) =>
  service.platform.pictures.get(tenant.id, await shaOf(colour)).then(
    (bytes) => bytes.length > 0,
    () => false,
  );
/** Ada with something in every table, and Bea who shares a request with her and has judged a picture that is Ada's now. */
async function fill() {
  const [user, bea] = (await tenant.people('ada@example.org', 'bea')) as [string, string];
  const open = [await tenant.upload('#ff0000'), await tenant.upload('#00ff00'), await tenant.upload('#0000ff')];
  const own = await tenant.upload('#123456', {
    externalId: 'portrait of ada@example.org',
    prompt: 'ada@example.org in a blue hat',
  });
  await tenant.encode();
  await tenant.findExemplars();
  await tenant.judge(bea, 'LIKE', own, open[1]!);
  await tenant.ask(
    'mutation ($items: [UpdateImageItem!]!) { updateImages(input: { items: $items }) { userErrors { code } } }',
    { items: [{ id: own, owner: { id: user } }] },
  );
  const item = (id: string, image: string, comment: string) => ({
    ...{ user: { id }, image: { id: image }, sentiment: 'LIKE', comment },
  });
  await tenant.ask(SUBMIT, {
    input: { items: [item(user, open[0]!, 'ada@example.org likes red')], idempotencyKey: 'of ada@example.org' },
  });
  const both = [item(user, own, 'ada likes herself'), item(bea, open[0]!, 'so does bea')];
  const shared = await tenant.ask(SUBMIT, { input: { items: both, idempotencyKey: 'of both' } });
  await tenant.ask(COMPARE, {
    input: { user: { id: user }, chosen: { id: open[0] }, others: [{ id: open[1] }], idempotencyKey: 'compared' },
  });
  await tenant.ask(COMPARE, { input: { user: { id: bea }, chosen: { id: open[0] }, others: [{ id: open[2] }] } });
  const { data } = await tenant.ask(
    `query ($ids: [ID!]!, $images: [ID!]!) { nodes(ids: $ids) { ... on User {
       recommendations(first: 1) { nodes { value } } rank(imageIds: $images) { scores { value } }
       preferenceProfile { likes } similarUsers { nodes { similarity } }
     } } image(by: { externalId: "portrait of ada@example.org" }) { similarImages { id } } }`,
    { ids: [user, bea], images: [own] },
  );
  expect(data.nodes[0]).toMatchObject({
    preferenceProfile: { likes: 2 },
    similarUsers: { nodes: [expect.anything()] },
  });
  const { database } = service.platform;
  const modelId = await tenant.run(async () => {
    const model = await database.model.findFirstOrThrow();
    await database.trainingPerson.create({ data: { tenantId: tenant.id, modelId: model.id, userId: uuid(user) } });
    await database.pointLease.create({
      data: { tenantId: tenant.id, subject: uuid(user), windowStart: new Date(), leased: 5, granted: 5 },
    });
    return model.id;
  });
  return { user, bea, open, own, modelId, shared: shared.data.submitFeedback, both };
}

describe('deleteUser', () => {
  it('finds a person in every table that there is of them, erases them, and finds them nowhere but by random id', async () => {
    const { user, own, shared } = await fill();
    const values = [
      user,
      uuid(user),
      'ada@example.org',
      own,
      uuid(own),
      uuid(shared.feedback[0].id),
      await shaOf('#123456'),
    ];
    expect(places(await traces(...values))).toEqual([
      ...['comparisons.user_id', 'embeddings.image_id', 'feedback.comment', 'feedback.id', 'feedback.image_id'],
      ...[
        'feedback.user_id',
        'idempotency_keys.ids',
        'idempotency_keys.key',
        'idempotency_keys.user_ids',
        'images.external_id',
      ],
      ...['images.id', 'images.owner_id', 'images.prompt', 'images.sha256', 'item_vectors.image_id'],
      ...['pgboss.job.data', 'pictures', 'point_leases.subject', 'profiles.user_id', 'recommendation_lists.scores'],
      ...['recommendation_lists.user_id', 'training_people.user_id', 'users.external_id', 'users.id'],
    ]);

    const { data } = await tenant.ask(DELETE_USER, { id: user });
    expect(data.deleteUser).toEqual({
      ...{ deletedId: user, feedbackDeleted: 2, userErrors: [] },
      modelsTrainedOnUser: [{ id: expect.any(String), version: 0 }],
    });
    await erase();
    const left = await traces(...values);
    expect(left.every(({ kept }) => kept)).toBe(true);
    expect(places(left)).toEqual(['audit_events.subject', 'erasures.user_id', 'training_people.user_id']);
    const tombstones = await tenant.run(() => service.platform.database.erasure.findMany());
    expect(tombstones).toEqual([
      { tenantId: tenant.id, userId: uuid(user), erasedAt: service.test.time, feedbackDeleted: 2 },
    ]);
  });

  it('leaves others what is theirs, but what they made of the erased pictures', async () => {
    const { user, bea, both, shared } = await fill();
    const before = await versionOf(bea);
    await tenant.ask(DELETE_USER, { id: user });
    const { data } = await tenant.ask(
      'query ($id: ID!) { user(by: { id: $id }) { feedback { totalCount nodes { image { id } comment } } preferenceProfile { likes } } }',
      { id: bea },
    );
    expect(data.user.feedback.totalCount).toBe(2);
    expect(data.user.preferenceProfile).toEqual({ likes: 2 });
    expect(await versionOf(bea)).toBeGreaterThan(before);
    // The answer that was about both is kept for Bea's part of it.
    const again = await tenant.ask(SUBMIT, { input: { items: both, idempotencyKey: 'of both' } });
    expect(again.data.submitFeedback).toEqual({ feedback: [null, shared.feedback[1]], userErrors: [] });
    const comparisons = await tenant.run(() => service.platform.database.comparison.findMany());
    expect(comparisons.map(({ userId }) => userId)).toEqual([uuid(bea)]);
    for (const colour of ['#ff0000', '#00ff00', '#0000ff']) expect(await storedFile(colour)).toBe(true);
  });

  it('is NOT_FOUND for an id of nobody, of another tenant, of something else, and a second time', async () => {
    const other = await service.tenant();
    const [theirs] = await other.people('theirs');
    const [user] = await tenant.people('mine');
    await tenant.ask(DELETE_USER, { id: user });
    for (const id of [unknownId('User'), unknownId('Image'), theirs, user, 'nonsense']) {
      const { data } = await tenant.ask(DELETE_USER, { id });
      expect(data.deleteUser).toEqual({
        ...{ deletedId: null, feedbackDeleted: 0, modelsTrainedOnUser: [] },
        userErrors: [{ field: ['id'], code: 'NOT_FOUND', message: 'There is no user with this id.' }],
      });
    }
    expect(
      (await other.ask('query ($id: ID!) { user(by: { id: $id }) { id } }', { id: theirs })).data.user,
    ).not.toBeNull();
  });

  it('lets a person erase themself, beyond what their session sees, and nobody else', async () => {
    const { user, bea } = await fill();
    const key = await tenant.personKey('ada@example.org');
    const refused = await tenant.ask(DELETE_USER, { id: bea }, key);
    expect(refused.data.deleteUser.userErrors).toEqual([
      { field: ['id'], code: 'NOT_FOUND', message: 'There is no user with this id.' },
    ]);
    const { data } = await tenant.ask(DELETE_USER, { id: user }, key);
    expect(data.deleteUser).toMatchObject({ deletedId: user, feedbackDeleted: 2, userErrors: [] });
    await erase();
    expect((await traces(user, 'ada@example.org')).every(({ kept }) => kept)).toBe(true);
    expect(await tenant.run(() => service.platform.database.feedback.count())).toBe(2);
  });

  it('takes the person out of memory at once', async () => {
    const { user, own } = await fill();
    const { userStates, profiles, catalogues, candidates } = service.platform;
    const held = () => ({
      states: heldBy(userStates),
      profiles: heldBy(profiles),
      images: heldBy(catalogues),
      candidates: heldBy(candidates),
    });
    expect(held().states).toContain(uuid(user));
    expect(held().profiles).toContain(uuid(user));
    expect(held().images).toContain(uuid(own));
    expect(held().candidates).toContain(uuid(own));
    await tenant.ask(DELETE_USER, { id: user });
    for (const memory of Object.values(held())) {
      expect(memory).not.toContain(uuid(user));
      expect(memory).not.toContain(uuid(own));
    }
  });
});

async function versionOf(user: string): Promise<number> {
  const row = await tenant.run(() => service.platform.database.user.findFirstOrThrow({ where: { id: uuid(user) } }));
  return row.feedbackVersion;
}

/** Every id that a memory holds, in its keys and in its values. */
function heldBy(memory: { heldIds(): Iterable<string> }): string {
  return [...memory.heldIds()].join(' ');
}

describe('deleteImages', () => {
  it('deletes each once, tells which there are not, and makes stale what their judges are known by', async () => {
    const { bea, open } = await fill();
    const before = await versionOf(bea);
    expect(places(await traces(open[1]!))).toContain('token_exemplars.image_id');
    const ids = [open[1]!, unknownId('Image'), open[1]!, bea];
    const { data } = await tenant.ask(DELETE_IMAGES, { ids });
    const notFound = (place: string) => ({
      ...{ field: ['ids', place], code: 'NOT_FOUND', message: 'There is no image with this id.' },
    });
    expect(data.deleteImages).toEqual({ deletedIds: [open[1]], userErrors: [notFound('1'), notFound('3')] });
    expect(await versionOf(bea)).toBe(before + 1);
    const values = [open[1]!, await shaOf('#00ff00')];
    expect(places(await traces(...values))).toEqual([
      'files_to_erase.sha256',
      'pictures',
      'recommendation_lists.image_ids',
    ]);
    await erase();
    // A kept list, whose places must stay what they are, names the image's id until it expires.
    const later = new Date(service.test.time.getTime() + 2 * 60 * 60 * 1000);
    await tenant.run(() => sweepLists(service.platform.database, later, 100));
    expect(await traces(...values)).toEqual([]);
  });

  it('keeps bytes that another image needs, until that one goes too', async () => {
    const [user] = await tenant.people('owner');
    const mine = await tenant.upload('#abcdef');
    const theirs = await tenant.upload('#abcdef', { owner: 'owner' });
    expect(theirs).not.toBe(mine);
    await tenant.ask(DELETE_IMAGES, { ids: [mine] });
    await erase();
    expect(await storedFile('#abcdef')).toBe(true);
    await tenant.ask(DELETE_USER, { id: user });
    await erase();
    expect(await storedFile('#abcdef')).toBe(false);
  });

  it('takes a comparison with it that is left with nothing to compare, and no other', async () => {
    const { open } = await fill();
    await tenant.ask(DELETE_IMAGES, { ids: [open[2]] });
    const left = await tenant.run(() => service.platform.database.comparison.findMany({ include: { others: true } }));
    expect(left.map(({ others }) => others.map(({ imageId }) => imageId))).toEqual([[uuid(open[1]!)]]);
  });

  it('takes ids out of jobs in every state, and leaves the rest of each job', async () => {
    const [one, two] = [await tenant.upload('#010101'), await tenant.upload('#020202')];
    const ids = [uuid(one), uuid(two)];
    const { queue, database } = service.platform;
    await tenant.run(async () => {
      await database.$transaction((transaction) =>
        queue.send(transaction, 'encode', [
          { tenantId: tenant.id, imageIds: ids },
          { tenantId: tenant.id, imageIds: [ids[0]!] },
        ]),
      );
      await database.$executeRaw`
        UPDATE pgboss.job SET state = 'active' WHERE singleton_key = ${tenant.id} AND data -> 'imageIds' = to_jsonb(ARRAY[${ids[0]!}])`;
    });
    await tenant.ask(DELETE_IMAGES, { ids: [one] });
    const jobs = await tenant.run(
      () => database.$queryRaw<{ state: string; images: string[] }[]>`
        SELECT state::text, data -> 'imageIds' AS images FROM pgboss.job
        WHERE name = 'encode' AND singleton_key = ${tenant.id} ORDER BY state, jsonb_array_length(data -> 'imageIds')`,
    );
    expect(jobs).toEqual(
      expect.arrayContaining([
        { state: 'created', images: [ids[1]] },
        { state: 'active', images: [] },
      ]),
    );
    expect(JSON.stringify(jobs)).not.toContain(ids[0]);
  });
});
