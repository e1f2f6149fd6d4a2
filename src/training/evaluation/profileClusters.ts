/**
 * What clusters of people's vectors are worth: how good they are, whether they are the groups that people were drawn from,
 * whether both halves of a history fall together. Any vectors: profiles, states, tastes.
 */
import type { Random } from '../../random.ts';
import { type Matrix, matrix, row, takeRows } from '../fitting/linearAlgebra.ts';
import { adjustedRandIndex, assign, daviesBouldin, kMeans, silhouette, squaredDistance } from './clustering.ts';

/** How well one kind of vector finds the planted groups. */
export interface GroupRecovery {
  /** Adjusted Rand index of as many clusters as there are groups. */
  readonly all: number;
  /** The same of one half of the people, put to the nearest centroids of clusters found among the other half. */
  readonly unseen: number;
  /** Share of those unseen people whose cluster is, by majority of the others, that of their own group. */
  readonly inOwnGroup: number;
}

export interface ClusterQuality {
  readonly clusters: number;
  readonly silhouette: number;
  readonly daviesBouldin: number;
}

/** Whether two disjoint halves of one history say the same, by one kind of vector. */
export interface HalvesAgreement {
  /** Share of people whose two halves fall into one cluster. */
  readonly sameCluster: number;
  /** What it would be if a half fell anywhere, as often as people do. */
  readonly sameClusterByChance: number;
  /** Share of people each of whose halves has the other as its nearest of everybody's; by chance next to 0. */
  readonly mutualNearest: number;
  /** Share of everybody's halves that are farther from a half than its other half is; by chance 0.5. */
  readonly farther: number;
}

export const CLUSTER_COUNTS: readonly number[] = [2, 4, 6, 8, 10];

/** Silhouette and Davies–Bouldin of k-means at several numbers of clusters. */
export function clusterQuality(points: Matrix, random: Random, counts = CLUSTER_COUNTS): ClusterQuality[] {
  return counts.map((clusters) => {
    const { labels } = kMeans(points, clusters, random.split(clusters));
    return { clusters, silhouette: silhouette(points, labels), daviesBouldin: daviesBouldin(points, labels) };
  });
}

/** @param points a row a person  @param groups of each the planted group, 0 to count − 1 */
export function groupRecovery(points: Matrix, groups: readonly number[], count: number, random: Random): GroupRecovery {
  const order = random.split('order').shuffle(groups.map((_, i) => i));
  const seen = order.slice(0, order.length >> 1);
  const unseen = order.slice(order.length >> 1);
  const ofGroup = (people: readonly number[]) => people.map((i) => groups[i]!);
  const found = kMeans(takeRows(points, seen), count, random.split('seen'));
  const labels = assign(takeRows(points, unseen), found.centroids);
  const named = majorities(found.labels, ofGroup(seen), count);
  const right = ofGroup(unseen).filter((group, i) => named[labels[i]!] === group).length;
  return {
    all: adjustedRandIndex(kMeans(points, count, random.split('all')).labels, groups),
    unseen: adjustedRandIndex(labels, ofGroup(unseen)),
    inOwnGroup: right / unseen.length,
  };
}

/** Of each cluster the group that most of its people come from. */
function majorities(labels: ArrayLike<number>, groups: readonly number[], count: number): number[] {
  const votes = matrix(count, count);
  for (const [i, group] of groups.entries()) votes.data[labels[i]! * count + group]! += 1;
  return Array.from({ length: count }, (_, c) => {
    const of = row(votes, c);
    return of.indexOf(Math.max(...of));
  });
}

/** @param whole of the whole histories: what the clusters are found in  @param halves first halves, then second ones */
export function halvesAgreement(whole: Matrix, halves: Matrix, clusters: number, random: Random): HalvesAgreement {
  const { centroids, labels } = kMeans(whole, clusters, random);
  const n = whole.rows;
  const shares = Array.from({ length: clusters }, (_, c) => labels.filter((label) => label === c).length / n);
  const label = assign(halves, centroids);
  const farther = fartherThanTwin(halves);
  const people = Array.from({ length: n }, (_, i) => i);
  return {
    sameCluster: people.filter((i) => label[i] === label[i + n]).length / n,
    sameClusterByChance: shares.reduce((sum, share) => sum + share * share, 0),
    mutualNearest: people.filter((i) => farther[i] === 1 && farther[i + n] === 1).length / n,
    farther: farther.reduce((sum, share) => sum + share, 0) / (2 * n),
  };
}

/**
 * For each half of a history the share of everybody's halves that are farther from it than its other half is: 0.5 by
 * chance, 1 where the two always find each other.
 * @param halves first halves, then second ones
 */
export function fartherThanTwin(halves: Matrix): number[] {
  const count = halves.rows;
  const twinOf = (i: number) => (i + count / 2) % count;
  return Array.from({ length: count }, (_, i) => {
    const distances = Array.from({ length: count }, (_, j) => squaredDistance(row(halves, i), row(halves, j)));
    const others = distances.filter((_, j) => j !== i && j !== twinOf(i));
    const twin = distances[twinOf(i)]!;
    return others.reduce((sum, d) => sum + (d > twin ? 1 : d === twin ? 0.5 : 0), 0) / others.length;
  });
}
