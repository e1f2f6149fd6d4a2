/**
 * Linear discriminant analysis with shrinkage: the closed form from which the metric path starts. It finds the
 * directions in which pictures of one artist agree and those of different artists differ. Knows vectors and class
 * numbers, no picture and no person.
 */
import { PalateError } from '../../errors.ts';
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

/** Rows that belong together, and how much it counts that they do: 1, or more. */
export interface RowClass {
  readonly rows: readonly number[];
  readonly weight: number;
}

/** A class for each label. */
export function classesOf(labels: ArrayLike<number>): RowClass[] {
  const rows = new Map<number, number[]>();
  for (let i = 0; i < labels.length; i++) {
    const known = rows.get(labels[i]!);
    if (known) known.push(i);
    else rows.set(labels[i]!, [i]);
  }
  return [...rows.values()].map((members) => ({ rows: members, weight: 1 }));
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
   * Fits to the classes of z (n, inputs); a row may belong to several. Direction v solves S_between v = ρ S_within v with vᵀ S_within v = 1
   * and is scaled by √(ρ / (1 + ρ)), the share of its variance that is between classes.
   * Throws when fewer than two classes are given.
   */
  static fit(z: Matrix, classes: readonly RowClass[], options: DiscriminantOptions): Discriminant {
    if (classes.length < 2) {
      throw new PalateError('INVALID', `A discriminant needs at least 2 classes, not ${classes.length}.`);
    }
    const { between, within } = scatter(z, classes);
    shrink(within, options.shrinkage);
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

/**
 * The class means, a row a class; the weighted covariance of the means; and the weighted mean outer product of what is
 * left of each member when its class's mean is taken away.
 */
function scatter(z: Matrix, classes: readonly RowClass[]): { between: Matrix; within: Matrix } {
  const d = z.columns;
  const means = matrix(classes.length, d);
  const members = classes.reduce((sum, { rows }) => sum + rows.length, 0);
  const residuals = matrix(members, d);
  let total = 0;
  let place = 0;
  for (const [c, { rows, weight }] of classes.entries()) {
    const mean = row(means, c);
    for (const i of rows) addScaled(mean, row(z, i), 1 / rows.length);
    for (const i of rows) {
      const residual = row(residuals, place++);
      residual.set(row(z, i));
      addScaled(residual, mean, -1);
      scaleBy(residual, Math.sqrt(weight));
    }
    total += weight * rows.length;
  }
  const within = gram(transpose(residuals));
  scaleBy(within.data, 1 / total);
  return { between: covariance(means, classes), within };
}

/** The covariance of the means; where all weigh 1, divided by n − 1. */
function covariance(means: Matrix, classes: readonly RowClass[]): Matrix {
  const weights = classes.map(({ weight }) => weight);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const centre = new Float64Array(means.columns);
  weights.forEach((weight, c) => {
    addScaled(centre, row(means, c), weight / total);
  });
  const centred = matrix(means.rows, means.columns, means.data.slice());
  weights.forEach((weight, c) => {
    addScaled(row(centred, c), centre, -1);
    scaleBy(row(centred, c), Math.sqrt(weight));
  });
  const result = gram(transpose(centred));
  const squares = weights.reduce((sum, weight) => sum + weight * weight, 0);
  scaleBy(result.data, 1 / (total - squares / total));
  return result;
}

function addScaled(to: Float64Array, values: Float64Array, factor: number): void {
  for (let i = 0; i < to.length; i++) to[i]! += factor * values[i]!;
}

function scaleBy(values: Float64Array, factor: number): void {
  for (let i = 0; i < values.length; i++) values[i]! *= factor;
}

/** S ← (1 − r) S + r · mean(diagonal) · I. */
function shrink(s: Matrix, share: number): void {
  const n = s.rows;
  let trace = 0;
  for (let i = 0; i < n; i++) trace += s.data[i * n + i]!;
  for (let i = 0; i < s.data.length; i++) s.data[i]! *= 1 - share;
  for (let i = 0; i < n; i++) s.data[i * n + i]! += (share * trace) / n;
}

function mapRows(m: Matrix, change: (values: Float64Array) => Float64Array): Matrix {
  const result = matrix(m.rows, m.columns);
  for (let i = 0; i < m.rows; i++) result.data.set(change(row(m, i)), i * m.columns);
  return result;
}
