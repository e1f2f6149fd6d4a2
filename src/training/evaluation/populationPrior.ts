/**
 * What people in general make of an image, without regard to who asks: by what others made of it, and by what it looks
 * like. The scorers that a personal model has to beat where tastes have much in common. Fitted on people of training
 * alone.
 */
import { cholesky, type Matrix, matrix, row, solveCholesky } from '../fitting/linearAlgebra.ts';
import { type Popularity, type Task, targetsOf } from '../tasks.ts';
import type { TaskScorer } from './baselines.ts';
import { highest, meanAccuracy } from './evaluation.ts';
import { layOutPairs } from './pairs.ts';

/** Shares of the features' mean variance that may be added to their covariance. */
const RIDGES = [0.01, 0.03, 0.1, 0.3, 1, 3, 10];
const FOLDS = 5;
/** As many judgements as the content model's word may be worth beside what others made of the image. */
const PSEUDO_COUNTS = [0.3, 1, 3, 10, 30, 100];

/** What some people made of one image, and what it was drawn with (its artist, its prompt). */
export interface RatedImage extends Popularity {
  /** Row of the feature matrix. */
  readonly image: number;
  readonly cluster: number | string;
}

/** A shrunken mean: an image that one person liked is not better than one that nine of ten did. */
const POPULARITY_PSEUDO_COUNT = 3;

/** Expected rating of an image, −1 (all dislike it) to 1 (all like it). */
export type ContentModel = (image: number) => number;

/** The sums of all judgements in the people's histories, by image. */
export function ratedImages(people: readonly Task[], clusterOf: (image: number) => number | string): RatedImage[] {
  const byImage = new Map<number, { sum: number; count: number }>();
  for (const { image, sentiment, weight } of people.flatMap(({ history }) => history)) {
    const known = byImage.get(image) ?? { sum: 0, count: 0 };
    known.sum += sentiment === 'LIKE' ? weight : -weight;
    known.count += weight;
    byImage.set(image, known);
  }
  return [...byImage].map(([image, rated]) => ({ image, ...rated, cluster: clusterOf(image) }));
}

/**
 * Ridge regression from features to the mean rating, an image weighing as many ratings as it has. The ridge is chosen by
 * five-fold cross-validation among these images, clusters whole. Without an image to learn from, all are expected alike.
 */
export function fitContentModel(features: Matrix, rated: readonly RatedImage[]): ContentModel {
  if (rated.length === 0) return () => 0;
  const clusters = [...new Set(rated.map(({ cluster }) => cluster))];
  const foldOf = new Map(clusters.map((cluster, i) => [cluster, i % FOLDS]));
  const parts = Array.from({ length: FOLDS }, (_, fold) => ({
    rest: rated.filter(({ cluster }) => foldOf.get(cluster) !== fold),
    held: rated.filter(({ cluster }) => foldOf.get(cluster) === fold),
  })).filter(({ rest, held }) => rest.length > 0 && held.length > 0);
  const moments = parts.map(({ rest }) => new RidgeMoments(features, rest));
  const errors = RIDGES.map((ridge) =>
    parts.reduce((sum, { held }, i) => sum + squaredError(moments[i]!.solve(ridge), held), 0),
  );
  const ridge = RIDGES[errors.indexOf(Math.min(...errors))]!;
  return new RidgeMoments(features, rated).solve(ridge);
}

/** The prior whose K orders the tuning people's targets best. */
export function fitPrior(content: ContentModel, tuning: readonly Task[]): TaskScorer {
  const layout = layOutPairs(tuning);
  return highest(
    PSEUDO_COUNTS.map((count) => priorScorer(content, count)),
    (prior) => meanAccuracy(tuning, tuning.map(prior), layout),
  );
}

/** (Σ r + K g) / (n + K): what others made of a target, drawn towards what it looks like by K ratings. */
export function priorScorer(content: ContentModel, pseudoCount: number): TaskScorer {
  return (task) =>
    Float64Array.from(targetsOf(task), (image, t) => {
      const { sum, count } = task.popularity?.[t] ?? { sum: 0, count: 0 };
      return (sum + pseudoCount * content(image)) / (count + pseudoCount);
    });
}

/** What others made of the very image, drawn towards what they make of images in general; it knows no features. */
export function popularityScorer(meanRating: number): TaskScorer {
  return priorScorer(() => meanRating, POPULARITY_PSEUDO_COUNT);
}

/** What the image looks like alone. */
export function contentScorer(content: ContentModel): TaskScorer {
  return (task) => Float64Array.from(targetsOf(task), content);
}

/** The mean of all ratings. */
export function meanRating(rated: readonly Popularity[]): number {
  const sum = rated.reduce((total, of) => total + of.sum, 0);
  return sum / rated.reduce((total, of) => total + of.count, 0);
}

/** The weighted covariance of the features and their product with the ratings, made once for all ridges. */
class RidgeMoments {
  readonly #features: Matrix;
  readonly #mean: Float64Array;
  readonly #rating: number;
  readonly #covariance: Matrix;
  readonly #products: Float64Array;

  constructor(features: Matrix, rated: readonly RatedImage[]) {
    const { columns } = features;
    const total = rated.reduce((sum, { count }) => sum + count, 0);
    this.#features = features;
    this.#mean = new Float64Array(columns);
    for (const { image, count } of rated) {
      const x = row(features, image);
      for (let j = 0; j < columns; j++) this.#mean[j]! += (count / total) * x[j]!;
    }
    this.#rating = meanRating(rated);
    this.#covariance = matrix(columns, columns);
    this.#products = new Float64Array(columns);
    for (const { image, sum, count } of rated) {
      const x = row(features, image).map((value, j) => value - this.#mean[j]!);
      const share = count / total;
      const residual = sum / total - share * this.#rating;
      for (let i = 0; i < columns; i++) {
        this.#products[i]! += residual * x[i]!;
        const scaled = share * x[i]!;
        const offset = i * columns;
        for (let j = 0; j <= i; j++) this.#covariance.data[offset + j]! += scaled * x[j]!;
      }
    }
  }

  solve(ridge: number): ContentModel {
    const { columns, data } = this.#covariance;
    let trace = 0;
    for (let i = 0; i < columns; i++) trace += data[i * (columns + 1)]!;
    const system = matrix(columns, columns, data.slice());
    for (let i = 0; i < columns; i++) system.data[i * (columns + 1)]! += (ridge * trace) / columns + 1e-12;
    const weights = solveCholesky(cholesky(system), this.#products);
    return (image) => {
      const x = row(this.#features, image);
      let value = this.#rating;
      for (let j = 0; j < columns; j++) value += weights[j]! * (x[j]! - this.#mean[j]!);
      return value;
    };
  }
}

function squaredError(model: ContentModel, held: readonly RatedImage[]): number {
  return held.reduce((sum, { image, sum: rating, count }) => sum + count * (rating / count - model(image)) ** 2, 0);
}
