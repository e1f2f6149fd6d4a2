/**
 * Measuring scorers on people they were not fitted to: one fixed set of people, each with the same targets at every
 * history length, the same pairs for every scorer. Knows people by their tasks and scorers by their scores only, so
 * that simulated people and real ones are measured alike.
 */
import { PalateError } from '../../errors.ts';
import { type HistoryLength, lengthName, type Task, targetsOf, withHistory } from '../tasks.ts';
import type { TaskScorer } from './baselines.ts';
import { layOutPairs, type PairLayout, pairResults, topResults } from './pairs.ts';

const LONGEST_SIDE = 16;
/** Histories as they are measured: balanced ones, then one side alone. */
export const HISTORY_LENGTHS: readonly HistoryLength[] = [
  ...[0, 1, 2, 4, 8, LONGEST_SIDE],
  { likes: 8, dislikes: 0 },
  { likes: 0, dislikes: 8 },
];

export interface EvaluationSet {
  readonly lengths: readonly HistoryLength[];
  /** The people of each kind, with their longest history. */
  readonly people: ReadonlyMap<string, readonly Task[]>;
}

/** HISTORY_LENGTHS, and the whole history where anybody's is longer than the longest of these. */
export function lengthsFor(tasks: readonly Task[]): readonly HistoryLength[] {
  const longer = tasks.some(({ history }) => {
    const likes = history.filter(({ sentiment }) => sentiment === 'LIKE').length;
    return Math.max(likes, history.length - likes) > LONGEST_SIDE;
  });
  return longer ? [...HISTORY_LENGTHS, 'all'] : HISTORY_LENGTHS;
}

export interface Scorer {
  readonly name: string;
  /** For each task the scores of `targetsOf(task)`; higher is liked better. */
  score(tasks: readonly Task[]): Promise<readonly ArrayLike<number>[]> | readonly ArrayLike<number>[];
}

/** A scorer of single tasks under a name. */
export function named(name: string, score: TaskScorer): Scorer {
  return { name, score: (tasks) => tasks.map(score) };
}

/** One scorer's results on the people of one kind at one history length. */
export interface Outcome {
  readonly kind: string;
  /** `lengthName` of the history's length. */
  readonly length: string;
  readonly scorer: string;
  /** The pairs that were counted; the same object for everything measured on the same people. */
  readonly layout: PairLayout;
  /** Of each pair: 1 where the liked target scored higher, ½ for a tie, else 0. */
  readonly won: Float32Array;
  /** The mean of each person's pairs, in [0, 1]; NaN for a person without any. */
  readonly pairwise: Float64Array;
  /** Top-1, top-2 and top-3 of one liked and three disliked, for each of the layout's targets, in [0, 1]. */
  readonly top: readonly [Float32Array, Float32Array, Float32Array];
}

/**
 * Scores everybody at every length with every scorer. Throws INVALID when a scorer answers with scores that do not fit.
 * @param onMeasured called after each scorer at each length, with what was measured
 */
export async function evaluate(
  set: EvaluationSet,
  scorers: readonly Scorer[],
  onMeasured: (what: string) => void = () => {},
): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const [kind, people] of set.people) {
    const layout = layOutPairs(people);
    for (const length of set.lengths.map((of) => ({ of, name: lengthName(of) }))) {
      const tasks = people.map((task) => withHistory(task, length.of));
      for (const scorer of scorers) {
        const scores = await scorer.score(tasks);
        checkScores(scorer.name, tasks, scores);
        outcomes.push({ kind, length: length.name, scorer: scorer.name, ...measure(tasks, scores, layout) });
        onMeasured(`${kind}, ${length.name}`);
      }
    }
  }
  return outcomes;
}

/** How many times `evaluate` calls back. */
export function measurements(set: EvaluationSet, scorers: readonly Scorer[]): number {
  return set.people.size * set.lengths.length * scorers.length;
}

/** The mean over people of their pairwise accuracy: what strengths of simple scorers are chosen by. */
export function meanAccuracy(tasks: readonly Task[], scores: readonly ArrayLike<number>[], layout: PairLayout): number {
  const known = personMeans(layout, pairResults(tasks, scores, layout)).filter((value) => !Number.isNaN(value));
  return known.reduce((sum, value) => sum + value, 0) / known.length;
}

/** Each person's mean over their pairs; NaN for a person without any. */
export function personMeans(layout: PairLayout, values: ArrayLike<number>, places?: Int32Array): Float64Array {
  const sums = new Float64Array(layout.people);
  const counts = new Float64Array(layout.people);
  for (const pair of places ?? layout.subsets.all) {
    sums[layout.person[pair]!]! += values[pair]!;
    counts[layout.person[pair]!]! += 1;
  }
  return sums.map((sum, p) => sum / counts[p]!);
}

/** The option of the highest value; the first of equals. */
export function highest<T>(options: readonly T[], value: (option: T) => number): T {
  let winner = options[0] as T;
  let most = -Infinity;
  for (const option of options) {
    const reached = value(option);
    if (reached > most) {
      most = reached;
      winner = option;
    }
  }
  return winner;
}

function measure(tasks: readonly Task[], scores: readonly ArrayLike<number>[], layout: PairLayout) {
  const won = pairResults(tasks, scores, layout);
  const top = (k: number) => topResults(tasks, scores, layout, k);
  return { layout, won, pairwise: personMeans(layout, won), top: [top(1), top(2), top(3)] as const };
}

function checkScores(name: string, tasks: readonly Task[], scores: readonly ArrayLike<number>[]): void {
  for (const [i, task] of tasks.entries()) {
    const values = Array.from(scores[i] ?? []);
    if (values.length === targetsOf(task).length && values.every(Number.isFinite)) continue;
    throw new PalateError(
      'INVALID',
      `${name} gave [${values.join(', ')}] for ${targetsOf(task).length} targets: one finite score each is needed.`,
    );
  }
}
