/**
 * Fits calibration on people the model did not learn from: temperature, offset and like-rate weight of
 * P(like) = σ(T s + β + ρ r) by maximum likelihood, and how far a margin still is from what it becomes with many more
 * judgements. Applied by inference/calibration.ts.
 */
import { sigmoid } from '../../inference/calibration.ts';
import type { Calibration } from '../../model/artifact.ts';

/** One target of one person. */
export interface CalibrationSample {
  /** s = l⁺ − l⁻. */
  readonly margin: number;
  /** r: log odds of the person's shrunken like rate. */
  readonly likeRateLogit: number;
  readonly liked: boolean;
}

const MOST_STEPS = 50;
const SMALLEST_MOVE = 1e-9;
const LEAST_TEMPERATURE = 1e-3;
/** Weight of a standard normal prior on each coefficient: keeps them finite where the samples are separable. */
const PRIOR_PRECISION = 1e-3;

/**
 * Newton's method on the log posterior from (0, 0, 0), where it is least curved; a step that overshoots is halved.
 */
export function fitCalibration(
  samples: readonly CalibrationSample[],
): Pick<Calibration, 'temperature' | 'offset' | 'likeRateWeight'> {
  let at: Coefficients = [0, 0, 0];
  let height = logPosterior(at, samples);
  for (let step = 0; step < MOST_STEPS; step++) {
    const gradient = at.map((value) => -PRIOR_PRECISION * value);
    const hessian = [0, 1, 2].map((i) => [0, 1, 2].map((j) => (i === j ? PRIOR_PRECISION : 0)));
    for (const sample of samples) {
      const x = [sample.margin, 1, sample.likeRateLogit];
      const p = sigmoid(logOdds(at, sample));
      for (let i = 0; i < 3; i++) {
        gradient[i]! += ((sample.liked ? 1 : 0) - p) * x[i]!;
        for (let j = 0; j < 3; j++) hessian[i]![j]! += p * (1 - p) * x[i]! * x[j]!;
      }
    }
    const move = solve3(hessian, gradient);
    for (let share = 1; ; share /= 2) {
      if (Math.hypot(...move) * share < SMALLEST_MOVE) return named(at);
      const next: Coefficients = [at[0] + share * move[0]!, at[1] + share * move[1]!, at[2] + share * move[2]!];
      const nextHeight = logPosterior(next, samples);
      if (nextHeight <= height) continue;
      at = next;
      height = nextHeight;
      break;
    }
  }
  return named(at);
}

/** T, β, ρ. */
type Coefficients = readonly [number, number, number];

// A model that orders no better than chance may fit a temperature of 0 or below: the least that keeps its order.
const named = ([temperature, offset, likeRateWeight]: Coefficients) => ({
  temperature: Math.max(temperature, LEAST_TEMPERATURE),
  offset,
  likeRateWeight,
});

const logOdds = ([temperature, offset, likeRateWeight]: Coefficients, sample: CalibrationSample): number =>
  temperature * sample.margin + offset + likeRateWeight * sample.likeRateLogit;

function logPosterior(at: Coefficients, samples: readonly CalibrationSample[]): number {
  let sum = (-PRIOR_PRECISION / 2) * at.reduce((total, value) => total + value * value, 0);
  for (const sample of samples) {
    const x = sample.liked ? logOdds(at, sample) : -logOdds(at, sample);
    sum -= Math.max(0, -x) + Math.log1p(Math.exp(-Math.abs(x))); // log σ(x)
  }
  return sum;
}

/** Gaussian elimination with partial pivoting. */
function solve3(matrix: number[][], right: number[]): number[] {
  const rows = matrix.map((row, i) => [...row, right[i]!]);
  for (let column = 0; column < 3; column++) {
    const pivot = rows.slice(column).reduce((a, b) => (Math.abs(b[column]!) > Math.abs(a[column]!) ? b : a));
    rows.splice(rows.indexOf(pivot), 1);
    rows.splice(column, 0, pivot);
    for (const row of rows) {
      if (row === pivot) continue;
      const factor = row[column]! / pivot[column]!;
      for (let k = column; k < 4; k++) row[k]! -= factor * pivot[k]!;
    }
  }
  return rows.map((row, i) => row[3]! / row[i]!);
}

/** Margins of the same targets from two disjoint histories of one person, each of `judgements`. */
export interface TwinMargins {
  readonly judgements: number;
  readonly first: readonly number[];
  readonly second: readonly number[];
}

/** The standard error is taken to fall with the square root of the number of judgements beyond the longest measured. */
const EXTRAPOLATED_TO = 16;

/**
 * Standard errors of T s by number of judgements. With the longest histories, two disjoint ones differ by √2 standard
 * errors. A shorter one is held against the longest of the other half, less the latter's own error; with no history the
 * error is all that the taste, once known, will say.
 * @param twins by rising number of judgements, of the same people and targets
 */
export function fitStandardErrors(temperature: number, twins: readonly TwinMargins[]): Calibration['standardErrors'] {
  const longest = twins.at(-1)!;
  const meanSquare = (a: readonly number[], b: readonly number[]) =>
    a.reduce((sum, value, i) => sum + (temperature * (value - b[i]!)) ** 2, 0) / a.length;
  const least = meanSquare(longest.first, longest.second) / 2;
  const errors = twins.map(({ judgements, first }) => ({
    judgements,
    logit: Math.sqrt(
      judgements === longest.judgements ? least : Math.max(least, meanSquare(first, longest.second) - least),
    ),
  }));
  // Measured on few people, a step may fail to fall: an error never rises with more judgements.
  for (let i = errors.length - 2; i >= 0; i--) {
    errors[i] = { ...errors[i]!, logit: Math.max(errors[i]!.logit, errors[i + 1]!.logit) };
  }
  const far = { judgements: EXTRAPOLATED_TO * longest.judgements, logit: Math.sqrt(least / EXTRAPOLATED_TO) };
  return [...errors, far];
}
