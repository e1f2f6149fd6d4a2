/**
 * Inner products of encoder features as simple scorers read them, made for one person at a time: a tenant's people judge
 * too many images for a matrix of all of them. Features are standardised by a sample.
 */
import type { Products } from '../evaluation/baselines.ts';
import { type Moments, momentsOf, standardise } from '../fitting/inputTransform.ts';
import { dot, type Matrix, multiplyTransposed, row } from '../fitting/linearAlgebra.ts';

/** Images of the sample. */
const SAMPLE = 500;

export class FeatureProducts implements Products {
  /** Of centred features of mean squared length 1. */
  readonly meanSquaredDistance = 2;
  readonly #features: (images: readonly number[]) => Matrix;
  readonly #moments: Moments;
  readonly #scale: number;

  /**
   * @param images that the sample is taken from, evenly
   * @param features (images, encoder's numbers)
   */
  constructor(images: readonly number[], features: (images: readonly number[]) => Matrix) {
    const stride = Math.max(1, images.length / SAMPLE);
    const sample = Array.from({ length: Math.min(SAMPLE, images.length) }, (_, i) => images[Math.floor(i * stride)]!);
    const drawn = features(sample);
    this.#features = features;
    this.#moments = momentsOf(drawn);
    const standard = standardise(drawn, this.#moments);
    const squares = sample.map((_, i) => dot(row(standard, i), row(standard, i)));
    this.#scale = 1 / Math.max(squares.reduce((sum, square) => sum + square, 0) / Math.max(1, squares.length), 1e-12);
  }

  between(a: readonly number[], b: readonly number[]): Matrix {
    const result = multiplyTransposed(this.#standard(a), this.#standard(b));
    for (let i = 0; i < result.data.length; i++) result.data[i]! *= this.#scale;
    return result;
  }

  squaredDistances(a: readonly number[], b: readonly number[]): Matrix {
    const [x, y] = [this.#standard(a), this.#standard(b)];
    const result = multiplyTransposed(x, y);
    const lengths = (m: Matrix) => Array.from({ length: m.rows }, (_, i) => dot(row(m, i), row(m, i)));
    const [xx, yy] = [lengths(x), lengths(y)];
    for (let i = 0; i < a.length; i++) {
      for (let j = 0; j < b.length; j++) {
        const at = i * b.length + j;
        result.data[at] = this.#scale * Math.max(0, xx[i]! + yy[j]! - 2 * result.data[at]!);
      }
    }
    return result;
  }

  #standard(images: readonly number[]): Matrix {
    return standardise(this.#features(images), this.#moments);
  }
}
