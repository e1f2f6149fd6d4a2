/**
 * Logistic regression on a few numbers: what calibration and the weight of the population prior are fitted with. Knows
 * numbers only.
 */
import { sigmoid } from '../../inference/calibration.ts';
import { cholesky, dot, matrix, solveCholesky } from './linearAlgebra.ts';

export interface LogisticSample {
  readonly inputs: readonly number[];
  readonly positive: boolean;
}

export interface LogisticFit {
  readonly coefficients: readonly number[];
  /** Of all samples, without the coefficients' prior: at most 0. */
  readonly logLikelihood: number;
}

const MOST_STEPS = 50;
const SMALLEST_MOVE = 1e-9;
/** Weight of a standard normal prior on each coefficient: keeps them finite where the samples are separable. */
const PRIOR_PRECISION = 1e-3;

/**
 * The coefficients c that make P(positive) = σ(c · inputs) most likely: Newton's method from 0, where the log posterior
 * is least curved; a step that overshoots is halved. All samples have as many inputs; an intercept is an input of 1.
 */
export function fitCoefficients(samples: readonly LogisticSample[], inputs: number): LogisticFit {
  let at = new Float64Array(inputs);
  let height = logPosterior(at, samples);
  for (let step = 0; step < MOST_STEPS; step++) {
    const gradient = at.map((value) => -PRIOR_PRECISION * value);
    const hessian = matrix(inputs, inputs);
    for (let i = 0; i < inputs; i++) hessian.data[i * (inputs + 1)] = PRIOR_PRECISION;
    for (const { inputs: x, positive } of samples) {
      const p = sigmoid(dot(at, x));
      for (let i = 0; i < inputs; i++) {
        gradient[i]! += ((positive ? 1 : 0) - p) * x[i]!;
        for (let j = 0; j < inputs; j++) hessian.data[i * inputs + j]! += p * (1 - p) * x[i]! * x[j]!;
      }
    }
    const move = solveCholesky(cholesky(hessian), gradient);
    let share = 1;
    for (; Math.hypot(...move) * share >= SMALLEST_MOVE; share /= 2) {
      const next = at.map((value, i) => value + share * move[i]!);
      const nextHeight = logPosterior(next, samples);
      if (nextHeight <= height) continue;
      at = next;
      height = nextHeight;
      break;
    }
    if (Math.hypot(...move) * share < SMALLEST_MOVE) break;
  }
  return { coefficients: [...at], logLikelihood: logLikelihood(at, samples) };
}

const logPosterior = (at: Float64Array, samples: readonly LogisticSample[]): number =>
  logLikelihood(at, samples) - (PRIOR_PRECISION / 2) * dot(at, at);

function logLikelihood(at: Float64Array, samples: readonly LogisticSample[]): number {
  let sum = 0;
  for (const { inputs, positive } of samples) {
    const x = positive ? dot(at, inputs) : -dot(at, inputs);
    sum -= Math.max(0, -x) + Math.log1p(Math.exp(-Math.abs(x))); // log σ(x)
  }
  return sum;
}
