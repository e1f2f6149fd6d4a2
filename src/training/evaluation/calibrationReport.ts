/**
 * Whether a probability may be taken at its word: how far shares of likes lie from what was foretold, what of that
 * would be there if every probability were true, and the line that likes follow. Knows numbers only.
 */
import { sigmoid } from '../../inference/calibration.ts';
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
  /** Where 19 of 20 debiased errors would stay below if every probability were true and judgements independent. */
  readonly debiasedNoise: number;
  /** Of log odds of a like on the log odds foretold: 1 is right, below 1 is over-confident. */
  readonly slope: number;
  /** Between which 19 of 20 slopes would lie if every probability were true and judgements independent. */
  readonly slopeNoise: { readonly low: number; readonly high: number };
  /** The reliability diagram: 10 bins of equal width, those without a judgement left out. */
  readonly bins: readonly ReliabilityBin[];
}

export interface ReliabilityBin {
  readonly judgements: number;
  /** Mean probability, and share of likes. */
  readonly foretold: number;
  readonly liked: number;
}

const BINS = 15;
const RELIABILITY_BINS = 10;
/** Parametric bootstrap: outcomes drawn from the probabilities themselves. */
const DRAWS = 200;
/** A probability of exactly 0 or 1 has no log odds. */
const LEAST = 1e-9;

/** @param outcomes whether each was a like */
export function reportCalibration(
  probabilities: ArrayLike<number>,
  outcomes: ArrayLike<boolean>,
  random: Random,
): CalibrationReport {
  const order = Array.from({ length: probabilities.length }, (_, i) => i).sort(
    (i, j) => probabilities[i]! - probabilities[j]!,
  );
  const logOdds = Float64Array.from(probabilities, (probability) => {
    const p = Math.min(1 - LEAST, Math.max(LEAST, probability));
    return Math.log(p / (1 - p));
  });
  const samples = Array.from(logOdds, (margin, i) => ({ margin, likeRateLogit: 0, liked: outcomes[i]! }));
  const draws = Array.from({ length: DRAWS }, () => {
    const drawn = Array.from(probabilities, (p) => random.uniform() < p);
    return {
      expected: calibrationError(probabilities, drawn, RELIABILITY_BINS),
      debiased: debiasedError(probabilities, drawn, order),
      slope: slopeOfDraw(logOdds, drawn),
    };
  });
  const quantile = (of: 'debiased' | 'slope', share: number) =>
    draws.map((draw) => draw[of]).sort((a, b) => a - b)[Math.round(share * (DRAWS - 1))]!;
  return {
    judgements: probabilities.length,
    likeRate: Array.from(outcomes).filter(Boolean).length / outcomes.length,
    expectedError: calibrationError(probabilities, outcomes, RELIABILITY_BINS),
    noiseFloor: draws.reduce((sum, { expected }) => sum + expected, 0) / DRAWS,
    debiasedError: debiasedError(probabilities, outcomes, order),
    debiasedNoise: quantile('debiased', 0.95),
    slope: fitCalibration(samples).temperature,
    slopeNoise: { low: quantile('slope', 0.025), high: quantile('slope', 0.975) },
    bins: reliability(probabilities, outcomes),
  };
}

/** From the truth, a drawn slope is one Newton step away but for what is beyond its noise. */
const NEWTON_STEPS = 2;

/** The slope and offset of drawn outcomes on the log odds that they were drawn from, by Newton's method from (1, 0). */
function slopeOfDraw(logOdds: ArrayLike<number>, outcomes: ArrayLike<boolean>): number {
  let slope = 1;
  let offset = 0;
  for (let step = 0; step < NEWTON_STEPS; step++) {
    let [a, b, aa, ab, bb] = [0, 0, LEAST, 0, LEAST];
    for (let i = 0; i < logOdds.length; i++) {
      const x = logOdds[i]!;
      const p = sigmoid(slope * x + offset);
      const residual = (outcomes[i] ? 1 : 0) - p;
      const curvature = p * (1 - p);
      a += residual * x;
      b += residual;
      aa += curvature * x * x;
      ab += curvature * x;
      bb += curvature;
    }
    const determinant = aa * bb - ab * ab;
    slope += (bb * a - ab * b) / determinant;
    offset += (aa * b - ab * a) / determinant;
  }
  return slope;
}

function reliability(probabilities: ArrayLike<number>, outcomes: ArrayLike<boolean>): ReliabilityBin[] {
  const bins = Array.from({ length: RELIABILITY_BINS }, () => ({ judgements: 0, foretold: 0, liked: 0 }));
  for (let i = 0; i < probabilities.length; i++) {
    const bin = bins[Math.min(RELIABILITY_BINS - 1, Math.floor(probabilities[i]! * RELIABILITY_BINS))]!;
    bin.judgements += 1;
    bin.foretold += probabilities[i]!;
    bin.liked += outcomes[i] ? 1 : 0;
  }
  return bins
    .filter(({ judgements }) => judgements > 0)
    .map(({ judgements, foretold, liked }) => ({
      judgements,
      foretold: foretold / judgements,
      liked: liked / judgements,
    }));
}

/** @param order of the probabilities, lowest first */
function debiasedError(
  probabilities: ArrayLike<number>,
  outcomes: ArrayLike<boolean>,
  order: readonly number[],
): number {
  const n = probabilities.length;
  let sum = 0;
  for (let bin = 0; bin < BINS; bin++) {
    const [from, to] = [Math.floor((bin * n) / BINS), Math.floor(((bin + 1) * n) / BINS)];
    const members = to - from;
    if (members < 2) continue;
    let foretold = 0;
    let liked = 0;
    for (let k = from; k < to; k++) {
      foretold += probabilities[order[k]!]!;
      liked += outcomes[order[k]!] ? 1 : 0;
    }
    const share = liked / members;
    const gap = foretold / members - share;
    sum += (members / n) * (gap * gap - (share * (1 - share)) / (members - 1));
  }
  return Math.sqrt(Math.max(0, sum));
}
