/**
 * What is learned from and measured on: one person's judgements and targets whose answer is known. A task names
 * pictures by their number in a feature matrix. Knows neither where people come from nor what scores them.
 */
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
