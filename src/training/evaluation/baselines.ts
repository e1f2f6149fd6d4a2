/**
 * The simple scorers that the preference model has to beat. Each sees one person's judgements and scores targets from
 * inner products alone, so that a matrix of them, made once, serves every scorer and every person. A history without
 * judgements ties all targets at 0. Knows no model.
 */
import { PalateError } from '../../errors.ts';
import { cholesky, gram, type Matrix, matrix, solveCholesky, takeRows } from '../fitting/linearAlgebra.ts';
import { type HistoryItem, type Task, targetsOf } from '../tasks.ts';

/** Scores of `targetsOf(task)`, higher for what the person should like better. */
export type TaskScorer = (task: Task) => Float64Array;

/** What simple scorers read of features of mean squared length 1. */
export interface Products {
  /** The mean of ‖x − y‖² over all pairs. */
  readonly meanSquaredDistance: number;
  /** (a, b): the products of all of a with all of b. */
  between(a: readonly number[], b: readonly number[]): Matrix;
  /** (a, b): ‖x − y‖². */
  squaredDistances(a: readonly number[], b: readonly number[]): Matrix;
}

/**
 * Inner products of feature vectors, divided by the mean squared length, so that one set of strengths and widths
 * suits features of any scale.
 */
export class InnerProducts implements Products {
  readonly meanSquaredDistance: number;
  readonly #products: Matrix;
  readonly #position = new Map<number, number>();

  /** Between the named rows of the features. */
  constructor(features: Matrix, images: ArrayLike<number>) {
    const products = gram(takeRows(features, images));
    const n = products.rows;
    let trace = 0;
    let total = 0;
    for (let i = 0; i < n; i++) trace += products.data[i * n + i]!;
    for (let i = 0; i < products.data.length; i++) {
      products.data[i]! *= n / trace;
      total += products.data[i]!;
    }
    this.#products = products;
    this.meanSquaredDistance = 2 - (2 * total) / (n * n);
    for (let i = 0; i < n; i++) this.#position.set(images[i]!, i);
  }

