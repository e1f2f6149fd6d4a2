/**
 * Whether a probability may be taken at its word: how far shares of likes lie from what was foretold, what of that
 * would be there if every probability were true, and the line that likes follow. Knows numbers only.
 */
import type { Random } from '../../random.ts';
import { fitCalibration } from '../fitting/calibrationFit.ts';
import { calibrationError } from './metrics.ts';

export interface CalibrationReport {
  readonly judgements: number;
  /** Share of likes among them. */
  readonly likeRate: number;
  /** Expected calibration error, 10 bins of equal width. */
  readonly expectedError: number;
  /** What the expected calibration error would be if every probability were true: its mean over drawn outcomes. */
  readonly noiseFloor: number;
  /**
   * Root mean square gap of 15 bins of equal count, less what chance puts into each gap (Kumar, Liang & Ma 2019): 0 in
   * expectation where every probability is true, and never below.
   */
  readonly debiasedError: number;
  /** Of log odds of a like on the log odds foretold: 1 is right, below 1 is over-confident. */
  readonly slope: number;
}

const BINS = 15;
const DRAWS = 50;
/** A probability of exactly 0 or 1 has no log odds. */
const LEAST = 1e-9;

/** @param outcomes whether each was a like */
export function reportCalibration(
  probabilities: ArrayLike<number>,
  outcomes: ArrayLike<boolean>,
  random: Random,
): CalibrationReport {
  const draws = Array.from({ length: DRAWS }, () =>
    calibrationError(
      probabilities,
      Array.from(probabilities, (p) => random.uniform() < p),
    ),
  );
  const samples = Array.from(probabilities, (probability, i) => {
    const p = Math.min(1 - LEAST, Math.max(LEAST, probability));
    return { margin: Math.log(p / (1 - p)), likeRateLogit: 0, liked: outcomes[i]! };
  });
  return {
    judgements: probabilities.length,
    likeRate: Array.from(outcomes).filter(Boolean).length / outcomes.length,
    expectedError: calibrationError(probabilities, outcomes),
    noiseFloor: draws.reduce((sum, error) => sum + error, 0) / DRAWS,
    debiasedError: debiasedError(probabilities, outcomes),
    slope: fitCalibration(samples).temperature,
  };
}

function debiasedError(probabilities: ArrayLike<number>, outcomes: ArrayLike<boolean>): number {
  const n = probabilities.length;
  const order = Array.from({ length: n }, (_, i) => i).sort((i, j) => probabilities[i]! - probabilities[j]!);
  let sum = 0;
  for (let bin = 0; bin < BINS; bin++) {
    const members = order.slice(Math.floor((bin * n) / BINS), Math.floor(((bin + 1) * n) / BINS));
    if (members.length < 2) continue;
    const mean = (value: (i: number) => number) => members.reduce((total, i) => total + value(i), 0) / members.length;
    const share = mean((i) => (outcomes[i] ? 1 : 0));
    const gap = mean((i) => probabilities[i]!) - share;
    sum += (members.length / n) * (gap * gap - (share * (1 - share)) / (members.length - 1));
  }
  return Math.sqrt(Math.max(0, sum));
}
