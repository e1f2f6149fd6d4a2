/** Clusters and their measures, against values reckoned by hand. */
import { Random } from '../../../src/random.ts';
import {
  adjustedRandIndex,
  assign,
  daviesBouldin,
  kMeans,
  silhouette,
} from '../../../src/training/evaluation/clustering.ts';
import { matrix } from '../../../src/training/fitting/linearAlgebra.ts';

/** Two pairs of points: 0 and 2, 10 and 12. */
const line = matrix(4, 1, [0, 2, 10, 12]);
const pairs = [0, 0, 1, 1];

describe('k-means', () => {
  it('finds the two pairs, their centres and what is left', () => {
    const { centroids, labels, inertia } = kMeans(line, 2, new Random('line'));
    expect([...centroids.data].sort((a, b) => a - b)).toEqual([1, 11]);
    expect(adjustedRandIndex(labels, pairs)).toBe(1);
    expect(inertia).toBe(4);
  });

  it('is the same for the same generator', () => {
    const random = new Random('cloud');
    const cloud = matrix(
      60,
      3,
      Array.from({ length: 180 }, () => random.normal()),
    );
    expect(kMeans(cloud, 5, new Random(1))).toEqual(kMeans(cloud, 5, new Random(1)));
  });

  it('takes the best of its starts: three far groups are never merged', () => {
    const random = new Random('groups');
    const points = matrix(
      90,
      2,
      Array.from({ length: 90 }, (_, i) =>
        [
          [0, 0],
          [50, 0],
          [0, 50],
        ][i % 3]!.map((x) => x + random.normal()),
      ).flat(),
    );
    for (let seed = 0; seed < 20; seed++) {
      const { labels } = kMeans(points, 3, new Random(seed));
      expect(
        adjustedRandIndex(
          labels,
          Array.from({ length: 90 }, (_, i) => i % 3),
        ),
      ).toBe(1);
    }
  });

  it('copes with points that are all the same', () => {
    expect(kMeans(matrix(5, 2), 3, new Random(1)).inertia).toBe(0);
  });

  it('refuses more clusters than rows', () => {
    expect(() => kMeans(line, 5, new Random(1))).toThrow('4 rows cannot form 5 clusters: ask for 1 to 4.');
  });

  it('puts others to the nearest centroid', () => {
    expect([...assign(matrix(3, 1, [5, 7, -3]), matrix(2, 1, [1, 11]))]).toEqual([0, 1, 0]);
  });
});

describe('silhouette', () => {
  it('compares the own cluster with the next one', () => {
    // 0: within 2, across 11; 2: within 2, across 9; 10 and 12 alike.
    expect(silhouette(line, pairs)).toBeCloseTo((9 / 11 + 7 / 9) / 2, 12);
  });

  it('counts a row alone in its cluster as 0', () => {
    // Alone: 0. The other two: within 2 of each other; 0 is 10 away from the third, 2 is 8 away.
    expect(silhouette(matrix(3, 1, [0, 2, 10]), [0, 0, 1])).toBeCloseTo((8 / 10 + 6 / 8) / 3, 12);
  });

  it('is negative where rows are in the wrong cluster, and nothing for one cluster', () => {
    expect(silhouette(line, [0, 1, 0, 1])).toBeLessThan(0);
    expect(silhouette(line, [0, 0, 0, 0])).toBeNaN();
  });
});

describe('Davies–Bouldin', () => {
  it('is the ratio of radii to the distance of centres', () => {
    expect(daviesBouldin(line, pairs)).toBeCloseTo((1 + 1) / 10, 12);
  });

  it('takes the worst neighbour of each of three', () => {
    // Centres 1, 11, 111, radius 1 each: 2/10, 2/10, 2/100.
    const three = matrix(6, 1, [0, 2, 10, 12, 110, 112]);
    expect(daviesBouldin(three, [0, 0, 1, 1, 2, 2])).toBeCloseTo((0.2 + 0.2 + 0.02) / 3, 12);
  });
});

describe('adjusted Rand index', () => {
  it('does not care for names', () => {
    expect(adjustedRandIndex([0, 0, 1, 1], [5, 5, 2, 2])).toBe(1);
  });

  it('is the textbook value of a mixed table', () => {
    // Together 2 + 1 pairs … table [[2,1],[1,2]]: index 2, expected 6·6/15 = 2.4, most 6: (2 − 2.4) / (6 − 2.4).
    expect(adjustedRandIndex([0, 0, 0, 1, 1, 1], [0, 0, 1, 0, 1, 1])).toBeCloseTo(-0.4 / 3.6, 12);
  });

  it('is near 0 where one labelling is drawn', () => {
    const random = new Random('labels');
    const draw = () => Array.from({ length: 4000 }, () => random.int(6));
    expect(Math.abs(adjustedRandIndex(draw(), draw()))).toBeLessThan(0.01);
  });

  it('needs labels of the same rows', () => {
    expect(() => adjustedRandIndex([0], [0, 1])).toThrow('Two labellings of the same rows are needed: 1 and 2 labels.');
  });
});
