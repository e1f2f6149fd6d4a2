/** What is written is what is read, wherever; what is damaged is refused by name. */
import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type PersonJudgement, partOfPerson } from '../../../src/training/feedback/people.ts';
import { MOST_JUDGEMENTS, Snapshot, SnapshotWriter } from '../../../src/training/feedback/snapshot.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'palate-snapshot-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const judgement = (image: number, sentiment: 'LIKE' | 'DISLIKE', changes: Partial<PersonJudgement> = {}) => ({
  image,
  sentiment,
  weight: 1,
  judgedAt: Date.UTC(2026, 5, 1, 12, 0, image),
  popularity: { sum: -2, count: 5 },
  ...changes,
});

const ANNA = [judgement(2, 'LIKE', { weight: 2.5 }), judgement(0, 'DISLIKE')];
const BEN = [judgement(1, 'DISLIKE', { popularity: { sum: 0, count: 0 } })];

async function write(changes: { weight?: number } = {}): Promise<Snapshot> {
  const writer = await SnapshotWriter.create(directory, { tower: 'tower', itemSize: 3, featureSize: 2 });
  for (const image of [0, 1, 2]) {
    const vector = Uint16Array.of(image, 100 + image, 65_535 - image);
    writer.addItem({
      id: `image-${image}`,
      vector,
      prompt: 70 + image,
      ...(image > 0 ? { features: Float32Array.of(image, -image) } : {}),
    });
  }
  writer.addPerson({ id: 'anna', part: 'train', judgements: ANNA });
  writer.addPerson({ id: 'nobody', part: 'validation', judgements: [] });
  writer.addPerson({ id: 'ben', part: 'test', judgements: BEN.map((item) => ({ ...item, ...changes })) });
  return writer.finish();
}

describe('a snapshot', () => {
  it('gives back every judgement, item vector, prompt and feature', async () => {
    await (await write()).close();
    const snapshot = Snapshot.open(directory);
    expect(snapshot.people).toEqual([
      { part: 'train', likes: 1, dislikes: 1 },
      { part: 'validation', likes: 0, dislikes: 0 },
      { part: 'test', likes: 0, dislikes: 1 },
    ]);
    expect([0, 1, 2].map((person) => snapshot.judgementsOf(person))).toEqual([ANNA, [], BEN]);
    expect([...snapshot.itemVector(2)]).toEqual([2, 102, 65_533]);
    expect(snapshot.promptOf(1)).toBe(71);
    expect([...snapshot.featuresOf([2, 1])!.data]).toEqual([2, -2, 1, -1]);
    expect(snapshot.featuresOf([0])).toBeNull();
    expect(snapshot.manifest).toMatchObject({ people: 3, judgements: 3, items: 3, features: 2, tower: 'tower' });
    snapshot.close();
  });

  it('has the hash of the feedback: the same for the same, another for another', async () => {
    const hashOf = async (changes = {}) => {
      const snapshot = await write(changes);
      snapshot.close();
      return snapshot.manifest.sha256;
    };
    const first = await hashOf();
    expect(await hashOf()).toBe(first);
    expect(await hashOf({ weight: 2 })).not.toBe(first);
  });

  it('keeps the newest judgements of a person who gave more than are read', async () => {
    const writer = await SnapshotWriter.create(directory, { tower: 't', itemSize: 1, featureSize: 1 });
    writer.addItem({ id: 'image', vector: Uint16Array.of(1), prompt: 0 });
    const many = Array.from({ length: MOST_JUDGEMENTS + 5 }, (_, i) => judgement(0, 'LIKE', { judgedAt: -i }));
    writer.addPerson({ id: 'busy', part: 'train', judgements: many });
    const snapshot = await writer.finish();
    expect(snapshot.people[0]).toEqual({ part: 'train', likes: MOST_JUDGEMENTS, dislikes: 0 });
    expect(snapshot.judgementsOf(0).at(-1)!.judgedAt).toBe(-(MOST_JUDGEMENTS - 1));
    snapshot.close();
  });

  it('refuses a judgement of an image that was not given', async () => {
    const writer = await SnapshotWriter.create(directory, { tower: 't', itemSize: 1, featureSize: 1 });
    expect(() => writer.addPerson({ id: 'x', part: 'train', judgements: BEN })).toThrow('names image 1; 0 were given');
  });

  it('that is cut off, of another format or not there is refused by its file', async () => {
    (await write()).close();
    await truncate(join(directory, 'people.bin'), 60);
    expect(() => Snapshot.open(directory)).toThrow(/people\.bin has 60 bytes where 96 are expected/);
    await writeFile(join(directory, 'snapshot.json'), '{"format": "palate-snapshot-2"}');
    expect(() => Snapshot.open(directory)).toThrow(/format/);
    await rm(join(directory, 'snapshot.json'));
    expect(() => Snapshot.open(directory)).toThrow(/cannot be read: .*ENOENT/);
  });
});

describe('the split of people', () => {
  it('is 80, 10 and 10 per cent, for good, and of each tenant its own', () => {
    const parts = Array.from({ length: 20_000 }, (_, i) => partOfPerson('tenant', `user-${i}`));
    const share = (part: string) => parts.filter((p) => p === part).length / parts.length;
    expect(share('train')).toBeCloseTo(0.8, 1.5);
    expect(share('validation')).toBeCloseTo(0.1, 1.5);
    expect(share('test')).toBeCloseTo(0.1, 1.5);
    // What an installation has stored depends on these: a change would let a model be tested on whom it learned from.
    expect(parts.slice(0, 12)).toMatchInlineSnapshot(`
[
  "train",
  "train",
  "train",
  "train",
  "train",
  "train",
  "train",
  "train",
  "train",
  "train",
  "train",
  "train",
]
`);
    const other = parts.map((_, i) => partOfPerson('other', `user-${i}`));
    expect(other.filter((part, i) => part === parts[i]).length / parts.length).toBeCloseTo(0.66, 1);
  });
});
