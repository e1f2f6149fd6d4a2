/**
 * The frozen first step from an encoder's embedding to what the preference model reads: standardised, turned onto the
 * principal components, half whitened, brought to one length. Fitted once for an encoder (images or prompts), named in
 * the base model's manifest, refitted for another encoder. Knows no picture and no person.
 */
import { PalateError } from '../../errors.ts';
import { columnMeans, gram, type Matrix, matrix, multiplyTransposed, norm, row, transpose } from './linearAlgebra.ts';
import { symmetricEigen } from './symmetricEigen.ts';

export interface InputTransformOptions {
  /** Principal components kept: 256 for images, 64 for prompts. */
  readonly dimensions: number;
  /** The length every result has: 16 for 256 numbers, so that each is of order 1. */
  readonly scale: number;
}

/** Features that hardly vary are noise: their deviation is raised by this share of the overall one. */
const DEVIATION_FLOOR = 1e-3;
/** Components of a smaller share of the first one's variance are rounding errors: they become 0. */
const VARIANCE_FLOOR = 1e-9;

/** z = scale · unit(P (f − mean)). */
export class InputTransform {
  /** (inputs) */
  readonly mean: Float64Array;
  /** P: (outputs, inputs), with the deviations and the half whitening inside. */
  readonly projection: Matrix;
  readonly scale: number;

  constructor(mean: Float64Array, projection: Matrix, scale: number) {
    this.mean = mean;
    this.projection = projection;
    this.scale = scale;
  }

  /**
   * Fits to training embeddings (n, inputs). Component i is divided by the fourth root of its share of the first
   * one's variance (half of a whitening, which would divide by the square root): full whitening lifts noise to the
   * height of what matters, none leaves everything to the first few components.
   * Throws when there are fewer than two rows or fewer inputs than dimensions.
   */
  static fit(features: Matrix, options: InputTransformOptions): InputTransform {
    const { rows, columns } = features;
    if (rows < 2 || columns < options.dimensions) {
      throw new PalateError(
        'INVALID',
        `Cannot fit ${options.dimensions} dimensions to ${rows} embeddings of ${columns} numbers: ` +
          'at least 2 embeddings with at least as many numbers are needed.',
      );
    }
    const { mean, deviation } = momentsOf(features);
    const standardised = standardise(features, { mean, deviation });
    const covariance = gram(transpose(standardised));
    for (let i = 0; i < covariance.data.length; i++) covariance.data[i]! /= rows;
    const { values, vectors } = symmetricEigen(covariance, options.dimensions);
    const largest = values[0]!;
    for (let i = 0; i < vectors.rows; i++) {
      const share = values[i]! / largest;
      const gain = share > VARIANCE_FLOOR ? share ** 0.25 / Math.sqrt(values[i]!) : 0;
      const component = row(vectors, i);
      for (let j = 0; j < columns; j++) component[j] = (component[j]! * gain) / deviation[j]!;
    }
    return new InputTransform(mean, vectors, options.scale);
  }

  /** (n, inputs) → (n, outputs). An embedding that is exactly the mean has no direction: it stays 0. */
  apply(features: Matrix): Matrix {
    const centred = matrix(features.rows, features.columns, features.data.slice());
    for (let i = 0; i < features.rows; i++) {
      const values = row(centred, i);
      for (let j = 0; j < values.length; j++) values[j]! -= this.mean[j]!;
    }
    return scaleRows(multiplyTransposed(centred, this.projection), this.scale);
  }
}

/** Brings every row to the given length, in place, and returns the matrix; rows of 0 stay 0. */
export function scaleRows(m: Matrix, length = 1): Matrix {
  for (let i = 0; i < m.rows; i++) {
    const values = row(m, i);
    const size = norm(values);
    if (size > 0) for (let j = 0; j < values.length; j++) values[j] = (values[j]! / size) * length;
  }
  return m;
}

export interface Moments {
  readonly mean: Float64Array;
  /** Standard deviations, each raised by a floor, so that none is 0. */
  readonly deviation: Float64Array;
}

/** The mean and deviation of each column. */
export function momentsOf(features: Matrix): Moments {
  const { rows, columns, data } = features;
  const mean = columnMeans(features);
  const squares = new Float64Array(columns);
  const grandMean = mean.reduce((sum, value) => sum + value, 0) / columns;
  let grandSquare = 0;
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) {
      const value = data[i * columns + j]!;
      squares[j]! += (value - mean[j]!) ** 2;
      grandSquare += (value - grandMean) ** 2;
    }
  }
  const floor = DEVIATION_FLOOR * Math.sqrt(grandSquare / (rows * columns)) || 1;
  return { mean, deviation: squares.map((square) => Math.sqrt(square / rows) + floor) };
}

/** (f − mean) / deviation, a new matrix. */
export function standardise(features: Matrix, { mean, deviation }: Moments): Matrix {
  const { rows, columns } = features;
  const result = matrix(rows, columns);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) {
      result.data[i * columns + j] = (features.data[i * columns + j]! - mean[j]!) / deviation[j]!;
    }
  }
  return result;
}
