/**
 * Measuring scorers on people they were not fitted to: one fixed set of people, each with the same targets at every
 * history length, the same pairs for every scorer. Baselines' strengths are chosen on other people before. Knows
 * scorers by their scores only.
 */
import { PalateError } from '../../errors.ts';
import type { Random } from '../../random.ts';
import type { Kind, SimulatedPeople } from '../simulation/people.ts';
import type { Part } from '../simulation/pictures.ts';
import { type Task, targetsOf, withHistory } from '../tasks.ts';
import {
  chance,
  type InnerProducts,
  kernelRidge,
  logisticRegression,
  nearestNeighbours,
  prototypeDifference,
  type TaskScorer,
} from './baselines.ts';
import { pairwiseAccuracy, topAccuracy } from './metrics.ts';

/** Judgements on each side of a history: 0+0, 1+1, … */
export const HISTORY_LENGTHS: readonly number[] = [0, 1, 2, 4, 8, 16];

/** Each liked target meets the same three disliked ones: top-k of four. */
const TARGETS = { likedTargets: 3, dislikedTargets: 3 };

export interface EvaluationSet {
  readonly lengths: readonly number[];
  /** The people of a kind, with their longest history. */
  readonly people: ReadonlyMap<Kind, readonly Task[]>;
}

export interface EvaluationSetOptions {
  readonly part: Part;
  readonly kinds: readonly Kind[];
  /** People of each kind: 3,000 give a standard error below half a point. */
  readonly count: number;
  readonly lengths?: readonly number[];
  readonly flipRate?: number;
}

/** Draws the people of an evaluation; the same generator gives the same people. */
export function buildEvaluationSet(
  simulated: SimulatedPeople,
  random: Random,
  options: EvaluationSetOptions,
): EvaluationSet {
  const lengths = options.lengths ?? HISTORY_LENGTHS;
  const longest = Math.max(...lengths);
  const shape = { likes: longest, dislikes: longest, ...TARGETS, flipRate: options.flipRate ?? 0 };
  const people = options.kinds.map((kind) => {
    const draw = random.split(kind);
    const tasks = Array.from({ length: options.count }, (_, i) =>
      simulated.sampleTask(draw.split(i), kind, options.part, shape),
    );
    return [kind, tasks] as const;
  });
  return { lengths, people: new Map(people) };
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

/** One scorer's results on the people of one kind at one history length, a number a person, in [0, 1]. */
export interface Outcome {
  readonly kind: Kind;
  readonly length: number;
  readonly scorer: string;
  readonly pairwise: Float64Array;
  /** Top-1, top-2 and top-3 of four. */
  readonly top: readonly [Float64Array, Float64Array, Float64Array];
}

/** Scores everybody at every length with every scorer. Throws when a scorer answers with scores that do not fit. */
export async function evaluate(set: EvaluationSet, scorers: readonly Scorer[]): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const [kind, people] of set.people) {
    for (const length of set.lengths) {
      const tasks = people.map((task) => withHistory(task, length));
      for (const scorer of scorers) {
        outcomes.push({ kind, length, scorer: scorer.name, ...measure(scorer.name, tasks, await scorer.score(tasks)) });
      }
    }
  }
  return outcomes;
}

function measure(
  name: string,
  tasks: readonly Task[],
  scores: readonly ArrayLike<number>[],
): Pick<Outcome, 'pairwise' | 'top'> {
  const sides = tasks.map((task, i) => {
    const values = Array.from(scores[i] ?? []);
    if (values.length !== targetsOf(task).length || !values.every(Number.isFinite)) {
      throw new PalateError(
        'INVALID',
        `${name} gave [${values.join(', ')}] for ${targetsOf(task).length} targets: one finite score each is needed.`,
      );
    }
    return { liked: values.slice(0, task.liked.length), disliked: values.slice(task.liked.length) };
  });
  const top = (k: number) => Float64Array.from(sides, ({ liked, disliked }) => topAccuracy(liked, disliked, k));
  return {
    pairwise: Float64Array.from(sides, ({ liked, disliked }) => pairwiseAccuracy(liked, disliked)),
    top: [top(1), top(2), top(3)],
  };
}

/** What baselines are chosen from; around the best, accuracy moves by less than half a point between neighbours. */
const PENALTIES = [0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10];
const RIDGES = [0.01, 0.1, 0.3, 1, 3];
const WIDTHS = [null, 0.1, 0.25, 0.5, 1, 2];

/**
 * The simple scorers on one set of features, by name. Strength and width are those that order `tuning` tasks best:
 * people of validation artists, so that a discriminant fitted to training artists helps no choice.
 * @param products of the features, over the pictures of the people to be measured
 * @param tuningProducts of the same features, over the pictures of `tuning`
 */
export function baselineScorers(
  features: string,
  products: InnerProducts,
  tuningProducts: InnerProducts,
  tuning: readonly Task[],
): Scorer[] {
  const penalty = best(PENALTIES, (value) => logisticRegression(tuningProducts, { penalty: value }), tuning);
  const grid = RIDGES.flatMap((ridge) => WIDTHS.map((width) => ({ ridge, width })));
  const ridge = best(grid, (options) => kernelRidge(tuningProducts, options), tuning);
  const kernel = ridge.width === null ? 'linear' : `RBF width ${ridge.width}`;
  return [
    named(`prototype difference, ${features}`, prototypeDifference(products)),
    named(`logistic regression (λ ${penalty}), ${features}`, logisticRegression(products, { penalty })),
    named(`kernel ridge (${kernel}, ridge ${ridge.ridge}), ${features}`, kernelRidge(products, ridge)),
    named(`3 nearest neighbours, ${features}`, nearestNeighbours(products)),
  ];
}

/** Half of every pair by definition: what the others are held against. */
export const chanceScorer: Scorer = named('chance', chance);

/** The options whose scorer orders the tasks best; the first of equals. */
function best<T>(grid: readonly T[], make: (options: T) => TaskScorer, tasks: readonly Task[]): T {
  let winner = grid[0] as T;
  let highest = -1;
  for (const options of grid) {
    const { pairwise } = measure('a baseline', tasks, tasks.map(make(options)));
    const accuracy = pairwise.reduce((sum, value) => sum + value, 0);
    if (accuracy > highest) {
      highest = accuracy;
      winner = options;
    }
  }
  return winner;
}
