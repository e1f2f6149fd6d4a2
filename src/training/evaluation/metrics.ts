/**
 * What is measured and how sure it is: ranking accuracy, calibration, rank correlation, and intervals.
 * People weigh alike: a measure is taken for each person, then averaged. Knows numbers only.
 */
import { PalateError } from '../../errors.ts';

/** The normal quantile of a two-sided 95 % interval. */
const Z95 = 1.959964;

/** The share of (liked, disliked) pairs in which the liked one scores higher; a tie counts a half. */
export function pairwiseAccuracy(liked: ArrayLike<number>, disliked: ArrayLike<number>): number {
  let won = 0;
  for (let i = 0; i < liked.length; i++) {
    for (let j = 0; j < disliked.length; j++) {
      if (liked[i]! > disliked[j]!) won += 1;
      else if (liked[i] === disliked[j]) won += 0.5;
    }
  }
  return won / (liked.length * disliked.length);
}

/** Top-k is of one liked and this many disliked ones. */
export const OTHERS_OF_TOP = 3;

/**
 * How often a liked one of this score is among the best `k` of itself and three disliked ones, in the mean over all
 * threes of those given and with ties broken by lot. Needs three disliked ones at least.
 */
export function topAccuracy(liked: number, disliked: ArrayLike<number>, k: number): number {
  let above = 0;
  let tied = 0;
  for (let j = 0; j < disliked.length; j++) {
    if (disliked[j]! > liked) above += 1;
    else if (disliked[j] === liked) tied += 1;
  }
  const below = disliked.length - above - tied;
  let sum = 0;
  for (let a = 0; a <= Math.min(above, OTHERS_OF_TOP); a++) {
    for (let t = 0; t <= Math.min(tied, OTHERS_OF_TOP - a); t++) {
      const ways = choose(above, a) * choose(tied, t) * choose(below, OTHERS_OF_TOP - a - t);
      sum += ways * Math.min(1, Math.max(0, (k - a) / (t + 1)));
    }
  }
  return sum / choose(disliked.length, OTHERS_OF_TOP);
}

/** The number of ways to take k of n. */
function choose(n: number, k: number): number {
  let ways = 1;
  for (let i = 0; i < k; i++) ways *= (n - i) / (i + 1);
  return ways;
}

export interface Interval {
  readonly mean: number;
  readonly standardError: number;
  /** The 95 % interval. */
  readonly low: number;
  readonly high: number;
}

/** The mean over people with its normal 95 % interval; one person alone has an endless one. */
export function meanInterval(values: ArrayLike<number>): Interval {
  const average = mean(values);
  let squares = 0;
  for (let i = 0; i < values.length; i++) squares += (values[i]! - average) ** 2;
  const standardError = values.length > 1 ? Math.sqrt(squares / (values.length - 1) / values.length) : Infinity;
  return { mean: average, standardError, low: average - Z95 * standardError, high: average + Z95 * standardError };
}

/** The mean of a − b over the same people, with its interval. */
export function pairedDifference(a: ArrayLike<number>, b: ArrayLike<number>): Interval {
  if (a.length !== b.length)
    throw new PalateError('INVALID', `Paired values need the same people: ${a.length} and ${b.length}.`);
  return meanInterval(Float64Array.from(a, (value, i) => value - b[i]!));
}

/**
 * Expected calibration error: the gap between mean probability and share of true outcomes in each of `bins` bins of
 * equal width, weighted by what falls into them (Guo et al. 2017).
 */
export function calibrationError(probabilities: ArrayLike<number>, outcomes: ArrayLike<boolean>, bins = 10): number {
  const gaps = new Float64Array(bins);
  for (let i = 0; i < probabilities.length; i++) {
    const bin = Math.min(bins - 1, Math.floor(probabilities[i]! * bins));
    gaps[bin]! += probabilities[i]! - (outcomes[i] ? 1 : 0);
  }
  return gaps.reduce((sum, gap) => sum + Math.abs(gap), 0) / probabilities.length;
}

/** Spearman's rank correlation, ties at their mean rank; NaN where one side is constant. */
export function spearman(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length)
    throw new PalateError('INVALID', `A correlation needs pairs: ${a.length} and ${b.length} values.`);
  return pearson(ranks(a), ranks(b));
}

/** Ranks from 1, ties at their mean. */
function ranks(values: ArrayLike<number>): Float64Array {
  const order = Array.from({ length: values.length }, (_, i) => i).sort((i, j) => values[i]! - values[j]!);
  const result = new Float64Array(values.length);
  for (let start = 0; start < order.length; ) {
    let end = start + 1;
    while (end < order.length && values[order[end]!] === values[order[start]!]) end++;
    for (let i = start; i < end; i++) result[order[i]!] = (start + end + 1) / 2;
    start = end;
  }
  return result;
}

function pearson(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const meanA = mean(a);
  const meanB = mean(b);
  let ab = 0;
  let aa = 0;
  let bb = 0;
  for (let i = 0; i < a.length; i++) {
    const x = a[i]! - meanA;
    const y = b[i]! - meanB;
    ab += x * y;
    aa += x * x;
    bb += y * y;
  }
  return ab / Math.sqrt(aa * bb);
}

function mean(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]!;
  return sum / values.length;
}
