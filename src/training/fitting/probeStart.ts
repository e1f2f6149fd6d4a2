/**
 * Where the probe starts: the directions of taste in which people differ and each agrees with themself, from two halves
 * of many histories. A probe along t as it is shows every number alike, most of them noise: its profiles tell 68.3 % of
 * other people's halves from a person's own, these 72.8 % (t itself: 72.2 %), of people and groups held out.
 */
import type { Random } from '../../random.ts';
import type { Kind, SimulatedPeople } from '../simulation/people.ts';
import type { HistoryItem } from '../tasks.ts';
import { classesOf, Discriminant } from './discriminant.ts';
import { dot, type Matrix, matrix, norm, row } from './linearAlgebra.ts';

const PEOPLE = 4_000;
const KINDS: readonly Kind[] = ['tags', 'artists', 'direction', 'mixture', 'group', 'group'];
const SHAPE = { likes: 8, dislikes: 8, likedTargets: 1, dislikedTargets: 1 };
/** Chosen on artists and groups held out within the training and validation parts. */
const DIMENSIONS = 16;
const SHRINKAGE = 0.3;

export interface ProbeStart {
  /** U_p, (metric's numbers, width) row-major: a random turn of the directions; rows U_p t̂ have mean square 1. */
  weights(width: number, random: Random): Float32Array;
}

/** @param metrics (pictures, metric's numbers), unit length: the image metric at its start */
export function fitProbeStart(people: SimulatedPeople, metrics: Matrix, random: Random): ProbeStart {
  const tastes = matrix(PEOPLE, metrics.columns);
  const halves = matrix(2 * PEOPLE, metrics.columns);
  for (let i = 0; i < PEOPLE; i++) {
    const { history } = people.sampleTask(random.split(i), KINDS[i % KINDS.length]!, 'train', SHAPE);
    row(tastes, i).set(tasteOf(history, metrics));
    for (const half of [0, 1]) row(halves, 2 * i + half).set(tasteOf(halfOf(history, half), metrics));
  }
  const labels = Array.from({ length: halves.rows }, (_, i) => i >> 1);
  const apart = Discriminant.fit(halves, classesOf(labels), { dimensions: DIMENSIONS, shrinkage: SHRINKAGE });
  return { weights: (width, draw) => probeWeights(apart.weights, tastes, width, draw) };
}

function probeWeights(directions: Matrix, tastes: Matrix, width: number, random: Random): Float32Array {
  const turn = matrix(width, directions.rows);
  for (let i = 0; i < turn.data.length; i++) turn.data[i] = random.normal();
  const weights = new Float32Array(directions.columns * width);
  for (let i = 0; i < directions.columns; i++) {
    const column = Float64Array.from({ length: directions.rows }, (_, k) => row(directions, k)[i]!);
    for (let o = 0; o < width; o++) weights[i * width + o] = dot(row(turn, o), column);
  }
  let squares = 0;
  for (let person = 0; person < tastes.rows; person++) {
    const taste = row(tastes, person);
    const shown = Float64Array.from({ length: directions.rows }, (_, k) => dot(row(directions, k), taste));
    for (let o = 0; o < width; o++) squares += dot(row(turn, o), shown) ** 2;
  }
  const scale = Math.sqrt((tastes.rows * width) / squares);
  return weights.map((weight) => scale * weight);
}

/** Every other judgement of each side, so that both halves reach as far back. */
function halfOf(history: readonly HistoryItem[], half: number): HistoryItem[] {
  const dealt = { LIKE: 0, DISLIKE: 0 };
  return history.filter(({ sentiment }) => dealt[sentiment]++ % 2 === half);
}

/** t = μ₊ − μ₋ with n₀ = 1, unit length. */
function tasteOf(history: readonly HistoryItem[], metrics: Matrix): Float64Array {
  const count = (of: HistoryItem['sentiment']) => history.filter(({ sentiment }) => sentiment === of).length;
  const shares = { LIKE: 1 / (1 + count('LIKE')), DISLIKE: -1 / (1 + count('DISLIKE')) };
  const taste = new Float64Array(metrics.columns);
  for (const { image, sentiment } of history) {
    const metric = row(metrics, image);
    for (let k = 0; k < taste.length; k++) taste[k]! += shares[sentiment] * metric[k]!;
  }
  const length = norm(taste);
  return taste.map((value) => value / length);
}
