/**
 * Linear discriminant analysis with shrinkage: the closed form from which the metric path starts. It finds the
 * directions in which pictures of one artist agree and those of different artists differ. Knows vectors and class
 * numbers, no picture and no person.
 */
import { PalateError } from '../errors.ts';
import { scaleRows } from './inputTransform.ts';
import {
  cholesky,
  columnMeans,
  dot,
  gram,
  type Matrix,
  matrix,
  multiplyTransposed,
  row,
  solveLower,
  solveLowerTransposed,
  transpose,
} from './linearAlgebra.ts';
import { symmetricEigen } from './symmetricEigen.ts';

export interface DiscriminantOptions {
  readonly dimensions: number;
  /** Share of the within-class covariance that is replaced by a multiple of the identity, in (0, 1]. */
  readonly shrinkage: number;
}

/** Directions that tell no classes apart keep this much between-class variance, so that no weight is exactly 0. */
const SMALLEST_RATIO = 1e-6;

/** e = unit(W z + b). */
export class Discriminant {
  /** W: (outputs, inputs). */
  readonly weights: Matrix;
  /** b: (outputs) */
  readonly bias: Float64Array;

  constructor(weights: Matrix, bias: Float64Array) {
    this.weights = weights;
    this.bias = bias;
  }

  /**
   * Fits to z (n, inputs) of the given classes. Direction v solves S_between v = ρ S_within v with vᵀ S_within v = 1
   * and is scaled by √(ρ / (1 + ρ)), the share of its variance that is between classes.
   * Throws when fewer than two classes are given.
   */
  static fit(z: Matrix, classes: ArrayLike<number>, options: DiscriminantOptions): Discriminant {
    const { means, within } = scatter(z, classes);
    if (means.rows < 2) {
      throw new PalateError('INVALID', `A discriminant needs at least 2 classes, not ${means.rows}.`);
    }
    shrink(within, options.shrinkage);
    const between = covariance(means);
    const factor = cholesky(within);
    // L⁻¹ S L⁻ᵀ: symmetric, so its rows may stand for its columns.
    const half = transpose(mapRows(between, (values) => solveLower(factor, values)));
    const whitened = mapRows(half, (values) => solveLower(factor, values));
    const { values, vectors } = symmetricEigen(whitened, options.dimensions);
    const weights = mapRows(vectors, (vector) => solveLowerTransposed(factor, vector));
    for (let i = 0; i < weights.rows; i++) {
      const ratio = Math.max(values[i]!, SMALLEST_RATIO);
      const scale = Math.sqrt(ratio / (1 + ratio));
      const direction = row(weights, i);
      for (let j = 0; j < direction.length; j++) direction[j]! *= scale;
    }
    const centre = columnMeans(z);
    const bias = Float64Array.from({ length: weights.rows }, (_, i) => -dot(row(weights, i), centre));
    return new Discriminant(weights, bias);
  }

  /** (n, inputs) → (n, outputs), rows of length 1. */
  apply(z: Matrix): Matrix {
    const projected = multiplyTransposed(z, this.weights);
    for (let i = 0; i < projected.rows; i++) {
      const values = row(projected, i);
      for (let j = 0; j < values.length; j++) values[j]! += this.bias[j]!;
    }
    return scaleRows(projected);
  }
}

/** The class means, a row a class, and the mean outer product of what is left when they are taken away. */
function scatter(z: Matrix, classes: ArrayLike<number>): { means: Matrix; within: Matrix } {
  const numberOf = new Map<number, number>();
  for (let i = 0; i < z.rows; i++) if (!numberOf.has(classes[i]!)) numberOf.set(classes[i]!, numberOf.size);
  const means = matrix(numberOf.size, z.columns);
  const counts = new Float64Array(numberOf.size);
  for (let i = 0; i < z.rows; i++) {
    const c = numberOf.get(classes[i]!)!;
    counts[c]! += 1;
    const mean = row(means, c);
    const values = row(z, i);
    for (let j = 0; j < mean.length; j++) mean[j]! += values[j]!;
  }
  for (let c = 0; c < means.rows; c++) {
    const mean = row(means, c);
    for (let j = 0; j < mean.length; j++) mean[j]! /= counts[c]!;
  }
  const residuals = matrix(z.rows, z.columns, z.data.slice());
  for (let i = 0; i < z.rows; i++) {
    const mean = row(means, numberOf.get(classes[i]!)!);
    const values = row(residuals, i);
    for (let j = 0; j < values.length; j++) values[j]! -= mean[j]!;
  }
  const within = gram(transpose(residuals));
  for (let i = 0; i < within.data.length; i++) within.data[i]! /= z.rows;
  return { means, within };
}

/** S ← (1 − r) S + r · mean(diagonal) · I. */
function shrink(s: Matrix, share: number): void {
  const n = s.rows;
  let trace = 0;
  for (let i = 0; i < n; i++) trace += s.data[i * n + i]!;
  for (let i = 0; i < s.data.length; i++) s.data[i]! *= 1 - share;
  for (let i = 0; i < n; i++) s.data[i * n + i]! += (share * trace) / n;
}

/** The sample covariance of the rows (divided by n − 1). */
function covariance(m: Matrix): Matrix {
  const mean = columnMeans(m);
  const centred = mapRows(m, (values) => values.map((value, j) => value - mean[j]!));
  const result = gram(transpose(centred));
  for (let i = 0; i < result.data.length; i++) result.data[i]! /= m.rows - 1;
  return result;
}

function mapRows(m: Matrix, change: (values: Float64Array) => Float64Array): Matrix {
  const result = matrix(m.rows, m.columns);
  for (let i = 0; i < m.rows; i++) result.data.set(change(row(m, i)), i * m.columns);
  return result;
}
