/**
 * Simulated people who share a sense of quality: what one makes of a picture is their own taste plus so much of what
 * everybody makes of it, and noise. They judge pictures of a pool, each at their own rate of likes, and what others of
 * the same people made of the very picture is known where it is asked for. Whole people: a tenant's history, or tasks
 * of an evaluation. Knows no model and no scorer.
 */
import { PalateError } from '../../errors.ts';
import type { Random } from '../../random.ts';
import { dot, type Matrix, matrix, row } from '../fitting/linearAlgebra.ts';
import type { HistoryItem, Popularity, Task } from '../tasks.ts';
import { randomDirection } from './people.ts';

export interface QualityOptions {
  /** (images, dimensions): the input transform's vectors, leading components first. */
  readonly z: Matrix;
  /** What everybody likes: a direction of z (`drawQuality`). */
  readonly quality: Float64Array;
  /** q: the deviation of the shared part of an opinion beside 1 for the own taste; 0 shares nothing. */
  readonly weight: number;
}

export interface QualityTaskOptions {
  /** Pictures that a person judges, targets included, each of another cluster where there are enough. */
  readonly seen: number;
  readonly likedTargets: number;
  readonly dislikedTargets: number;
  /** Others whose judgement of each target is known; fewer where there are fewer people. */
  readonly raters: number;
}

/** People like between three and seven of ten pictures that they see. */
const LIKE_RATES = { least: 0.3, most: 0.7 };
/** Deviation of an opinion's noise beside 1 for the own taste. */
const NOISE = 0.7;

/** The sense of quality of everybody: a direction like those of tastes, and nobody's own. */
export function drawQuality(random: Random, dimensions: number): Float64Array {
  return randomDirection(random, dimensions);
}

export class QualityPeople {
  readonly #pool: readonly number[];
  readonly #clusterOf: (image: number) => number;
  readonly #place: ReadonlyMap<number, number>;
  /** (people, pool): 1 where the person likes the picture. */
  readonly #likes: Uint8Array;
  readonly count: number;

  /**
   * @param random of these people: the same generator makes the same ones
   * @param count how many people there are
   * @param pool numbers of the pictures that they can be shown
   * @param clusterOf what a picture was drawn with, such as its artist's number
   */
  constructor(
    random: Random,
    count: number,
    pool: readonly number[],
    clusterOf: (image: number) => number,
    { z, quality, weight }: QualityOptions,
  ) {
    this.count = count;
    this.#pool = pool;
    this.#clusterOf = clusterOf;
    this.#place = new Map(pool.map((image, i) => [image, i]));
    const pictures = matrix(pool.length, z.columns);
    for (const [i, image] of pool.entries()) row(pictures, i).set(row(z, image));
    const shared = standardised(pictures, quality);
    this.#likes = new Uint8Array(count * pool.length);
    for (let person = 0; person < count; person++) {
      const draw = random.split(person);
      const taste = standardised(pictures, randomDirection(draw, z.columns));
      const opinions = taste.map((own, i) => own + weight * shared[i]! + NOISE * draw.normal());
      const rate = draw.between(LIKE_RATES.least, LIKE_RATES.most);
      const bar = opinions.toSorted()[Math.floor((1 - rate) * opinions.length)]!;
      for (const [i, opinion] of opinions.entries()) this.#likes[person * pool.length + i] = opinion >= bar ? 1 : 0;
    }
  }

  likes(person: number, image: number): boolean {
    const place = this.#place.get(image);
    if (place === undefined) throw new PalateError('INVALID', `Image ${image} is not in the pool of these people.`);
    return this.#likes[person * this.#pool.length + place] === 1;
  }

  /** What a person makes of `count` pictures of the pool (all of it, if it is smaller), newest first. */
  judgements(random: Random, person: number, count: number): HistoryItem[] {
    return this.#show(random, count).map((image) => ({
      image,
      sentiment: this.likes(person, image) ? 'LIKE' : 'DISLIKE',
      weight: 1,
    }));
  }

  /**
   * A person's judgements with some held out as targets, and what others made of these.
   * Throws INVALID where the person has too few likes or dislikes for the targets.
   */
  task(random: Random, person: number, options: QualityTaskOptions): Task {
    const judged = this.judgements(random, person, options.seen);
    const held = (sentiment: HistoryItem['sentiment'], count: number): number[] => {
      const images = judged.filter((item) => item.sentiment === sentiment).map(({ image }) => image);
      if (images.length < count) {
        throw new PalateError(
          'INVALID',
          `Person ${person} has ${images.length} of ${judged.length} judgements that are a ${sentiment}, ` +
            `fewer than the ${count} targets: show more pictures.`,
        );
      }
      return images.slice(0, count);
    };
    const liked = held('LIKE', options.likedTargets);
    const disliked = held('DISLIKE', options.dislikedTargets);
    const targets = [...liked, ...disliked];
    return {
      history: judged.filter(({ image }) => !targets.includes(image)),
      liked,
      disliked,
      clusters: targets.map(this.#clusterOf),
      popularity: targets.map((image) => this.popularity(random.split(image), person, image, options.raters)),
    };
  }

  /** What `raters` others, drawn by lot, made of a picture. */
  popularity(random: Random, person: number, image: number, raters: number): Popularity {
    const others = Math.min(raters, this.count - 1);
    const drawn = new Set<number>();
    while (drawn.size < others) {
      const other = random.int(this.count);
      if (other !== person) drawn.add(other);
    }
    const likes = [...drawn].filter((other) => this.likes(other, image)).length;
    return { sum: 2 * likes - others, count: others };
  }

  /** Pictures in random order: one of each cluster first, then the others. */
  #show(random: Random, count: number): number[] {
    const met = new Set<number>();
    const first: number[] = [];
    const later: number[] = [];
    for (const image of random.shuffle(this.#pool)) {
      const cluster = this.#clusterOf(image);
      (met.has(cluster) ? later : first).push(image);
      met.add(cluster);
    }
    return [...first, ...later].slice(0, count);
  }
}

/** ⟨direction, z⟩ of every row, less its mean, over its deviation. */
function standardised(pictures: Matrix, direction: Float64Array): Float64Array {
  const values = Float64Array.from({ length: pictures.rows }, (_, i) => dot(direction, row(pictures, i)));
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
  return values.map((value) => (value - mean) / (deviation || 1));
}
