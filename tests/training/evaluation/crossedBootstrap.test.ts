/** Intervals and errors over people × clusters, against worlds whose true spread is known. */
import { Random } from '../../../src/random.ts';
import {
  type CrossedItems,
  crossedDraws,
  percentileInterval,
} from '../../../src/training/evaluation/crossedBootstrap.ts';
import { CrossedGroups } from '../../../src/training/evaluation/crossedError.ts';
import { meanInterval } from '../../../src/training/evaluation/metrics.ts';

const PEOPLE = 80;
const CLUSTERS = 40;

interface Spread {
  readonly person?: number;
  readonly cluster?: number;
  readonly pair?: number;
}

/** Nine pairs a person over six clusters; the true mean is 0. */
function world(seed: string, { person = 0, cluster = 0, pair = 0 }: Spread): { items: CrossedItems; values: number[] } {
  const random = new Random(seed);
  const effects = (count: number, deviation: number) =>
    Array.from({ length: count }, () => deviation * random.normal());
  const ofPerson = effects(PEOPLE, person);
  const ofCluster = effects(CLUSTERS, cluster);
  const rows = ofPerson.flatMap((own, p) => {
    const met = random.choose(Array.from(ofCluster.keys()), 6);
    return met.slice(0, 3).flatMap((liked) =>
      met.slice(3).map((disliked) => ({
        ...{ p, liked, disliked },
        value: own + ofCluster[liked]! + ofCluster[disliked]! + pair * random.normal(),
      })),
    );
  });
  return {
    items: {
      person: Int32Array.from(rows, ({ p }) => p),
      clusters: [Int32Array.from(rows, ({ liked }) => liked), Int32Array.from(rows, ({ disliked }) => disliked)],
    },
    values: rows.map(({ value }) => value),
  };
}

describe.each([
  ['people differ', { person: 0.5 }],
  ['clusters differ', { cluster: 0.5 }],
  ['chance alone', { pair: 1 }],
  ['all of it', { person: 0.3, cluster: 0.2, pair: 0.5 }],
])('where %s', (_, spread) => {
  const worlds = Array.from({ length: 50 }, (_, i) => world(`${i}`, spread));
  const means = worlds.map(({ values }) => values.reduce((sum, v) => sum + v, 0) / values.length);
  const truth = Math.sqrt(means.reduce((sum, m) => sum + m * m, 0) / means.length);

  it('the error over people × clusters is the true one', () => {
    const errors = worlds.map(({ items, values }) => new CrossedGroups(items).standardError(values));
    const meanSquare = errors.reduce((sum, e) => sum + e * e, 0) / errors.length;
    expect(Math.sqrt(meanSquare) / truth).toBeGreaterThan(0.7);
    expect(Math.sqrt(meanSquare) / truth).toBeLessThan(1.3);
  });

  it('the interval holds the truth 19 times of 20 or more', () => {
    const held = worlds.filter(({ items, values }) => {
      const { low, high } = percentileInterval(crossedDraws(items, [values], new Random('draws'), 120)[0]!);
      return low <= 0 && high >= 0;
    });
    expect(held.length / worlds.length).toBeGreaterThanOrEqual(0.92);
  });
});

it('is far wider than the error over people alone where clusters differ', () => {
  const { items, values } = world('clusters', { cluster: 0.5 });
  const { low, high } = percentileInterval(crossedDraws(items, [values], new Random(1), 300)[0]!);
  const naive = meanInterval(Array.from({ length: PEOPLE }, (_, p) => values[9 * p]!)).standardError / 3;
  expect(high - low).toBeGreaterThan(3 * 2 * naive);
});

describe('crossed draws', () => {
  const { items, values } = world('pairing', { person: 0.3, cluster: 0.3, pair: 0.3 });
  const shifted = values.map((value) => value + 0.25);

  it('are the same for the same generator, and paired: a shift is found without any width', () => {
    const [a, b] = crossedDraws(items, [values, shifted], new Random('pairs'), 50);
    expect(crossedDraws(items, [values], new Random('pairs'), 50)[0]).toEqual(a);
    for (const [i, draw] of a!.entries()) expect(b![i]! - draw).toBeCloseTo(0.25, 6);
  });

  it('weigh people alike, however many pairs they have', () => {
    const uneven = {
      person: Int32Array.of(0, 1, 1, 1),
      clusters: [Int32Array.of(0, 0, 0, 0), Int32Array.of(0, 0, 0, 0)],
    };
    const draws = crossedDraws(uneven, [[1, 0, 0, 0]], new Random(3), 2000)[0]!;
    // Two people drawn with replacement: both are the first with odds 1/4.
    const counts = [0, 0.5, 1].map((value) => draws.filter((draw) => Math.abs(draw - value) < 1e-9).length / 2000);
    expect(counts[0]).toBeCloseTo(0.25, 1);
    expect(counts[1]).toBeCloseTo(0.5, 1);
    expect(counts[2]).toBeCloseTo(0.25, 1);
  });

  it('count a cluster in both roles once', () => {
    // One person; clusters 0 and 1. Pair a is (0, 0), pair b is (1, 1): a draw's mean is the share of draws of 1.
    const one = { person: Int32Array.of(0, 0), clusters: [Int32Array.of(0, 1), Int32Array.of(0, 1)] };
    const draws = crossedDraws(one, [[0, 1]], new Random(4), 500)[0]!;
    expect(new Set(Array.from(draws, (draw) => Math.round(4 * draw) / 4))).toEqual(new Set([0, 0.5, 1]));
  });

  it('of nothing are none', () => {
    const nothing = { person: new Int32Array(), clusters: [] };
    expect(crossedDraws(nothing, [[]], new Random(1))[0]).toHaveLength(0);
    expect(percentileInterval(new Float64Array()).low).toBeNaN();
  });
});

it('clusters that one person alone meets add no error to that over people', () => {
  const person = Int32Array.of(0, 0, 1, 1, 2, 2);
  const values = [1, 0, 1, 1, 0, 0.5];
  const alone = new CrossedGroups({ person, clusters: [] }).standardError(values);
  const clusters = [Int32Array.of(0, 0, 2, 3, 4, 4), Int32Array.of(1, 0, 2, 2, 5, 5)];
  expect(new CrossedGroups({ person, clusters }).standardError(values)).toBeCloseTo(alone, 12);
});

it('a cluster that all meet makes them one', () => {
  // Means 1, 1, −2 around 0; the cluster holds the first two: (1 + 1)² / 9 + 4 / 9.
  const clusters = [Int32Array.of(0, 0, 1)];
  const groups = new CrossedGroups({ person: Int32Array.of(0, 1, 2), clusters });
  expect(groups.standardError([1, 1, -2])).toBeCloseTo(Math.sqrt(8) / 3, 12);
});

it('without clusters the error is that over people', () => {
  const person = Int32Array.of(0, 0, 1, 1, 2, 2);
  const values = [1, 0, 1, 1, 0, 0];
  const groups = new CrossedGroups({ person, clusters: [] });
  // Means 0.5, 1, 0 around 0.5: √(0 + 0.25 + 0.25) / 3.
  expect(groups.standardError(values)).toBeCloseTo(Math.SQRT1_2 / 3, 12);
});
