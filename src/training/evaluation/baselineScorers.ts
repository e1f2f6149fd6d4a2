/**
 * The simple scorers under names, as a report lists them, with strengths and widths chosen on people that are not
 * measured: nothing is chosen on the test. Each also comes with the population prior added.
 */
import { type Task, withHistory } from '../tasks.ts';
import {
  chance,
  kernelRidge,
  logisticRegression,
  nearestNeighbours,
  type Products,
  prototypeDifference,
  type TaskScorer,
} from './baselines.ts';
import { highest, meanAccuracy, named, type Scorer } from './evaluation.ts';
import { layOutPairs } from './pairs.ts';

/** What baselines are chosen from; around the best, accuracy moves by less than half a point between neighbours. */
const PENALTIES = [0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10];
const RIDGES = [0.01, 0.1, 0.3, 1, 3];
const WIDTHS = [null, 0.1, 0.25, 0.5, 1, 2];
/** What the prior may weigh beside a personal score of deviation 1. */
const PRIOR_WEIGHTS = [0, 0.1, 0.25, 0.5, 1, 2, 4];
/** Judgements on each side of the histories that the prior's weight is chosen at. */
const PRIOR_LENGTHS = [1, 2, 4, 8, 16, 32];

/** Half of every pair by definition: what the others are held against. */
export const chanceScorer: Scorer = named('chance', chance);

/** A simple scorer that reads one person's history and features of pictures. */
export interface PersonalScorer {
  readonly name: string;
  readonly score: TaskScorer;
  /** The same scorer over the pictures of the tuning people. */
  readonly onTuning: TaskScorer;
}

/**
 * The simple scorers on one set of features. Strength and width are those that order `tuning` tasks best: people of
 * validation artists, so that a discriminant fitted to training artists helps no choice.
 * @param features what the features are called in the scorers' names
 * @param products of the features, over the pictures of the people to be measured
 * @param tuningProducts of the same features, over the pictures of `tuning`; may be the same object
 */
export function personalScorers(
  features: string,
  products: Products,
  tuningProducts: Products,
  tuning: readonly Task[],
): PersonalScorer[] {
  const penalty = best(PENALTIES, (value) => logisticRegression(tuningProducts, { penalty: value }), tuning);
  const grid = RIDGES.flatMap((ridge) => WIDTHS.map((width) => ({ ridge, width })));
  const ridge = best(grid, (options) => kernelRidge(tuningProducts, options), tuning);
  const kernel = ridge.width === null ? 'linear' : `RBF width ${ridge.width}`;
  const personal = (name: string, make: (over: Products) => TaskScorer): PersonalScorer => ({
    name: `${name}, ${features}`,
    score: make(products),
    onTuning: make(tuningProducts),
  });
  return [
    personal('prototype difference', prototypeDifference),
    personal(`logistic regression (λ ${penalty})`, (over) => logisticRegression(over, { penalty })),
    personal(`kernel ridge (${kernel}, ridge ${ridge.ridge})`, (over) => kernelRidge(over, ridge)),
    personal('3 nearest neighbours', nearestNeighbours),
  ];
}

/** `personalScorers` ready for `evaluate`. */
export function baselineScorers(...of: Parameters<typeof personalScorers>): Scorer[] {
  return personalScorers(...of).map(({ name, score }) => named(name, score));
}

/**
 * Personal score plus prior, each divided by its deviation over the tuning people's targets. The prior's weight is
 * chosen on them at each of several history lengths, so that it may weigh more where little was judged.
 * @param prior what people in general make of a target, whoever asks
 * @param tuning people with the longest histories there are
 */
export function withPrior(personal: PersonalScorer, prior: TaskScorer, tuning: readonly Task[]): Scorer {
  const priorScale = deviation(tuning.map(prior));
  const layout = layOutPairs(tuning);
  const chosen = PRIOR_LENGTHS.map((length) => {
    const tasks = tuning.map((task) => withHistory(task, length));
    const own = tasks.map(personal.onTuning);
    const scale = deviation(own);
    const sum = (weight: number) => tasks.map((task, i) => combine(own[i]!, scale, prior(task), priorScale, weight));
    const weight = highest(PRIOR_WEIGHTS, (value) => meanAccuracy(tasks, sum(value), layout));
    return { judgements: 2 * length, scale, weight };
  });
  return named(`${personal.name} + prior`, (task) => {
    const { scale, weight } = nearest(chosen, task.history.length);
    // Nothing judged: the personal score is 0 throughout, and the prior alone orders.
    const share = task.history.length === 0 ? 1 : weight;
    return combine(personal.score(task), scale, prior(task), priorScale, share);
  });
}

function combine(own: Float64Array, scale: number, prior: Float64Array, priorScale: number, weight: number) {
  return own.map((value, t) => value / scale + (weight * prior[t]!) / priorScale);
}

/** The choice nearest to a number of judgements, as ratios go. */
function nearest<T extends { judgements: number }>(choices: readonly T[], judgements: number): T {
  const distance = ({ judgements: at }: T) => Math.abs(Math.log(at / Math.max(1, judgements)));
  return choices.reduce((a, b) => (distance(b) < distance(a) ? b : a));
}

/** Of all numbers together; 1 where they are all alike. */
function deviation(lists: readonly Float64Array[]): number {
  let count = 0;
  let sum = 0;
  let squares = 0;
  for (const list of lists) {
    for (const value of list) {
      count += 1;
      sum += value;
      squares += value * value;
    }
  }
  const variance = squares / count - (sum / count) ** 2;
  return variance > 1e-18 ? Math.sqrt(variance) : 1;
}

/** The options whose scorer orders the tasks best; the first of equals. */
function best<T>(grid: readonly T[], make: (options: T) => TaskScorer, tasks: readonly Task[]): T {
  const layout = layOutPairs(tasks);
  return highest(grid, (options) => meanAccuracy(tasks, tasks.map(make(options)), layout));
}
