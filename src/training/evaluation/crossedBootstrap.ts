/**
 * Intervals of measures that depend on people and on what they were shown, both drawn. People are drawn with
 * replacement, clusters (artists, prompts) are drawn with replacement independently, and what lies between a person and
 * clusters counts as often as the product says: the pigeonhole bootstrap (Owen 2007, "The pigeonhole bootstrap",
 * Annals of Applied Statistics 1). It is conservative, one and a half to two and a half times as wide as need be where
 * neither people nor clusters differ much: it never promises too much. crossedError.ts has the error without that
 * margin. Knows numbers only.
 */
import type { Random } from '../../random.ts';

export interface CrossedItems {
  /** Of each item, its person: 0, 1, … */
  readonly person: Int32Array;
  /** Of each item, its cluster in one or several roles (a pair has a liked and a disliked target): 0, 1, … */
  readonly clusters: readonly Int32Array[];
}

/** 1,000 draws place the ends of a 95 % interval within some 4 % of its width. */
export const DRAWS = 1_000;
/** Columns that share each weight that is read. */
const COLUMNS_AT_ONCE = 4;

/**
 * Draws of the mean over people of each person's mean over their items. Every column is measured on the same draws: the
 * draws of a difference are the differences of the draws.
 * @param columns a value for each item, one array a measure
 * @returns `draws` values a column; without any item none
 */
export function crossedDraws(
  items: CrossedItems,
  columns: readonly ArrayLike<number>[],
  random: Random,
  draws = DRAWS,
): Float64Array[] {
  const count = items.person.length;
  if (count === 0) return columns.map(() => new Float64Array(0));
  const values = blocks(columns, count);
  const share = itemShares(items.person);
  const people = new Uint16Array(largest(items.person) + 1);
  const clusters = new Uint16Array(Math.max(0, ...items.clusters.map((of) => largest(of) + 1)));
  const drawn = { places: new Int32Array(count), weights: new Float64Array(count) };
  const results = columns.map(() => new Float64Array(draws));
  for (let draw = 0; draw < draws; draw++) {
    const { filled, total } = weigh(items, share, people, clusters, random, drawn);
    if (total === 0) {
      draw--; // nothing was drawn at all, as may be with a handful of items
      continue;
    }
    for (const [block, data] of values.entries()) {
      const sums = weightedSums(data, drawn, filled);
      for (let c = 0; c < COLUMNS_AT_ONCE; c++) {
        const result = results[COLUMNS_AT_ONCE * block + c];
        if (result) result[draw] = sums[c]! / total;
      }
    }
  }
  return results;
}

/** The 95 % interval of some draws; NaN without any. */
export function percentileInterval(draws: Float64Array): { low: number; high: number } {
  const sorted = draws.toSorted();
  const at = (share: number): number => {
    const place = share * (sorted.length - 1);
    const below = Math.floor(place);
    const [a, b] = [sorted[below] ?? NaN, sorted[Math.ceil(place)] ?? NaN];
    return a + (place - below) * (b - a);
  };
  return { low: at(0.025), high: at(0.975) };
}

/** Of each item 1 / its person's items, so that people weigh alike. */
function itemShares(person: Int32Array): Float64Array {
  const counts = new Float64Array(largest(person) + 1);
  for (const p of person) counts[p]! += 1;
  return Float64Array.from(person, (p) => 1 / counts[p]!);
}

/** One draw: how often each person and each cluster came, and the items that came at all with their weights. */
function weigh(
  { person, clusters: roles }: CrossedItems,
  share: Float64Array,
  people: Uint16Array,
  clusters: Uint16Array,
  random: Random,
  { places, weights }: { places: Int32Array; weights: Float64Array },
): { filled: number; total: number } {
  resample(people, random);
  resample(clusters, random);
  const [first, second] = roles;
  let filled = 0;
  let total = 0;
  for (let i = 0; i < person.length; i++) {
    let weight = people[person[i]!]!;
    if (weight === 0) continue;
    if (first) weight *= clusters[first[i]!]!;
    // Both roles in one cluster: it was drawn once.
    if (first && second && first[i] !== second[i]) weight *= clusters[second[i]!]!;
    if (weight === 0) continue;
    places[filled] = i;
    weights[filled] = weight * share[i]!;
    total += weights[filled]!;
    filled++;
  }
  return { filled, total };
}

function resample(counts: Uint16Array, random: Random): void {
  counts.fill(0);
  for (let i = 0; i < counts.length; i++) counts[random.int(counts.length)]! += 1;
}

/** Columns side by side, four in a block, item after item; the last block is filled up with zeros. */
function blocks(columns: readonly ArrayLike<number>[], count: number): Float32Array[] {
  return Array.from({ length: Math.ceil(columns.length / COLUMNS_AT_ONCE) }, (_, block) => {
    const data = new Float32Array(count * COLUMNS_AT_ONCE);
    for (let c = 0; c < COLUMNS_AT_ONCE; c++) {
      const column = columns[block * COLUMNS_AT_ONCE + c];
      if (column) for (let i = 0; i < count; i++) data[i * COLUMNS_AT_ONCE + c] = column[i]!;
    }
    return data;
  });
}

function weightedSums(
  data: Float32Array,
  { places, weights }: { places: Int32Array; weights: Float64Array },
  filled: number,
): readonly [number, number, number, number] {
  let a = 0;
  let b = 0;
  let c = 0;
  let d = 0;
  for (let k = 0; k < filled; k++) {
    const at = places[k]! * COLUMNS_AT_ONCE;
    const weight = weights[k]!;
    a += weight * data[at]!;
    b += weight * data[at + 1]!;
    c += weight * data[at + 2]!;
    d += weight * data[at + 3]!;
  }
  return [a, b, c, d];
}

function largest(values: Int32Array): number {
  let most = -1;
  for (const value of values) if (value > most) most = value;
  return most;
}
