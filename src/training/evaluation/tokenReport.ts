/**
 * What the preference tokens tell of people: whether profiles form groups, whether these are the groups that people
 * were drawn from, whether both halves of one history say the same, and how many tokens are in use. Profiles are
 * compared by the square roots of their attention weights (Hellinger). Knows profiles, not where people come from.
 */
import type { Random } from '../../random.ts';
import { scaleRows } from '../fitting/inputTransform.ts';
import { type Matrix, matrix, row } from '../fitting/linearAlgebra.ts';
import { squaredDistance } from './clustering.ts';
import { type Interval, meanInterval } from './metrics.ts';
import {
  type ClusterQuality,
  clusterQuality,
  fartherThanTwin,
  type GroupRecovery,
  groupRecovery,
  type HalvesAgreement,
  halvesAgreement,
} from './profileClusters.ts';

/** What one half of a history gives. */
export interface HalfHistory {
  readonly profile: ArrayLike<number>;
  readonly taste: ArrayLike<number>;
}

/** What is read of each person; people in one order throughout. */
export interface TokenInput {
  readonly layers: number;
  readonly heads: number;
  readonly tokens: number;
  /** Attention over the tokens: layers × heads × tokens, each head's sum 1. */
  readonly profiles: readonly ArrayLike<number>[];
  /** Of two disjoint halves of each history. */
  readonly halves: readonly (readonly [HalfHistory, HalfHistory])[];
  /** t = μ₊ − μ₋ of each person: what there is to cluster without tokens. */
  readonly tastes: readonly ArrayLike<number>[];
  /** The probe after the last block. */
  readonly states: readonly ArrayLike<number>[];
  /** The group that each person was drawn from, 0, 1, …, where groups were planted. */
  readonly groups?: readonly number[];
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
    readonly ofProfiles: HalvesAgreement;
    readonly ofTastes: HalvesAgreement;
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

const NEAREST = 3;
/** Where no groups were planted. */
const HALVES_CLUSTERS = 6;
const LEAST_SHARE = 0.02;

/** Throws INVALID with fewer people than the largest number of clusters. */
export function tokenReport(input: TokenInput, random: Random): TokenReport {
  const { groups, profiles, heads, tokens, layers } = input;
  const roots = rootsOf(profiles);
  const tastes = scaleRows(toMatrix(input.tastes));
  return {
    people: profiles.length,
    groups: groups ? { count: Math.max(...groups) + 1, ...groupReport(roots, tastes, groups, random) } : null,
    halves: halvesReport(roots, tastes, input, random.split('halves')),
    use: tokensInUse(profiles, layers, heads, tokens),
    layerDistances: layerDistances(roots, layers),
    clusters: {
      profiles: clusterQuality(roots, random.split('profiles')),
      states: clusterQuality(toMatrix(input.states), random.split('states')),
      tastes: clusterQuality(tastes, random.split('tastes')),
    },
  };
}

function halvesReport(roots: Matrix, tastes: Matrix, { halves, groups }: TokenInput, random: Random) {
  const clusters = groups ? Math.max(...groups) + 1 : HALVES_CLUSTERS;
  const both = [...halves.map(([first]) => first), ...halves.map(([, second]) => second)];
  const profiles = rootsOf(both.map(({ profile }) => profile));
  const directions = scaleRows(toMatrix(both.map(({ taste }) => taste)));
  return {
    clusters,
    ofProfiles: halvesAgreement(roots, profiles, clusters, random.split('profiles')),
    ofTastes: halvesAgreement(tastes, directions, clusters, random.split('tastes')),
  };
}

/** Square roots of attention weights, brought to unit length: inner products are then one less a squared Hellinger distance. */
export function rootsOf(profiles: readonly ArrayLike<number>[]): Matrix {
  return scaleRows(toMatrix(profiles.map((profile) => Float64Array.from(profile, Math.sqrt))));
}

/** By profiles: the share of everybody's half histories that are farther from one than its other half is; 0.5 by chance. */
export function ownHalvesFound(halves: TokenInput['halves']): number {
  const both = [...halves.map(([first]) => first), ...halves.map(([, second]) => second)];
  const farther = fartherThanTwin(rootsOf(both.map(({ profile }) => profile)));
  return farther.reduce((sum, share) => sum + share, 0) / farther.length;
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
    ofProfiles: groupRecovery(roots, groups, count, random.split('profiles')),
    ofTastes: groupRecovery(tastes, groups, count, random.split('tastes')),
    within: meanInterval(own).mean,
    across: meanInterval(other).mean,
    difference: meanInterval(own.map((value, i) => value - other[i]!)),
    nearestOfGroup: meanInterval(nearest),
  };
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
