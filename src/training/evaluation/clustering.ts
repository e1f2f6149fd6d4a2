/**
 * Groups found in vectors, and how good they are: k-means, silhouette, Davies–Bouldin, adjusted Rand index. Euclidean
 * throughout: profiles are compared by the square roots of their attention weights, whose Euclidean distance is √2
 * times their Hellinger distance. Knows numbers only.
 */
import { PalateError } from '../../errors.ts';
import type { Random } from '../../random.ts';
import { type Matrix, matrix, row } from '../fitting/linearAlgebra.ts';

export interface Clustering {
  /** (k, dimensions) */
  readonly centroids: Matrix;
  /** Of each row, its centroid: 0 to k − 1. */
  readonly labels: Int32Array;
  /** Sum of squared distances to the own centroid. */
  readonly inertia: number;
}

const RESTARTS = 10;
const MOST_ROUNDS = 200;

/**
 * k-means (Lloyd's rounds) from k-means++ seeds (Arthur & Vassilvitskii 2007), the best of several starts. The same
 * generator gives the same clustering. Throws INVALID where there are fewer rows than clusters.
 */
export function kMeans(points: Matrix, k: number, random: Random, restarts = RESTARTS): Clustering {
  if (!(Number.isInteger(k) && k > 0 && k <= points.rows)) {
    throw new PalateError('INVALID', `${points.rows} rows cannot form ${k} clusters: ask for 1 to ${points.rows}.`);
  }
  const runs = Array.from({ length: restarts }, (_, i) => oneRun(points, k, random.split(i)));
  return runs.reduce((best, run) => (run.inertia < best.inertia ? run : best));
}

/** Of each row, the nearest centroid. */
export function assign(points: Matrix, centroids: Matrix): Int32Array {
  return Int32Array.from({ length: points.rows }, (_, i) => nearestOf(row(points, i), centroids).index);
}

/**
 * Mean silhouette (Rousseeuw 1987), −1 to 1: how much nearer the own cluster is than the next one. A row alone in its
 * cluster counts 0. NaN with fewer than two clusters in use.
 */
export function silhouette(points: Matrix, labels: ArrayLike<number>): number {
  const sizes = sizesOf(labels);
  if (used(sizes).length < 2) return NaN;
  let total = 0;
  for (let i = 0; i < points.rows; i++) {
    const sums = new Float64Array(sizes.length);
    for (let j = 0; j < points.rows; j++)
      sums[labels[j]!]! += Math.sqrt(squaredDistance(row(points, i), row(points, j)));
    const own = labels[i]!;
    if (sizes[own] === 1) continue;
    const within = sums[own]! / (sizes[own]! - 1);
    const across = Math.min(...used(sizes).flatMap((c) => (c === own ? [] : [sums[c]! / sizes[c]!])));
    const longest = Math.max(within, across);
    total += longest > 0 ? (across - within) / longest : 0;
  }
  return total / points.rows;
}

/**
 * Davies–Bouldin index (1979), 0 or more: for each cluster the worst ratio of two clusters' mean radii to the distance
 * of their centres, averaged; lower is better. NaN with fewer than two clusters in use.
 */
export function daviesBouldin(points: Matrix, labels: ArrayLike<number>): number {
  const sizes = sizesOf(labels);
  const clusters = used(sizes);
  if (clusters.length < 2) return NaN;
  const centres = means(points, labels, sizes);
  const radii = new Float64Array(sizes.length);
  for (let i = 0; i < points.rows; i++) {
    const label = labels[i]!;
    radii[label]! += Math.sqrt(squaredDistance(row(points, i), row(centres, label))) / sizes[label]!;
  }
  const worst = clusters.map((a) =>
    Math.max(
      ...clusters
        .filter((b) => b !== a)
        .map((b) => (radii[a]! + radii[b]!) / Math.sqrt(squaredDistance(row(centres, a), row(centres, b)))),
    ),
  );
  return worst.reduce((sum, value) => sum + value, 0) / worst.length;
}

