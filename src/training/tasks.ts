/**
 * What is learned from and measured on: one person's judgements and targets whose answer is known. A task names
 * pictures by their number in a feature matrix. Knows neither where people come from nor what scores them.
 */
import type { Popularity } from '../inference/preferenceModel.ts';

export type { Popularity } from '../inference/preferenceModel.ts';

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
  /** What others made of each of `targetsOf(task)`; nothing is known where it is left out. */
  readonly popularity?: readonly Popularity[];
  /**
   * Of each of `targetsOf(task)`, what it was drawn with: its artist's number or its prompt's id. Beside people it is
   * what an interval is taken over (evaluation/crossedBootstrap.ts).
   */
  readonly clusters?: readonly (number | string)[];
}

/** How much of a history is read: the newest n of each side, other numbers of likes and dislikes, or all of it. */
export type HistoryLength = number | { readonly likes: number; readonly dislikes: number } | 'all';

/** The pictures to score, liked ones first. */
export function targetsOf(task: Task): number[] {
  return [...task.liked, ...task.disliked];
}

/** The same task with only the newest judgements of each side. */
export function withHistory(task: Task, length: HistoryLength): Task {
  if (length === 'all') return task;
  const { likes, dislikes } = sides(length);
  const left = { LIKE: likes, DISLIKE: dislikes };
  return { ...task, history: task.history.filter((item) => left[item.sentiment]-- > 0) };
}

/** `8+8`, `8+0`, `all`: likes first. */
export function lengthName(length: HistoryLength): string {
  if (length === 'all') return length;
  const { likes, dislikes } = sides(length);
  return `${likes}+${dislikes}`;
}

function sides(length: Exclude<HistoryLength, 'all'>): { likes: number; dislikes: number } {
  return typeof length === 'number' ? { likes: length, dislikes: length } : length;
}
