/**
 * What the preference tokens tell of people: whether profiles form groups, whether these are the groups that people
 * were drawn from, whether both halves of one history say the same, and how many tokens are in use. Profiles are
 * compared by the square roots of their attention weights (Hellinger). Knows profiles, not where people come from.
 */
import type { Random } from '../../random.ts';
import { scaleRows } from '../fitting/inputTransform.ts';
import { type Matrix, matrix, row, takeRows } from '../fitting/linearAlgebra.ts';
import { adjustedRandIndex, assign, daviesBouldin, kMeans, silhouette, squaredDistance } from './clustering.ts';
import { type Interval, meanInterval } from './metrics.ts';

/** What is read of each person; people in one order throughout. */
export interface TokenInput {
  readonly layers: number;
  readonly heads: number;
  readonly tokens: number;
  /** Attention over the tokens: layers × heads × tokens, each head's sum 1. */
  readonly profiles: readonly ArrayLike<number>[];
  /** The same of two disjoint halves of each history. */
  readonly halves: readonly (readonly [ArrayLike<number>, ArrayLike<number>])[];
  /** t = μ₊ − μ₋ of each person: what there is to cluster without tokens. */
  readonly tastes: readonly ArrayLike<number>[];
  /** The probe after the last block. */
  readonly states: readonly ArrayLike<number>[];
  /** The group that each person was drawn from, 0, 1, …, where groups were planted. */
  readonly groups?: readonly number[];
}

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

export interface TokenReport {
  readonly people: number;
  /** Null where no groups were planted. */
  readonly groups: {
    readonly count: number;
    readonly ofProfiles: GroupRecovery;
    readonly ofTastes: GroupRecovery;
    /** Mean similarity (1 − Hellinger distance) to the own group, to the others, and their difference by person. */
    readonly within: number;
    readonly across: number;
    readonly difference: Interval;
    /** Of each person's three nearest, how many are of the own group; by chance 3 / count. */
    readonly nearestOfGroup: Interval;
  } | null;
  readonly halves: {
    /** How many clusters the next two speak of. */
    readonly clusters: number;
    /** Share of people whose two halves fall into one cluster of profiles. */
    readonly sameCluster: number;
    /** What it would be if a half fell anywhere, as often as people do. */
    readonly sameClusterByChance: number;
    /** Share of people each of whose halves has the other as its nearest among all other halves; by chance next to 0. */
    readonly mutualNearest: number;
  };
  readonly use: {
    /** exp of the entropy of the mean attention, over all layers and heads: all tokens alike would be `tokens`. */
    readonly effective: number;
    readonly effectiveByLayer: readonly number[];
    /** Tokens of more than 2 % of the mean attention. */
    readonly above2Percent: number;
    /** Entropy of one person's attention in one head, in nats, averaged; log(tokens) would be even attention. */
    readonly entropyOfPerson: number;
    readonly tokens: number;
  };
  /** For each layer, the mean Hellinger distance between two people's attention: 0 would be the same for all. */
  readonly layerDistances: readonly number[];
  readonly clusters: {
    readonly profiles: readonly ClusterQuality[];
    readonly states: readonly ClusterQuality[];
    readonly tastes: readonly ClusterQuality[];
  };
}

export const CLUSTER_COUNTS: readonly number[] = [2, 4, 6, 8, 10];
const NEAREST = 3;
const LEAST_SHARE = 0.02;

/** Throws INVALID with fewer people than the largest number of clusters. */
export function tokenReport(input: TokenInput, random: Random): TokenReport {
  const { groups, profiles, heads, tokens, layers } = input;
  const roots = rootsOf(profiles);
  const tastes = scaleRows(toMatrix(input.tastes));
  return {
    people: profiles.length,
    groups: groups ? { count: Math.max(...groups) + 1, ...groupReport(roots, tastes, groups, random) } : null,
    halves: halvesReport(roots, input, groups ? Math.max(...groups) + 1 : HALVES_CLUSTERS, random.split('halves')),
    use: tokensInUse(profiles, layers, heads, tokens),
    layerDistances: layerDistances(roots, layers),
    clusters: {
      profiles: clusterQuality(roots, random.split('profiles')),
      states: clusterQuality(toMatrix(input.states), random.split('states')),
      tastes: clusterQuality(tastes, random.split('tastes')),
    },
  };
}

const HALVES_CLUSTERS = 6;

/** Silhouette and Davies–Bouldin of k-means at several numbers of clusters. */
export function clusterQuality(points: Matrix, random: Random, counts = CLUSTER_COUNTS): ClusterQuality[] {
  return counts.map((clusters) => {
    const { labels } = kMeans(points, clusters, random.split(clusters));
    return { clusters, silhouette: silhouette(points, labels), daviesBouldin: daviesBouldin(points, labels) };
  });
}

/** Square roots of attention weights, brought to unit length: inner products are then one less a squared Hellinger distance. */
export function rootsOf(profiles: readonly ArrayLike<number>[]): Matrix {
  return scaleRows(toMatrix(profiles.map((profile) => Float64Array.from(profile, Math.sqrt))));
}