/**
 * Adjusted Rand index of two labellings (Hubert & Arabie 1985): 1 where they are the same but for names, 0 in
 * expectation where one is drawn. Two labellings of one cluster each are the same: 1.
 */
export function adjustedRandIndex(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) {
    throw new PalateError('INVALID', `Two labellings of the same rows are needed: ${a.length} and ${b.length} labels.`);
  }
  const together = new Map<string, number>();
  for (let i = 0; i < a.length; i++) {
    const key = `${a[i]}/${b[i]}`;
    together.set(key, (together.get(key) ?? 0) + 1);
  }
  const pairs = (counts: Iterable<number>) => [...counts].reduce((sum, n) => sum + (n * (n - 1)) / 2, 0);
  const both = pairs(together.values());
  const ofA = pairs(sizesOf(a));
  const ofB = pairs(sizesOf(b));
  const expected = (ofA * ofB) / ((a.length * (a.length - 1)) / 2);
  const most = (ofA + ofB) / 2;
  return most === expected ? 1 : (both - expected) / (most - expected);
}

export function squaredDistance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i]! - b[i]!) ** 2;
  return sum;
}

function oneRun(points: Matrix, k: number, random: Random): Clustering {
  let centroids = seeds(points, k, random);
  let labels = assign(points, centroids);
  for (let round = 0; round < MOST_ROUNDS; round++) {
    centroids = means(points, labels, sizesOf(labels, k), centroids);
    const next = assign(points, centroids);
    const settled = next.every((label, i) => label === labels[i]);
    labels = next;
    if (settled) break;
  }
  let inertia = 0;
  for (let i = 0; i < points.rows; i++) inertia += squaredDistance(row(points, i), row(centroids, labels[i]!));
  return { centroids, labels, inertia };
}

/** The first by lot, each next one with odds of its squared distance to those before it. */
function seeds(points: Matrix, k: number, random: Random): Matrix {
  const chosen = matrix(k, points.columns);
  row(chosen, 0).set(row(points, random.int(points.rows)));
  const distances = new Float64Array(points.rows).fill(Infinity);
  for (let c = 1; c < k; c++) {
    let total = 0;
    for (let i = 0; i < points.rows; i++) {
      distances[i] = Math.min(distances[i]!, squaredDistance(row(points, i), row(chosen, c - 1)));
      total += distances[i]!;
    }
    let left = random.uniform() * total;
    let next = 0;
    while (next < points.rows - 1 && left >= distances[next]!) left -= distances[next++]!;
    row(chosen, c).set(row(points, next));
  }
  return chosen;
}

/** The mean of each cluster's rows; of an empty one, what it was before. */
function means(points: Matrix, labels: ArrayLike<number>, sizes: ArrayLike<number>, before?: Matrix): Matrix {
  const centres = matrix(sizes.length, points.columns);
  for (let i = 0; i < points.rows; i++) {
    const centre = row(centres, labels[i]!);
    const x = row(points, i);
    for (let j = 0; j < x.length; j++) centre[j]! += x[j]! / sizes[labels[i]!]!;
  }
  if (before) for (let c = 0; c < sizes.length; c++) if (sizes[c] === 0) row(centres, c).set(row(before, c));
  return centres;
}

function nearestOf(point: ArrayLike<number>, centroids: Matrix): { index: number; distance: number } {
  let best = { index: 0, distance: Infinity };
  for (let c = 0; c < centroids.rows; c++) {
    const distance = squaredDistance(point, row(centroids, c));
    if (distance < best.distance) best = { index: c, distance };
  }
  return best;
}

function sizesOf(labels: ArrayLike<number>, k = 0): number[] {
  const sizes: number[] = Array(k).fill(0);
  for (let i = 0; i < labels.length; i++) {
    while (sizes.length <= labels[i]!) sizes.push(0);
    sizes[labels[i]!]! += 1;
  }
  return sizes;
}

const used = (sizes: readonly number[]): number[] => [...sizes.keys()].filter((c) => sizes[c]! > 0);
