/**
 * Batches drawn from a tenant's feedback: people, of each some judgements to foretell and some others as the history.
 * Each step's batch depends on the seed and the step alone, so that a training that goes on draws what it would have
 * drawn. Reads the snapshot as it goes: a batch is all that is in memory.
 */

import { PalateError } from '../../errors.ts';
import { fromHalfFloats } from '../../halfFloats.ts';
import type { Tensors } from '../../inference/session.ts';
import { type Architecture, itemVectorSize } from '../../model/architecture.ts';
import type { BatchShape } from '../../model/trainingGraph.ts';
import type { Random } from '../../random.ts';
import { placesOf } from '../batches.ts';
import { expected } from '../fitting/ridge.ts';
import { sampleHistoryCounts } from '../simulation/people.ts';
import { hasBoth, isKeptImage } from './heldOut.ts';
import type { PersonJudgement, PersonJudgements } from './people.ts';
import type { PopulationRidge } from './prior.ts';
import type { Snapshot } from './snapshot.ts';
import { thin } from './thinning.ts';

/** A person counts by their pairs of a like and a dislike, but no more than this: nobody outweighs the others. */
const MOST_SHARES = 16;
/** People drawn for one place of a batch at most, until one has both sides left. */
const MOST_ATTEMPTS = 1_000;

export interface FeedbackBatcherOptions {
  readonly snapshot: Snapshot;
  readonly architecture: Architecture;
  readonly shape: BatchShape;
  readonly ridge: PopulationRidge;
  /** K of the prior. */
  readonly pseudoCount: number;
  readonly random: Random;
}

export class FeedbackBatcher {
  readonly #options: FeedbackBatcherOptions;
  /** People who can be learned from, and their shares, summed up. */
  readonly #people: Uint32Array;
  readonly #shares: Float64Array;

  constructor(options: FeedbackBatcherOptions) {
    this.#options = options;
    const able = [...options.snapshot.people.entries()].filter(([, person]) => canLearnFrom(person));
    this.#people = Uint32Array.from(able, ([i]) => i);
    let sum = 0;
    this.#shares = Float64Array.from(able, ([, { likes, dislikes }]) => {
      sum += Math.min(MOST_SHARES, likes, dislikes);
      return sum;
    });
  }

  /** The inputs of the training graph over item vectors, for a step from 1. */
  feeds(step: number): Tensors {
    const { architecture, shape } = this.#options;
    const { users, judgements, pairs } = shape;
    const random = this.#options.random.split(step);
    const size = itemVectorSize(architecture);
    const rows = judgements + 2 * pairs;
    const items = new Float32Array(users * rows * size);
    const judged = new Float32Array(users * judgements * 2);
    const popularity = new Float32Array(users * 2 * pairs * 2);
    const pairWeights = new Float32Array(users * pairs * 2);
    for (let u = 0; u < users; u++) {
      const task = drawTask(this.#draw(random), shape, random);
      for (const [place, i] of placesOf(task.history, architecture.history, random)) {
        const { image, sentiment, weight } = task.history[i]!;
        items.set(this.#item(image), (u * rows + place) * size);
        judged[2 * (u * judgements + place) + (sentiment === 'LIKE' ? 0 : 1)] = weight;
      }
      for (const [t, target] of [...task.liked, ...task.disliked].entries()) {
        const item = this.#item(target.image);
        items.set(item, (u * rows + judgements + t) * size);
        popularity.set(this.#popularity(target, item, random), (u * 2 * pairs + t) * 2);
      }
      for (let pair = 0; pair < pairs; pair++) {
        const weight = Math.sqrt(task.liked[pair]!.weight * task.disliked[pair]!.weight);
        pairWeights.fill(weight, (u * pairs + pair) * 2, (u * pairs + pair + 1) * 2);
      }
    }
    const float = (data: Float32Array, ...dims: number[]) => ({ dtype: 'float32' as const, dims, data });
    return {
      items: float(items, users, rows, size),
      judged: float(judged, users, judgements, 2),
      popularity: float(popularity, users, 2 * pairs, 2),
      pairWeights: float(pairWeights, users, pairs, 2),
    };
  }

  /** What a person made of images that training may see; somebody who both liked and disliked one of them. */
  #draw(random: Random): PersonJudgements {
    const { snapshot } = this.#options;
    for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
      const judgements = snapshot
        .judgementsOf(this.#drawPerson(random))
        .filter(({ image }) => !isKeptImage(snapshot, image));
      if (hasBoth(judgements)) return judgements;
    }
    throw new PalateError('INVALID', 'Hardly anybody liked one and disliked another of the images to learn from.');
  }

  #drawPerson(random: Random): number {
    const at = random.uniform() * this.#shares.at(-1)!;
    let [low, high] = [0, this.#shares.length - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#shares[middle]! > at) high = middle;
      else low = middle + 1;
    }
    return this.#people[low]!;
  }

  #item(image: number): Float32Array {
    return fromHalfFloats(this.#options.snapshot.itemVector(image));
  }

  /** Σ r and how many of some others, the first moved by what judgements of the image did to the ridge: the prior is then the one fitted without them. */
  #popularity({ image, popularity }: PersonJudgement, item: Float32Array, random: Random): [number, number] {
    const { ridge, pseudoCount } = this.#options;
    const known = expected(ridge, item) - expected(ridge.without(image), item);
    const { sum, count } = thin(popularity, random);
    return [sum - pseudoCount * known, count];
  }
}

/** A person of the training part with a like and a dislike. */
export const canLearnFrom = ({ part, likes, dislikes }: Snapshot['people'][number]): boolean =>
  part === 'train' && likes > 0 && dislikes > 0;

interface TrainingTask {
  readonly history: PersonJudgements;
  /** `pairs` of each; one that is drawn again stands again. */
  readonly liked: PersonJudgements;
  readonly disliked: PersonJudgements;
}

function drawTask(judgements: PersonJudgements, { judgements: rows, pairs }: BatchShape, random: Random): TrainingTask {
  const sides = (['LIKE', 'DISLIKE'] as const).map((side) =>
    random.shuffle(judgements.filter(({ sentiment }) => sentiment === side)),
  ) as [PersonJudgement[], PersonJudgement[]];
  const targets = sides.map((side) => Array.from({ length: pairs }, (_, i) => side[i % targetCount(side, pairs)]!));
  const counts = sampleHistoryCounts(random, rows / 2);
  const rest = sides.map((side, i) =>
    side.slice(targetCount(side, pairs)).slice(0, i === 0 ? counts.likes : counts.dislikes),
  );
  return { history: random.shuffle(rest.flat()), liked: targets[0]!, disliked: targets[1]! };
}

/** Of a short side at most half are foretold, so that something is left to foretell them from. */
const targetCount = (side: readonly unknown[], pairs: number): number =>
  Math.max(1, Math.min(pairs, Math.floor(side.length / 2)));