function groupReport(roots: Matrix, tastes: Matrix, groups: readonly number[], random: Random) {
  const count = Math.max(...groups) + 1;
  const own: number[] = [];
  const other: number[] = [];
  const nearest: number[] = [];
  const everybody = groups.map((_, j) => j);
  for (const i of everybody) {
    const similarities = everybody.map((j) => 1 - hellinger(row(roots, i), row(roots, j)));
    const others = everybody.filter((j) => j !== i);
    const mean = (of: readonly number[]) => of.reduce((sum, j) => sum + similarities[j]!, 0) / of.length;
    own.push(mean(others.filter((j) => groups[j] === groups[i])));
    other.push(mean(others.filter((j) => groups[j] !== groups[i])));
    const best = others.sort((a, b) => similarities[b]! - similarities[a]!).slice(0, NEAREST);
    nearest.push(best.filter((j) => groups[j] === groups[i]).length);
  }
  return {
    ofProfiles: recovery(roots, groups, count, random.split('profiles')),
    ofTastes: recovery(tastes, groups, count, random.split('tastes')),
    within: meanInterval(own).mean,
    across: meanInterval(other).mean,
    difference: meanInterval(own.map((value, i) => value - other[i]!)),
    nearestOfGroup: meanInterval(nearest),
  };
}

function recovery(points: Matrix, groups: readonly number[], count: number, random: Random): GroupRecovery {
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

function halvesReport(roots: Matrix, { halves }: TokenInput, clusters: number, random: Random): TokenReport['halves'] {
  const { centroids, labels } = kMeans(roots, clusters, random);
  const [first, second] = ([0, 1] as const).map((half) => rootsOf(halves.map((of) => of[half]))) as [Matrix, Matrix];
  const [a, b] = [assign(first, centroids), assign(second, centroids)];
  const shares = Array.from({ length: clusters }, (_, c) => labels.filter((l) => l === c).length / labels.length);
  // All halves in one list: a half's nearest is looked for among everybody's other halves, first and second ones.
  const all = toMatrix([...rowsOf(first), ...rowsOf(second)]);
  const nearest = Array.from({ length: all.rows }, (_, i) => nearestOther(all, i));
  const n = halves.length;
  return {
    clusters,
    sameCluster: halves.filter((_, i) => a[i] === b[i]).length / n,
    sameClusterByChance: shares.reduce((sum, share) => sum + share * share, 0),
    mutualNearest: halves.filter((_, i) => nearest[i] === n + i && nearest[n + i] === i).length / n,
  };
}

function nearestOther(points: Matrix, i: number): number {
  let best = { index: -1, distance: Infinity };
  for (let j = 0; j < points.rows; j++) {
    if (j === i) continue;
    const distance = squaredDistance(row(points, i), row(points, j));
    if (distance < best.distance) best = { index: j, distance };
  }
  return best.index;
}

function tokensInUse(
  profiles: readonly ArrayLike<number>[],
  layers: number,
  heads: number,
  tokens: number,
): TokenReport['use'] {
  const byLayer = Array.from({ length: layers }, () => new Float64Array(tokens));
  let entropies = 0;
  for (const profile of profiles) {
    for (let head = 0; head < layers * heads; head++) {
      const weights = Array.from({ length: tokens }, (_, t) => profile[head * tokens + t]!);
      entropies += entropy(weights);
      const layer = byLayer[Math.floor(head / heads)]!;
      for (let t = 0; t < tokens; t++) layer[t]! += weights[t]! / (profiles.length * heads);
    }
  }
  const mean = byLayer[0]!.map((_, t) => byLayer.reduce((sum, layer) => sum + layer[t]! / layers, 0));
  return {
    effective: Math.exp(entropy(mean)),
    effectiveByLayer: byLayer.map((layer) => Math.exp(entropy(layer))),
    above2Percent: mean.filter((share) => share > LEAST_SHARE).length,
    entropyOfPerson: entropies / (profiles.length * layers * heads),
    tokens,
  };
}

/** In nats. */
function entropy(weights: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < weights.length; i++) if (weights[i]! > 0) sum -= weights[i]! * Math.log(weights[i]!);
  return sum;
}

/** Between each person and the next. */
function layerDistances(roots: Matrix, layers: number): number[] {
  const size = roots.columns / layers;
  return Array.from({ length: layers }, (_, layer) => {
    const part = (i: number) => row(roots, i).subarray(layer * size, (layer + 1) * size);
    let sum = 0;
    for (let i = 1; i < roots.rows; i++) sum += Math.sqrt((layers * squaredDistance(part(i), part(i - 1))) / 2);
    return sum / (roots.rows - 1);
  });
}

/** Of square roots of unit length. */
const hellinger = (a: ArrayLike<number>, b: ArrayLike<number>): number => Math.sqrt(squaredDistance(a, b) / 2);

function toMatrix(rows: readonly ArrayLike<number>[]): Matrix {
  const all = matrix(rows.length, rows[0]?.length ?? 0);
  for (const [i, values] of rows.entries()) row(all, i).set(values);
  return all;
}

const rowsOf = (m: Matrix): Float64Array[] => Array.from({ length: m.rows }, (_, i) => row(m, i));
