/** What training reads is what the tenant's people judged, theirs alone, and nothing of what came after. */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Database, withTenant } from '../../src/database/client.ts';
import type { Sentiment } from '../../src/database/generated/client.ts';
import { toHalfFloats } from '../../src/halfFloats.ts';
import { partOfPerson } from '../../src/training/feedback/people.ts';
import type { Snapshot } from '../../src/training/feedback/snapshot.ts';
import { writeFeedbackSnapshot } from '../../src/workers/feedbackSnapshot.ts';
import { newTenant, TEST_MODEL, type TestDatabase, testDatabase } from '../support/database.ts';

const MODEL = { towerHash: TEST_MODEL.towerHash, imageEncoder: TEST_MODEL.imageEncoder, itemSize: 4, featureSize: 3 };

let folder: string;
let db: TestDatabase;
let database: Database;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'palate-feedback-'));
  db = await testDatabase();
  ({ database } = db);
});
afterAll(async () => {
  await db.close();
  await rm(folder, { recursive: true, force: true });
});

const bytesOf = (numbers: number[]) => Uint8Array.from(new Uint8Array(toHalfFloats(numbers).buffer));

/** Ids rise with the number, so that their order is known. */
const idOf = (kind: number, number: number) => `0000000${kind}-0000-7000-8000-${String(number).padStart(12, '0')}`;

async function addImage(tenantId: string, number: number, { ready = true, prompt = null as string | null } = {}) {
  const id = idOf(1, number);
  await database.image.create({
    data: {
      tenantId,
      id,
      sha256: randomUUID().replaceAll('-', '').padEnd(64, '0'),
      format: 'jpeg',
      byteLength: 1,
      width: 1,
      height: 1,
      prompt,
      status: ready ? 'READY' : 'PENDING',
    },
  });
  const vector = bytesOf([number, 0.5, -1, 2]);
  await database.itemVector.create({ data: { tenantId, imageId: id, tower: MODEL.towerHash, vector } });
  await database.embedding.create({
    data: { tenantId, imageId: id, encoder: MODEL.imageEncoder, vector: bytesOf([number, 1, 2]) },
  });
}

const addUser = (tenantId: string, number: number) =>
  database.user.create({ data: { tenantId, id: idOf(2, number), externalId: `user-${number}` } });

/** @param minute when it was judged */
const judge = (tenantId: string, user: number, image: number, sentiment: Sentiment, minute: number, weight = 1) =>
  database.feedback.create({
    data: {
      tenantId,
      id: randomUUID(),
      userId: idOf(2, user),
      imageId: idOf(1, image),
      sentiment,
      weight,
      judgedAt: new Date(Date.UTC(2026, 0, 1, 0, minute)),
    },
  });

async function snapshotOf(tenantId: string): Promise<Snapshot> {
  const directory = await mkdtemp(join(folder, 'snapshot-'));
  return withTenant(tenantId, () => writeFeedbackSnapshot(database, MODEL, directory));
}

/** Three people, four images of which the last is not READY. */
async function fill(tenantId: string): Promise<void> {
  await withTenant(tenantId, async () => {
    for (const number of [1, 2, 3]) await addUser(tenantId, number);
    await addImage(tenantId, 1, { prompt: 'a boat' });
    await addImage(tenantId, 2);
    await addImage(tenantId, 3, { prompt: 'a boat' });
    await addImage(tenantId, 4, { ready: false });
    await addImage(tenantId, 5);
    await judge(tenantId, 1, 1, 'LIKE', 10, 2);
    await judge(tenantId, 1, 2, 'DISLIKE', 30);
    await judge(tenantId, 2, 1, 'DISLIKE', 20);
    await judge(tenantId, 2, 4, 'LIKE', 25);
    await judge(tenantId, 2, 3, 'SKIP', 26);
    await judge(tenantId, 3, 1, 'LIKE', 40);
    await judge(tenantId, 3, 3, 'LIKE', 50, 0.5);
  });
}

describe('the snapshot of a tenant’s feedback', () => {
  it('holds likes and dislikes of READY images, newest first, with what others had made of each before', async () => {
    const { id } = await newTenant(database);
    await fill(id);
    const snapshot = await snapshotOf(id);
    const read = snapshot.people.map((_, person) =>
      snapshot.judgementsOf(person).map(({ image, sentiment, weight, judgedAt, popularity }) => ({
        image: snapshot.itemVector(image)[0] === toHalfFloats([1])[0] ? 1 : image === 1 ? 2 : 3,
        is: `${sentiment} ${weight}`,
        minute: new Date(judgedAt).getUTCMinutes(),
        popularity: [popularity.sum, popularity.count],
      })),
    );
    expect(read).toEqual([
      [
        { image: 2, is: 'DISLIKE 1', minute: 30, popularity: [0, 0] },
        { image: 1, is: 'LIKE 2', minute: 10, popularity: [0, 0] },
      ],
      [{ image: 1, is: 'DISLIKE 1', minute: 20, popularity: [2, 2] }],
      [
        { image: 3, is: 'LIKE 0.5', minute: 50, popularity: [0, 0] },
        { image: 1, is: 'LIKE 1', minute: 40, popularity: [1, 3] },
      ],
    ]);
    expect(snapshot.manifest).toMatchObject({ people: 3, judgements: 5, items: 3, tower: MODEL.towerHash });
    expect(snapshot.promptOf(0)).toBe(snapshot.promptOf(2));
    expect(snapshot.promptOf(0)).not.toBe(snapshot.promptOf(1));
    expect(snapshot.people.map(({ part }) => part)).toEqual([1, 2, 3].map((user) => partOfPerson(id, idOf(2, user))));
    snapshot.close();
  });

  it('holds embeddings of images that people held out judged, and of no others', async () => {
    const { id } = await newTenant(database);
    // By their part, which ids decide and the tenant's is drawn: four of each.
    const numbers = Array.from({ length: 1_000 }, (_, i) => i + 1);
    const people = (['train', 'validation', 'test'] as const)
      .flatMap((part) => numbers.filter((number) => partOfPerson(id, idOf(2, number)) === part).slice(0, 4))
      .sort((a, b) => a - b);
    await withTenant(id, async () => {
      for (const number of people) {
        await addUser(id, number);
        await addImage(id, number);
        await judge(id, number, number, 'LIKE', number);
      }
    });
    const snapshot = await snapshotOf(id);
    expect(new Set(snapshot.people.map(({ part }) => part)).size).toBe(3);
    for (const [person, { part }] of snapshot.people.entries()) {
      const { image } = snapshot.judgementsOf(person)[0]!;
      const features = snapshot.featuresOf([image]);
      expect(features && [...features.data]).toEqual(part === 'train' ? null : [people[person], 1, 2]);
    }
    snapshot.close();
  });

  it('is the same for the same feedback, another after a judgement, and empty without any', async () => {
    const { id } = await newTenant(database);
    expect((await snapshotOf(id)).manifest).toMatchObject({ people: 0, judgements: 0, items: 0 });
    await fill(id);
    const first = (await snapshotOf(id)).manifest.sha256;
    expect((await snapshotOf(id)).manifest.sha256).toBe(first);
    await withTenant(id, () => judge(id, 2, 5, 'LIKE', 55));
    expect((await snapshotOf(id)).manifest.sha256).not.toBe(first);
  });

  it('has nothing of another tenant in it', async () => {
    const [mine, theirs] = [await newTenant(database), await newTenant(database)];
    await fill(theirs.id);
    expect((await snapshotOf(mine.id)).manifest).toMatchObject({ people: 0, judgements: 0, items: 0 });
  });
});
