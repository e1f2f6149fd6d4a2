/** Two replicas' memories of one database's profiles: what the one writes, the other has when it is next asked. */
import pg from 'pg';
import { SharedTurns } from '../../src/domain/changes.ts';
import { newId } from '../../src/domain/ids.ts';
import { activeModel } from '../../src/domain/models.ts';
import type { Platform } from '../../src/domain/platform.ts';
import { ProfileIndexes } from '../../src/domain/profileIndexes.ts';
import { similarUsers } from '../../src/domain/similarity.ts';
import { PreferenceModel } from '../../src/inference/preferenceModel.ts';
import { newTenant, type TestDatabase, testDatabase } from '../support/database.ts';
import { encodedItems, smallArtifact } from '../support/model.ts';
import { putReadyImages, testPlatform } from '../support/platform.ts';

let test: TestDatabase;
let network: PreferenceModel;
let close: () => Promise<void>;
let tenant: Awaited<ReturnType<typeof newTenant>>;
let one: Platform;
let other: Platform;
let images: string[];

beforeAll(async () => {
  test = await testDatabase();
  network = await PreferenceModel.open(smallArtifact());
  const made = await testPlatform(test, network);
  one = made.platform;
  close = made.close;
  other = { ...one, profiles: new ProfileIndexes(10_000_000) };
});
afterAll(async () => {
  await close();
  await network.close();
  await test.close();
});

beforeEach(async () => {
  tenant = await newTenant(test.database, network);
  const vectors = await network.itemVectors(encodedItems('people', 6));
  const place = { tenantId: tenant.id, tower: network.towerHash };
  images = await tenant.run(() => putReadyImages(test.database, place, vectors));
});

/** A person who likes some of the images. */
async function person(...liked: number[]): Promise<string> {
  const id = newId();
  await tenant.run(async () => {
    await test.database.user.create({ data: { tenantId: tenant.id, id, externalId: id, feedbackVersion: 1 } });
    await like(id, ...liked);
  });
  return id;
}

async function like(userId: string, ...liked: number[]): Promise<void> {
  await test.database.feedback.createMany({
    data: liked.map((i) => ({
      ...{ tenantId: tenant.id, id: newId(), userId, imageId: images[i]!, weight: 1, judgedAt: test.time },
      sentiment: 'LIKE' as const,
    })),
  });
}

const near = (platform: Platform, userId: string): Promise<string[]> =>
  tenant.run(async () => {
    const lists = await similarUsers(platform, [userId]);
    return (lists.get(userId) ?? []).map((each) => each.userId!).sort();
  });
const held = ({ profiles }: Platform): string[] => [...profiles.heldIds()];

it('has who came, whose taste changed and who went, whichever replica wrote it', async () => {
  const [ada, bea] = [await person(0), await person(1)];
  for (const platform of [one, other]) expect(await near(platform, ada)).toEqual([bea]);
  const cleo = await person(0);
  for (const platform of [other, one]) expect(await near(platform, ada)).toEqual([bea, cleo].sort());

  const first = async (platform: Platform) => (await tenant.run(() => similarUsers(platform, [ada]))).get(ada)![0];
  expect(await first(one)).toEqual({ userId: cleo, similarity: 1 });
  await tenant.run(async () => {
    await test.database.feedback.deleteMany({ where: { userId: { in: [bea, cleo] } } });
    await like(bea, 0);
    await like(cleo, 1, 2, 3);
    await test.database.user.updateMany({ where: { id: { in: [bea, cleo] } }, data: { feedbackVersion: 2 } });
  });
  for (const platform of [one, other]) expect(await first(platform)).toEqual({ userId: bea, similarity: 1 });

  await tenant.run(() => test.database.user.deleteMany({ where: { id: bea } })); // a profile alone would be computed again
  for (const platform of [one, other]) expect(await near(platform, ada)).toEqual([cleo]);
  await tenant.run(() => test.database.user.deleteMany({ where: { id: cleo } }));
  for (const platform of [one, other]) expect(await near(platform, ada)).toEqual([]);
});

it('has what a transaction wrote that began before others and ended after them', async () => {
  const [ada, bea] = [await person(0), await person(1)];
  const writer = new pg.Client({ connectionString: test.ownerUrl });
  await writer.connect();
  await near(one, bea);
  await writer.query('BEGIN');
  await writer.query("SELECT set_config('app.tenant_id', $1, true)", [tenant.id]);
  await writer.query('UPDATE profiles SET vector = decode(repeat($1, $2), $3) WHERE user_id = $4', [
    '0000803e',
    network.layers * network.heads * network.tokens,
    'hex',
    ada,
  ]);
  const cleo = await person(0); // later, and to be seen sooner
  expect(await near(one, bea)).toEqual([ada, cleo].sort());
  await writer.query('COMMIT');
  await writer.end();
  await near(one, bea);
  const { vectors } = await tenant.run(async () => one.profiles.holding(one, await activeModel(one)));
  expect(vectors.get(ada)![0]).toBe(0.25);
});

it('reads again who is dropped and stays, and nobody who is erased', async () => {
  const [ada, bea, cleo] = [await person(0), await person(1), await person(2)];
  await near(one, ada);
  one.profiles.forget(tenant.id, [cleo], [bea]);
  expect(held(one)).toContain(ada);
  expect(held(one)).not.toContain(bea);
  expect(await near(one, ada)).toEqual([bea]);
  one.profiles.clear();
  expect(await near(one, ada)).toEqual([bea]);
  one.profiles.forgetTenant(tenant.id);
  await near(one, ada);
  expect(held(one)).not.toContain(ada);
});

it('reads nothing twice', async () => {
  const ada = await person(0);
  await person(1);
  await near(one, ada);
  const { vectors } = await tenant.run(async () => one.profiles.holding(one, await activeModel(one)));
  const taken: string[] = [];
  const set = vectors.set.bind(vectors);
  vectors.set = (id, vector) => {
    taken.push(id);
    set(id, vector);
  };
  const cleo = await person(2);
  await near(one, ada);
  await near(one, ada);
  expect(taken).toEqual([cleo]);
});

it('of one tenant are in no other’s', async () => {
  const ada = await person(0);
  await near(one, ada);
  tenant = await newTenant(test.database, network);
  expect(await near(one, ada)).toEqual([]);
});

it('waits for its turn, and shares one that has not begun', async () => {
  const turns = new SharedTurns();
  const begun: number[] = [];
  const ends: (() => void)[] = [];
  const take = (i: number) =>
    turns.take(async () => {
      begun.push(i);
      await new Promise<void>((resolve) => ends.push(resolve));
    });
  const first = take(1);
  await new Promise(setImmediate);
  const [second, third] = [take(2), take(3)];
  await new Promise(setImmediate);
  expect(begun).toEqual([1]);
  ends[0]!();
  await first;
  await new Promise(setImmediate);
  expect(begun).toEqual([1, 2]);
  ends[1]!();
  await Promise.all([second, third]);
  await expect(turns.take(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
  await turns.take(async () => {});
});
