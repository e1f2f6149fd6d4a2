/**
 * Ridge regression from sums that are made in one pass, so that rows need not be kept, folds of them are foretold by
 * the others, and every strength is solved from the same sums. Knows numbers only.
 */
import { cholesky, dot, type Matrix, matrix, solveCholesky } from './linearAlgebra.ts';

/** g(x) = weights · x + constant. */
export interface Ridge {
  readonly weights: Float64Array;
  readonly constant: number;
}

export function expected(ridge: Ridge, x: ArrayLike<number>): number {
  return dot(ridge.weights, x) + ridge.constant;
}

/** Strengths, as shares of the weight of all rows, for inputs of unit variance. */
const PENALTIES = [0.003, 0.01, 0.03, 0.1, 0.3, 1, 3];

/** The strength that foretells each fold best from the others, and of each fold the sums of the others. */
export function lowestError(folds: readonly RidgeMoments[]): { penalty: number; others: RidgeMoments[] } {
  const others = folds.map((_, fold) => RidgeMoments.sum(folds.filter((_, f) => f !== fold)));
  const errors = PENALTIES.map((penalty) =>
    folds.reduce((sum, fold, f) => sum + fold.squaredError(others[f]!.solve(penalty)), 0),
  );
  return { penalty: PENALTIES[errors.indexOf(Math.min(...errors))]!, others };
}

/** Weighted sums that a least-squares fit is made from: of x xᵀ, x y, y², with x ending in a 1. */
export class RidgeMoments {
  readonly #xx: Matrix;
  readonly #xy: Float64Array;
  #yy = 0;

  constructor(inputs: number) {
    this.#xx = matrix(inputs + 1, inputs + 1);
    this.#xy = new Float64Array(inputs + 1);
  }

  static sum(parts: readonly RidgeMoments[]): RidgeMoments {
    const total = new RidgeMoments(parts[0]!.#xy.length - 1);
    for (const part of parts) {
      addTo(total.#xx.data, part.#xx.data);
      addTo(total.#xy, part.#xy);
      total.#yy += part.#yy;
    }
    return total;
  }

  add(x: ArrayLike<number>, y: number, weight: number): void {
    const size = x.length + 1;
    for (let i = 0; i < size; i++) {
      const xi = weight * (i < x.length ? x[i]! : 1);
      this.#xy[i]! += xi * y;
      for (let j = 0; j <= i; j++) this.#xx.data[i * size + j]! += xi * (j < x.length ? x[j]! : 1);
    }
    this.#yy += weight * y * y;
  }

  /** The ridge of inputs at unit variance; the constant carries no penalty. */
  solve(penalty: number): Ridge {
    const size = this.#xy.length;
    const last = size - 1;
    const at = (i: number, j: number) => this.#xx.data[Math.max(i, j) * size + Math.min(i, j)]!;
    const total = at(last, last);
    const system = matrix(size, size);
    for (let i = 0; i < size; i++) for (let j = 0; j < size; j++) system.data[i * size + j] = at(i, j);
    for (let i = 0; i < last; i++) {
      const variance = at(i, i) / total - (at(last, i) / total) ** 2;
      system.data[i * (size + 1)]! += penalty * total * Math.max(variance, LEAST_VARIANCE);
    }
    const solution = solveCholesky(cholesky(system), this.#xy);
    return { weights: solution.slice(0, last), constant: solution[last]! };
  }

  /** Σ w (y − g(x))² of these rows. */
  squaredError({ weights, constant }: Ridge): number {
    const size = this.#xy.length;
    const g = Float64Array.of(...weights, constant);
    let quadratic = 0;
    for (let i = 0; i < size; i++) {
      for (let j = 0; j <= i; j++) quadratic += (i === j ? 1 : 2) * g[i]! * g[j]! * this.#xx.data[i * size + j]!;
    }
    return this.#yy - 2 * dot(g, this.#xy) + quadratic;
  }
}

/** Of an input that is the same for all, such as the text metric where no image has a prompt: its weight is then 0. */
const LEAST_VARIANCE = 1e-8;

function addTo(total: Float64Array, part: Float64Array): void {
  for (let i = 0; i < total.length; i++) total[i]! += part[i]!;
}