  between(a: readonly number[], b: readonly number[]): Matrix {
    const columns = b.map((image) => this.#at(image));
    const result = matrix(a.length, b.length);
    for (let i = 0; i < a.length; i++) {
      const offset = this.#at(a[i]!) * this.#products.columns;
      for (let j = 0; j < b.length; j++) result.data[i * b.length + j] = this.#products.data[offset + columns[j]!]!;
    }
    return result;
  }

  squaredDistances(a: readonly number[], b: readonly number[]): Matrix {
    const result = this.between(a, b);
    const lengths = (images: readonly number[]) =>
      images.map((image) => this.#products.data[this.#at(image) * (this.#products.columns + 1)]!);
    const aa = lengths(a);
    const bb = lengths(b);
    for (let i = 0; i < a.length; i++) {
      for (let j = 0; j < b.length; j++) {
        const at = i * b.length + j;
        result.data[at] = Math.max(0, aa[i]! + bb[j]! - 2 * result.data[at]!);
      }
    }
    return result;
  }

  #at(image: number): number {
    const position = this.#position.get(image);
    if (position === undefined)
      throw new PalateError('INVALID', `Image ${image} is not among those the products were made for.`);
    return position;
  }
}

/** Every target ties. */
export const chance: TaskScorer = (task) => new Float64Array(targetsOf(task).length);

/** ⟨x, μ₊ − μ₋⟩: the weighted mean of what was liked less that of what was disliked; a side without any is 0. */
export function prototypeDifference(products: Products): TaskScorer {
  return (task) => {
    const total = { LIKE: 0, DISLIKE: 0 };
    for (const item of task.history) total[item.sentiment] += item.weight;
    const coefficients = task.history.map((item) => (sign(item) * item.weight) / total[item.sentiment]);
    return combine(products.between(targetsOf(task), imagesOf(task)), coefficients);
  };
}

/** The votes of the nearest judgements, each weighing 1 / distance: in (−1, 1). */
export function nearestNeighbours(products: Products, neighbours = 3): TaskScorer {
  return (task) => {
    const targets = targetsOf(task);
    const distances = products.squaredDistances(targets, imagesOf(task));
    return Float64Array.from(targets, (_, t) => {
      const votes = task.history
        .map((item, i) => ({ item, distance: Math.sqrt(distances.data[t * distances.columns + i]!) }))
        .sort((a, b) => a.distance - b.distance)
        .slice(0, neighbours);
      let vote = 0;
      let total = 0;
      for (const { item, distance } of votes) {
        const weight = item.weight / Math.max(distance, 1e-9);
        vote += sign(item) * weight;
        total += weight;
      }
      return total > 0 ? vote / total : 0;
    });
  };
}

export interface KernelRidgeOptions {
  /** Added to the kernel's diagonal. */
  readonly ridge: number;
  /** Width of exp(−‖x − y‖² / (width · mean ‖x − y‖²)); null for the linear kernel ⟨x, y⟩. */
  readonly width: number | null;
}

/** Least squares to ±1 with a penalty: K(t, ·) (K + ridge · diag(1 / weight))⁻¹ y. */
export function kernelRidge(products: Products, options: KernelRidgeOptions): TaskScorer {
  const kernel = (a: readonly number[], b: readonly number[]): Matrix => {
    if (options.width === null) return products.between(a, b);
    const result = products.squaredDistances(a, b);
    const scale = options.width * products.meanSquaredDistance;
    for (let i = 0; i < result.data.length; i++) result.data[i] = Math.exp(-result.data[i]! / scale);
    return result;
  };
  return (task) => {
    const images = imagesOf(task);
    const k = kernel(images, images);
    for (let i = 0; i < images.length; i++) {
      k.data[i * (images.length + 1)]! += options.ridge / task.history[i]!.weight;
    }
    return combine(kernel(targetsOf(task), images), solveCholesky(cholesky(k), task.history.map(sign)));
  };
}

export interface LogisticRegressionOptions {
  /** λ of Σ wᵢ log(1 + exp(−yᵢ f(xᵢ))) + λ ‖β‖² / 2, for features of mean squared length 1. */
  readonly penalty: number;
}

/** Newton steps; from 0 and with a penalty some six are enough for 1e-9. */
const MOST_NEWTON_STEPS = 50;
const NEWTON_TOLERANCE = 1e-9;

/**
 * L2-penalised logistic regression, by Newton's method on the coefficients of the judgements (β = Σ αᵢ xᵢ). The
 * intercept carries no penalty; a history of one side only leaves none to fit, and it stays 0.
 */
export function logisticRegression(products: Products, options: LogisticRegressionOptions): TaskScorer {
  return (task) => {
    const images = imagesOf(task);
    const { coefficients } = fitLogistic(
      products.between(images, images),
      task.history.map(sign),
      task.history.map((item) => item.weight),
      options.penalty,
    );
    return combine(products.between(targetsOf(task), images), coefficients);
  };
}

/**
 * The minimum of Σ wᵢ log(1 + exp(−yᵢ fᵢ)) + λ αᵀ K α / 2 with f = K α + b.
 * @param k (n, n) inner products  @param y +1 or −1  @param w weights above 0  @param penalty λ above 0
 */
export function fitLogistic(
  k: Matrix,
  y: readonly number[],
  w: readonly number[],
  penalty: number,
): { coefficients: Float64Array; intercept: number } {
  const n = y.length;
  const bothSides = y.includes(1) && y.includes(-1);
  let alpha = new Float64Array(n);
  let intercept = 0;
  let f = new Float64Array(n);
  let loss = logisticLoss(f, alpha, y, w, penalty, intercept);
  for (let step = 0; step < MOST_NEWTON_STEPS && n > 0; step++) {
    // Iteratively reweighted least squares: (K + λ C⁻¹) α + b = working response, 1ᵀ α = 0.
    const system = matrix(n, n, k.data.slice());
    const response = new Float64Array(n);
    for (let i = 0; i < n; i++) {
      const margin = f[i]! + intercept;
      const p = 1 / (1 + Math.exp(-margin));
      const curvature = Math.max(w[i]! * p * (1 - p), 1e-10);
      system.data[i * (n + 1)]! += penalty / curvature;
      response[i] = margin + (w[i]! * ((y[i]! + 1) / 2 - p)) / curvature;
    }
    const factor = cholesky(system);
    const fromResponse = solveCholesky(factor, response);
    const fromOnes = solveCholesky(factor, new Float64Array(n).fill(1));
    const goalIntercept = bothSides ? sum(fromResponse) / sum(fromOnes) : 0;
    const direction = fromResponse.map((value, i) => value - goalIntercept * fromOnes[i]! - alpha[i]!);
    const shift = goalIntercept - intercept;
    const move = combine(k, direction);
    // Newton's step may overshoot where the loss is flat: halve it until the loss falls.
    let size = 1;
    let next = loss;
    for (; size > 1e-6; size /= 2) {
      const trialAlpha = alpha.map((value, i) => value + size * direction[i]!);
      const trialF = f.map((value, i) => value + size * move[i]!);
      next = logisticLoss(trialF, trialAlpha, y, w, penalty, intercept + size * shift);
      if (next > loss) continue;
      alpha = trialAlpha;
      f = trialF;
      intercept += size * shift;
      break;
    }
    if (loss - next <= NEWTON_TOLERANCE * loss) break;
    loss = next;
  }
  return { coefficients: alpha, intercept };
}

function logisticLoss(
  f: Float64Array,
  alpha: Float64Array,
  y: readonly number[],
  w: readonly number[],
  penalty: number,
  intercept: number,
): number {
  let loss = 0;
  for (let i = 0; i < y.length; i++) {
    const margin = y[i]! * (f[i]! + intercept);
    loss += w[i]! * (margin > 0 ? Math.log1p(Math.exp(-margin)) : Math.log1p(Math.exp(margin)) - margin);
    loss += (penalty / 2) * alpha[i]! * f[i]!;
  }
  return loss;
}

function imagesOf(task: Task): number[] {
  return task.history.map((item) => item.image);
}

function sign(item: HistoryItem): 1 | -1 {
  return item.sentiment === 'LIKE' ? 1 : -1;
}

function sum(values: Float64Array): number {
  return values.reduce((total, value) => total + value, 0);
}

/** M v */
function combine(m: Matrix, v: ArrayLike<number>): Float64Array {
  return Float64Array.from({ length: m.rows }, (_, i) => {
    let total = 0;
    for (let j = 0; j < m.columns; j++) total += m.data[i * m.columns + j]! * v[j]!;
    return total;
  });
}
