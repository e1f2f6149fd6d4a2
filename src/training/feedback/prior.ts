/**
 * What people in general make of an image: a ridge from item vectors to what was made of them, over people of the
 * training part, in one pass. Images fall into five folds by their prompts, and each fold is also foretold by the ridge
 * of the other four: as good as it will be on images that nobody has judged. Strength and weight are chosen by these.
 */
import { fromHalfFloats } from '../../halfFloats.ts';
import { cholesky, dot, type Matrix, matrix, solveCholesky } from '../fitting/linearAlgebra.ts';
import type { PersonJudgements } from './people.ts';
import type { Snapshot } from './snapshot.ts';

/** g(item) = weights · item + constant, an expected mean of judgements (like 1, dislike −1). */
export interface Ridge {
  readonly weights: Float64Array;
  readonly constant: number;
}

export interface PopulationRidge extends Ridge {
  /** The ridge fitted without an image and those of the same prompt, and so without anybody's judgement of it. */
  without(image: number): Ridge;
}

const FOLDS = 5;
/** A person's judgements weigh together at most as much as so many plain ones: nobody alone says what is liked. */
const MOST_WEIGHT = 64;
/** Judgements of one person that are read, and of all people. */
const MOST_OF_PERSON = 256;
const MOST_IN_ALL = 400_000;
/** Strengths, as shares of the weight of all judgements, for inputs of unit variance. */
const PENALTIES = [0.003, 0.01, 0.03, 0.1, 0.3, 1, 3];

/** Throws INVALID (of `cholesky`) where nobody of the training part judged anything. */
export function fitRidge(snapshot: Snapshot): PopulationRidge {
  const folds = Array.from({ length: FOLDS }, () => new Moments(snapshot.manifest.itemSize));
  let read = 0;
  for (const [person, { part }] of snapshot.people.entries()) {
    if (part !== 'train' || read >= MOST_IN_ALL) continue;
    const judgements = snapshot.judgementsOf(person).slice(0, MOST_OF_PERSON);
    addPerson(folds, snapshot, judgements);
    read += judgements.length;
  }
  const all = Moments.sum(folds);
  const others = folds.map((_, fold) => Moments.sum(folds.filter((_, f) => f !== fold)));
  const errorOf = (penalty: number) =>
    folds.reduce((sum, fold, f) => sum + fold.squaredError(others[f]!.solve(penalty)), 0);
  const errors = PENALTIES.map(errorOf);
  const penalty = PENALTIES[errors.indexOf(Math.min(...errors))]!;
  const ofFold = others.map((moments) => moments.solve(penalty));
  return { ...all.solve(penalty), without: (image) => ofFold[foldOf(snapshot, image)]! };
}

const foldOf = (snapshot: Snapshot, image: number): number => snapshot.promptOf(image) % FOLDS;

function addPerson(folds: readonly Moments[], snapshot: Snapshot, judgements: PersonJudgements): void {
  const total = judgements.reduce((sum, { weight }) => sum + weight, 0);
  const share = Math.min(1, MOST_WEIGHT / Math.max(total, 1e-9));
  for (const { image, sentiment, weight } of judgements) {
    const item = fromHalfFloats(snapshot.itemVector(image));
    folds[foldOf(snapshot, image)]!.add(item, sentiment === 'LIKE' ? 1 : -1, share * weight);
  }
}

export function expected(ridge: Ridge, item: ArrayLike<number>): number {
  return dot(ridge.weights, item) + ridge.constant;
}

/** Weighted sums that a least-squares fit is made from: of x xᵀ, x y, y², with x ending in a 1. */
class Moments {
  readonly #xx: Matrix;
  readonly #xy: Float64Array;
  #yy = 0;

  constructor(inputs: number) {
    this.#xx = matrix(inputs + 1, inputs + 1);
    this.#xy = new Float64Array(inputs + 1);
  }

  static sum(parts: readonly Moments[]): Moments {
    const total = new Moments(parts[0]!.#xy.length - 1);
    for (const part of parts) {
      addTo(total.#xx.data, part.#xx.data);
      addTo(total.#xy, part.#xy);
      total.#yy += part.#yy;
    }
    return total;
  }

  add(x: Float32Array, y: number, weight: number): void {
    const size = x.length + 1;
    for (let i = 0; i < size; i++) {
      const xi = weight * (i < x.length ? x[i]! : 1);
      this.#xy[i]! += xi * y;
      for (let j = 0; j <= i; j++) this.#xx.data[i * size + j]! += xi * (j < x.length ? x[j]! : 1);
    }
    this.#yy += weight * y * y;
  }

  /** The ridge of inputs at unit variance; the constant carries no penalty. */
  solve(penalty: number): Ridge {
    const size = this.#xy.length;
    const last = size - 1;
    const at = (i: number, j: number) => this.#xx.data[Math.max(i, j) * size + Math.min(i, j)]!;
    const total = at(last, last);
    const system = matrix(size, size);
    for (let i = 0; i < size; i++) for (let j = 0; j < size; j++) system.data[i * size + j] = at(i, j);
    for (let i = 0; i < last; i++) {
      const variance = at(i, i) / total - (at(last, i) / total) ** 2;
      system.data[i * (size + 1)]! += penalty * total * Math.max(variance, LEAST_VARIANCE);
    }
    const solution = solveCholesky(cholesky(system), this.#xy);
    return { weights: solution.slice(0, last), constant: solution[last]! };
  }

  /** Σ w (y − g(x))² of these judgements. */
  squaredError({ weights, constant }: Ridge): number {
    const size = this.#xy.length;
    const g = Float64Array.of(...weights, constant);
    let quadratic = 0;
    for (let i = 0; i < size; i++) {
      for (let j = 0; j <= i; j++) quadratic += (i === j ? 1 : 2) * g[i]! * g[j]! * this.#xx.data[i * size + j]!;
    }
    return this.#yy - 2 * dot(g, this.#xy) + quadratic;
  }
}

/** Of an input that is the same for all, such as the text metric where no image has a prompt: its weight is then 0. */
const LEAST_VARIANCE = 1e-8;

function addTo(total: Float64Array, part: Float64Array): void {
  for (let i = 0; i < total.length; i++) total[i]! += part[i]!;
}
