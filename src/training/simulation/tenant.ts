/**
 * A simulated tenant's feedback as a snapshot: people who judge pictures one after the other, so that of each judgement
 * it is known what others had made of the picture before. For benchmarks, demonstrations and tests.
 */
import type { ItemVector } from '../../inference/preferenceModel.ts';
import type { Random } from '../../random.ts';
import { type PersonJudgement, partOfPerson } from '../feedback/people.ts';
import { type Snapshot, type SnapshotSizes, SnapshotWriter } from '../feedback/snapshot.ts';
import type { HistoryItem, Popularity } from '../tasks.ts';

export interface SimulatedTenant {
  readonly sizes: SnapshotSizes;
  /** Of each picture, by its number in the judgements. */
  readonly items: readonly { readonly vector: ItemVector; readonly features?: Float32Array }[];
  /** What each person judged, newest first. */
  readonly people: readonly (readonly HistoryItem[])[];
}

const DAY_MS = 24 * 60 * 60 * 1000;
const FIRST_DAY = Date.UTC(2026, 0, 1);

/** Person i is split as `person-i` of the tenant. */
export const partOfSimulated = (person: number) => partOfPerson('simulated', `person-${person}`);

/** People come and go over a hundred days. */
export async function writeSimulatedTenant(
  directory: string,
  { sizes, items, people }: SimulatedTenant,
  random: Random,
): Promise<Snapshot> {
  const timed = people.map((history, person) => {
    const times = random.split(person);
    const when = history.map(() => FIRST_DAY + Math.floor(100 * DAY_MS * times.uniform())).sort((a, b) => b - a);
    return history.map((item, i) => ({ ...item, judgedAt: when[i]! }));
  });
  const before = popularityBefore(timed);
  const writer = await SnapshotWriter.create(directory, sizes);
  for (const [i, item] of items.entries()) writer.addItem({ id: `image-${i}`, prompt: i, ...item });
  for (const [person, history] of timed.entries()) {
    const judgements = history.map((item): PersonJudgement => ({ ...item, popularity: before.get(item)! }));
    writer.addPerson({ id: `person-${person}`, part: partOfSimulated(person), judgements });
  }
  return writer.finish();
}

type Timed = HistoryItem & { readonly judgedAt: number };

/** For each judgement, what was made of its picture before. */
function popularityBefore(people: readonly (readonly Timed[])[]): Map<Timed, Popularity> {
  const soFar = new Map<number, Popularity>();
  const result = new Map<Timed, Popularity>();
  for (const item of people.flat().sort((a, b) => a.judgedAt - b.judgedAt)) {
    const { sum, count } = soFar.get(item.image) ?? { sum: 0, count: 0 };
    result.set(item, { sum, count });
    const { sentiment, weight } = item;
    soFar.set(item.image, { sum: sum + (sentiment === 'LIKE' ? weight : -weight), count: count + weight });
  }
  return result;
}
