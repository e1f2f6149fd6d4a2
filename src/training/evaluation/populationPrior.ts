/**
 * What people in general make of an image, without regard to who asks: by what others made of it, and by what it looks
 * like. The scorers that a personal model has to beat where tastes have much in common. Fitted on people of training
 * alone.
 */
import { type Matrix, row } from '../fitting/linearAlgebra.ts';
import { expected, lowestError, RidgeMoments } from '../fitting/ridge.ts';
import { type Popularity, type Task, targetsOf } from '../tasks.ts';
import type { TaskScorer } from './baselines.ts';
import { highest, meanAccuracy } from './evaluation.ts';
import { layOutPairs } from './pairs.ts';

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
 * Ridge regression from features to the mean rating, an image weighing as many ratings as it has. The strength is chosen by
 * five-fold cross-validation among these images, clusters whole. Without an image to learn from, all are expected alike.
 */
export function fitContentModel(features: Matrix, rated: readonly RatedImage[]): ContentModel {
  if (rated.length === 0) return () => 0;
  const clusters = [...new Set(rated.map(({ cluster }) => cluster))];
  const count = Math.min(FOLDS, clusters.length);
  const foldOf = new Map(clusters.map((cluster, i) => [cluster, i % count]));
  const folds = Array.from({ length: count }, () => new RidgeMoments(features.columns));
  for (const { image, sum, count: ratings, cluster } of rated) {
    folds[foldOf.get(cluster)!]!.add(row(features, image), sum / ratings, ratings);
  }
  const penalty = count > 1 ? lowestError(folds).penalty : 1;
  const ridge = RidgeMoments.sum(folds).solve(penalty);
  return (image) => expected(ridge, row(features, image));
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
