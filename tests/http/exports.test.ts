/** The export of a person: all that is held about them, and nobody else's; for who may have it. */
import { exportUser } from '../../src/domain/exports.ts';
import { fromGlobalId, newId } from '../../src/domain/ids.ts';
import { DEFAULT_TIMEOUTS } from '../../src/http/timeouts.ts';
import { type TestService, type TestTenant, testService, unknownId } from './service.ts';

let service: TestService;
let tenant: TestTenant;

beforeAll(async () => {
  service = await testService();
  tenant = await service.tenant();
});
afterAll(() => service.close());

const uuid = (globalId: string) => fromGlobalId(globalId)!.id;
const download = (id: string, key = tenant.serviceKey) =>
  fetch(`${service.url}/users/${id}/export`, { headers: { authorization: `Bearer ${key}` } });

async function read(parts: AsyncIterable<string>): Promise<string[]> {
  const read: string[] = [];
  for await (const part of parts) read.push(part);
  return read;
}

it('holds everything about the person, and nothing of anybody else', async () => {
  const [ada, bea] = (await tenant.people('ada@example.org', 'bea@example.org')) as [string, string];
  const [red, green] = [await tenant.upload('#ff0000'), await tenant.upload('#00ff00')];
  const own = await tenant.upload('#0000ff', { owner: 'ada@example.org', prompt: 'a blue hat' });
  const beas = await tenant.upload('#0000fe', { owner: 'bea@example.org', prompt: "bea's secret" });
  await tenant.encode();
  const item = (user: string, image: string, comment: string) => ({
    ...{ user: { id: user }, image: { id: image }, sentiment: 'LIKE', comment },
  });
  await tenant.ask('mutation ($input: SubmitFeedbackInput!) { submitFeedback(input: $input) { feedback { id } } }', {
    input: { items: [item(ada, red, 'so red'), item(bea, green, 'so green')], idempotencyKey: 'both of them' },
  });
  await tenant.ask(
    'mutation ($input: SubmitComparisonInput!) { submitComparison(input: $input) { comparison { id } } }',
    {
      input: { user: { id: ada }, chosen: { id: red }, others: [{ id: green }, { id: own }] },
    },
  );
  await tenant.ask(
    'query ($ids: [ID!]!) { nodes(ids: $ids) { ... on User { recommendations(first: 1) { nodes { value } } preferenceProfile { likes } } } }',
    { ids: [ada, bea] },
  );
  const { database } = service.platform;
  await tenant.run(async () => {
    const { id: modelId } = await database.model.findFirstOrThrow();
    await database.trainingPerson.create({ data: { tenantId: tenant.id, modelId, userId: uuid(ada) } });
    const event = { tenantId: tenant.id, at: new Date(), action: 'deleteUser', requestId: 'r' };
    await database.auditEvent.createMany({
      data: [
        { ...event, id: newId(), actor: ada, subject: null },
        { ...event, id: newId(), actor: 'a key', subject: ada },
        { ...event, id: newId(), actor: 'a key', subject: bea },
      ],
    });
  });

  const response = await download(ada);
  expect(response.status).toBe(200);
  expect(Object.fromEntries(response.headers)).toMatchObject({
    ...{ 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store' },
    'content-disposition': 'attachment; filename="person.json"',
  });
  const text = await response.text();
  const data = JSON.parse(text);
  expect(data).toEqual({
    exportedAt: '2026-01-01T12:00:00.000Z',
    user: { id: ada, externalId: 'ada@example.org', displayName: null, createdAt: expect.any(String) },
    images: [expect.objectContaining({ id: own, prompt: 'a blue hat', status: 'READY', width: 48 })],
    feedback: [
      {
        ...{ id: expect.any(String), imageId: red, sentiment: 'LIKE', weight: 1, comment: 'so red' },
        ...{ judgedAt: '2026-01-01T12:00:00.000Z', createdAt: expect.any(String) },
      },
    ],
    comparisons: [expect.objectContaining({ chosenId: red, otherIds: [green, own] })],
    profiles: [expect.objectContaining({ likes: 1, dislikes: 0, vector: expect.any(Array) })],
    recommendationLists: [expect.objectContaining({ entries: expect.any(Array) })],
    exposures: [],
    modelsTrainedOn: [{ id: expect.any(String), version: 0 }],
    requests: [{ operation: 'submitFeedback', key: 'both of them', createdAt: expect.any(String) }],
    pointLeases: [],
    auditEvents: [
      expect.objectContaining({ actor: ada, subject: null }),
      expect.objectContaining({ actor: 'a key', subject: ada }),
    ],
  });
  const entries: { imageId: string; value: number }[] = data.recommendationLists[0].entries;
  expect(entries.map(({ imageId }) => imageId).sort()).toEqual([own, green].sort());
  for (const { value } of entries) expect(value > 0 && value < 1).toBe(true);
  const picture = await fetch(data.images[0].url);
  expect([picture.status, picture.headers.get('content-type')]).toEqual([200, 'image/png']);
  for (const foreign of [bea, uuid(bea), beas, 'bea', 'so green']) expect(text).not.toContain(foreign);
});

it('is read a page at a time, whatever its length, and misses and repeats nothing', async () => {
  const [user] = (await tenant.people('somebody busy')) as [string];
  const { database } = service.platform;
  const count = 1_203;
  await tenant.run(async () => {
    const images = Array.from({ length: count }, (_, i) => ({
      ...{ tenantId: tenant.id, id: newId(), sha256: i.toString(16).padStart(64, '0'), format: 'png', byteLength: 1 },
      ...{ width: 1, height: 1, status: 'READY' as const },
    }));
    await database.image.createMany({ data: images });
    await database.feedback.createMany({
      data: images.map(({ tenantId, id }) => ({
        ...{ tenantId, id: newId(), userId: uuid(user), imageId: id, sentiment: 'SKIP' as const, weight: 1 },
        judgedAt: new Date(),
      })),
    });
  });
  const parts = await tenant.run(async () => read(await exportUser(service.platform, user)));
  const { feedback } = JSON.parse(parts.join(''));
  expect(new Set(feedback.map(({ id }: { id: string }) => id)).size).toBe(count);
  expect(feedback.length).toBe(count);
  expect(Math.max(...parts.map((part) => part.split('"sentiment"').length - 1))).toBe(500);
});

it("is a person's own only, and 404 for whoever is not there or not theirs, in the same words", async () => {
  const [mine, other] = (await tenant.people('mine', 'another')) as [string, string];
  const stranger = await service.tenant();
  const [theirs] = (await stranger.people('theirs')) as [string];
  const image = await tenant.upload('#abcabc');
  const message = 'There is no user with this id.';
  for (const id of [theirs, unknownId('User'), image, 'nonsense', '%00']) {
    const response = await download(id);
    expect(response.status).toBe(404);
    expect(await response.json()).toMatchObject({ error: { code: 'NOT_FOUND', message } });
  }
  expect((await download(mine, tenant.adminKey)).status).toBe(200);
  expect((await download(mine, stranger.adminKey)).status).toBe(404);
  expect((await fetch(`${service.url}/users/${mine}/export`)).status).toBe(401);

  const key = await tenant.personKey('mine');
  expect(await (await download(mine, key)).json()).toMatchObject({ user: { id: mine, externalId: 'mine' } });
  const refused = await download(other, key);
  expect(refused.status).toBe(404);
  expect(await refused.json()).toMatchObject({ error: { code: 'NOT_FOUND', message } });
});

it('may take longer than another answer, as long as its client reads', async () => {
  const hurried = await testService({
    timeouts: { ...DEFAULT_TIMEOUTS, requestMs: 60_000, workMs: 60_000, answerMs: 1 },
  });
  const other = await hurried.tenant();
  const [ada] = (await other.people('ada')) as [string];
  const response = await fetch(`${hurried.url}/users/${ada}/export`, {
    headers: { authorization: `Bearer ${other.serviceKey}` },
  });
  expect(await response.json()).toMatchObject({ user: { externalId: 'ada' } });
  await hurried.close();
});
