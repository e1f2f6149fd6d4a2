/**
 * What is learned from and measured on: one person's judgements and targets whose answer is known. A task names
 * pictures by their number in a feature matrix. Knows neither where people come from nor what scores them.
 */
import { PalateError } from '../errors.ts';

export interface HistoryItem {
  /** Row of the feature matrix. */
  readonly image: number;
  readonly sentiment: 'LIKE' | 'DISLIKE';
  /** How much the judgement counts; 1 is one plain judgement. */
  readonly weight: number;
}

export interface Task {
  /** Newest first. */
  readonly history: readonly HistoryItem[];
  /** Targets the person would like, and would dislike. */
  readonly liked: readonly number[];
  readonly disliked: readonly number[];
  /** The planted group of taste that the person belongs to, where there is one. */
  readonly group?: number;
}

/** The pictures to score, liked ones first. */
export function targetsOf(task: Task): number[] {
  return [...task.liked, ...task.disliked];
}

/** The same task with only the newest `count` likes and the newest `count` dislikes. */
export function withHistory(task: Task, count: number): Task {
  const left = { LIKE: count, DISLIKE: count };
  return { ...task, history: task.history.filter((item) => left[item.sentiment]-- > 0) };
}

/** Tasks of one shape as arrays for a training step; B tasks, N judgements, padded with judgements of weight 0. */
export interface TaskBatch {
  /** (B, N) rows of the feature matrix; 0 where padded. */
  readonly images: Int32Array;
  /** (B, N) 1 for like, −1 for dislike, 0 where padded. */
  readonly sentiments: Int8Array;
  /** (B, N) 0 where padded. */
  readonly weights: Float32Array;
  /** (B, liked targets) and (B, disliked targets). */
  readonly liked: Int32Array;
  readonly disliked: Int32Array;
}

/** Packs tasks with equal numbers of targets; of a longer history the newest `longest` judgements are kept. */
export function packTasks(tasks: readonly Task[], longest: number): TaskBatch {
  const images = new Int32Array(tasks.length * longest);
  const sentiments = new Int8Array(tasks.length * longest);
  const weights = new Float32Array(tasks.length * longest);
  tasks.forEach((task, b) => {
    task.history.slice(0, longest).forEach((item, i) => {
      const at = b * longest + i;
      images[at] = item.image;
      sentiments[at] = item.sentiment === 'LIKE' ? 1 : -1;
      weights[at] = item.weight;
    });
  });
  const targets = (side: 'liked' | 'disliked') => {
    const counts = new Set(tasks.map((task) => task[side].length));
    if (counts.size > 1)
      throw new PalateError('INVALID', `Tasks of one batch need as many ${side} targets each: ${[...counts]}.`);
    return Int32Array.from(tasks.flatMap((task) => task[side]));
  };
  return { images, sentiments, weights, liked: targets('liked'), disliked: targets('disliked') };
}
