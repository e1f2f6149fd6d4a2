/**
 * Simulated people with tastes over real pictures: what the base model is trained on and measured with. A task of a
 * person holds each artist at most once, judgements and targets together, so that no style is met twice; only people
 * whose taste is the artists themselves meet an artist again, in another picture. Knows no model and no scorer.
 */
import { PalateError } from '../../errors.ts';
import type { Random } from '../../random.ts';
import { dot, type Matrix, matrix, row } from '../fitting/linearAlgebra.ts';
import type { HistoryItem, Task } from '../tasks.ts';
import type { Part, Pictures, Split } from './pictures.ts';

/**
 * - `tags`: likes artists with one of some tags, dislikes those with one of others; who has both is not judged
 * - `artists`: likes some artists and dislikes others, in whatever picture
 * - `direction`: likes what lies far in one direction of embedding space, dislikes what lies far the other way
 * - `mixture`: likes any of several directions, and may dislike several
 * - `group`: a direction near that of a planted group
 */
export type Kind = 'tags' | 'artists' | 'direction' | 'mixture' | 'group';

export interface TaskShape {
  /** Judgements in the history, 0 or more each. */
  readonly likes: number;
  readonly dislikes: number;
  readonly likedTargets: number;
  readonly dislikedTargets: number;
  /** Share of like–dislike pairs of the history whose two judgements are exchanged: 0 by default. */
  readonly flipRate?: number;
}

export interface SimulatedPeopleOptions {
  readonly pictures: Pictures;
  readonly split: Split;
  /** (images, dimensions): the input transform's vectors, leading components first. */
  readonly z: Matrix;
  /** (groups, dimensions): directions of the planted groups (`plantGroups`). */
  readonly groups?: Matrix;
}

/** Component i of a taste shrinks by exp(−i / 12): tastes turn on what varies most between pictures. */
const SPECTRUM_DECAY = 12;
/** Noise on a taste's judgement, in deviations of the judgement itself. */
const TASTE_NOISE = 0.7;
/** How far a person lies from their group, in units of the group's own spread. */
const GROUP_SPREAD = 0.6;
/** Artists that a person of embedding space looks at, at least; they like the best 3/8 and dislike the worst 3/8. */
const ARTISTS_SEEN = 64;
const JUDGED_SHARE = 3 / 8;
/** Tags with fewer artists in a part say too little there. */
const FEWEST_ARTISTS_OF_TAG = 3;
/** Tags each side starts with, and artists a set has, at most. */
const MOST_FIRST_TAGS = 3;
const MOST_ARTISTS_OF_SET = 12;
const MOST_ATTEMPTS = 100;

/** Pictures that a person would like and dislike, in the order in which they are met. */
interface Opinions {
  readonly liked: Side;
  readonly disliked: Side;
  readonly group?: number;
}
interface Side {
  readonly targets: readonly number[];
  readonly judged: readonly number[];
}

export class SimulatedPeople {
  readonly #options: SimulatedPeopleOptions;
  readonly #artistsOfTag: Record<Part, ReadonlyMap<string, readonly number[]>>;

  constructor(options: SimulatedPeopleOptions) {
    this.#options = options;
    const index = (part: Part) => artistsOfTags(options.pictures, options.split, part);
    this.#artistsOfTag = { train: index('train'), validation: index('validation'), test: index('test') };
  }

  /**
   * One task of a new person among a part's artists (and tags).
   * Throws INVALID when the part has too few artists for the shape.
   */
  sampleTask(random: Random, kind: Kind, part: Part, shape: TaskShape): Task {
    const opinions = this.#opinions(random, kind, part, shape);
    const history = mergeHistory(random, opinions, shape);
    const [liked, disliked] = [opinions.liked.targets, opinions.disliked.targets];
    const clusters = [...liked, ...disliked].map((image) => this.#options.pictures.artistOf[image]!);
    const task = { history, liked, disliked, clusters };
    return opinions.group === undefined ? task : { ...task, group: opinions.group };
  }

  #opinions(random: Random, kind: Kind, part: Part, shape: TaskShape): Opinions {
    switch (kind) {
      case 'tags':
        return this.#byTags(random, part, shape);
      case 'artists':
        return this.#byArtists(random, part, shape);
      case 'direction': {
        const taste = randomDirection(random, this.#options.z.columns);
        return this.#byTaste(random, part, shape, (z) => dot(taste, z));
      }
      case 'mixture':
        return this.#byTaste(random, part, shape, mixtureTaste(random, this.#options.z.columns));
      case 'group': {
        const groups = this.#options.groups;
        if (!groups) throw new PalateError('INVALID', 'People of groups need planted groups: give `groups`.');
        const group = random.int(groups.rows);
        const own = randomDirection(random, groups.columns);
        const taste = row(groups, group).map((value, i) => value + GROUP_SPREAD * own[i]!);
        return { ...this.#byTaste(random, part, shape, (z) => dot(taste, z)), group };
      }
    }
  }

  #byTags(random: Random, part: Part, shape: TaskShape): Opinions {
    const artistsOfTag = this.#artistsOfTag[part];
    const tags = [...artistsOfTag.keys()];
    const likes = shape.likes + shape.likedTargets;
    const dislikes = shape.dislikes + shape.dislikedTargets;
    for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
      const left = random.shuffle(tags);
      const likedTags = left.splice(0, 1 + random.int(MOST_FIRST_TAGS));
      const dislikedTags = left.splice(0, 1 + random.int(MOST_FIRST_TAGS));
      for (;;) {
        const withLiked = new Set(likedTags.flatMap((tag) => artistsOfTag.get(tag)!));
        const withDisliked = new Set(dislikedTags.flatMap((tag) => artistsOfTag.get(tag)!));
        const liked = [...withLiked].filter((artist) => !withDisliked.has(artist));
        const disliked = [...withDisliked].filter((artist) => !withLiked.has(artist));
        if (liked.length >= likes && disliked.length >= dislikes) {
          return {
            liked: this.#side(random, random.shuffle(liked), shape.likedTargets),
            disliked: this.#side(random, random.shuffle(disliked), shape.dislikedTargets),
          };
        }
        const tag = left.pop();
        if (tag === undefined) break;
        (liked.length < likes ? likedTags : dislikedTags).push(tag);
      }
    }
    throw tooFewArtists(part, 'tags', likes, dislikes);
  }

  /** Targets are the last picture of their artist, judgements go round the artists' other pictures. */
  #byArtists(random: Random, part: Part, shape: TaskShape): Opinions {
    const { pictures, split } = this.#options;
    const artists = split.artists[part].filter((artist) => pictures.artists[artist]!.images.length > 1);
    const rounds = Math.min(...artists.map((artist) => pictures.artists[artist]!.images.length)) - 1;
    const judged = Math.max(shape.likes, shape.dislikes);
    const fewest = Math.max(2, shape.likedTargets, shape.dislikedTargets, Math.ceil(judged / rounds));
    const size = fewest + random.int(Math.max(1, MOST_ARTISTS_OF_SET - fewest + 1));
    if (2 * size > artists.length) throw tooFewArtists(part, 'artists', size, size);
    const chosen = random.choose(artists, 2 * size);
    const side = (set: readonly number[], targets: number): Side => {
      const piles = set.map((artist) => random.shuffle(pictures.artists[artist]!.images));
      return {
        targets: random.choose(piles, targets).map((pile) => pile[rounds]!),
        judged: Array.from({ length: rounds }, (_, round) => random.shuffle(piles).map((pile) => pile[round]!)).flat(),
      };
    };
    return {
      liked: side(chosen.slice(0, size), shape.likedTargets),
      disliked: side(chosen.slice(size), shape.dislikedTargets),
    };
  }

  /** The best and the worst of the artists seen, one picture each, by a taste with noise. */
  #byTaste(random: Random, part: Part, shape: TaskShape, taste: (z: Float64Array) => number): Opinions {
    const { split, z } = this.#options;
    const artists = split.artists[part];
    const likes = shape.likes + shape.likedTargets;
    const dislikes = shape.dislikes + shape.dislikedTargets;
    if (likes + dislikes > artists.length) throw tooFewArtists(part, 'embedding', likes, dislikes);
    const wanted = Math.max(ARTISTS_SEEN, Math.ceil(Math.max(likes, dislikes) / JUDGED_SHARE));
    const images = this.#pictureOfEach(random, random.choose(artists, Math.min(wanted, artists.length)));
    const values = images.map((image) => taste(row(z, image)));
    const deviation = standardDeviation(values);
    const noisy = values.map((value) => value + TASTE_NOISE * deviation * random.normal());
    const order = images.map((_, i) => i).sort((i, j) => noisy[j]! - noisy[i]!);
    const share = Math.floor(JUDGED_SHARE * order.length);
    const best = order.slice(0, Math.max(likes, Math.min(share, order.length - dislikes))).map((i) => images[i]!);
    const worst = order.slice(-Math.max(dislikes, Math.min(share, order.length - likes))).map((i) => images[i]!);
    const side = (side: readonly number[], targets: number): Side => {
      const met = random.shuffle(side);
      return { targets: met.slice(0, targets), judged: met.slice(targets) };
    };
    return { liked: side(best, shape.likedTargets), disliked: side(worst, shape.dislikedTargets) };
  }

  #side(random: Random, artists: readonly number[], targets: number): Side {
    const images = this.#pictureOfEach(random, artists);
    return { targets: images.slice(0, targets), judged: images.slice(targets) };
  }

  #pictureOfEach(random: Random, artists: readonly number[]): number[] {
    return artists.map((artist) => random.pick(this.#options.pictures.artists[artist]!.images));
  }
}

/** Directions of `count` groups of taste in a space of `dimensions`. */
export function plantGroups(random: Random, count: number, dimensions: number): Matrix {
  const groups = matrix(count, dimensions);
  for (let g = 0; g < count; g++) row(groups, g).set(randomDirection(random, dimensions));
  return groups;
}

/**
 * Numbers of likes and dislikes for a training task, from none to `longest` of each: one in sixteen has none, one in
 * eight one side only, and half of the others as many of one as of the other. Short ones are as frequent as long ones
 * (log-uniform), since every person has been new once.
 */
export function sampleHistoryCounts(random: Random, longest: number): { likes: number; dislikes: number } {
  const count = () => Math.min(longest, Math.floor(Math.exp(random.uniform() * Math.log(longest + 1))));
  const kind = random.int(16);
  if (kind === 0) return { likes: 0, dislikes: 0 };
  if (kind === 1) return { likes: count(), dislikes: 0 };
  if (kind === 2) return { likes: 0, dislikes: count() };
  const likes = count();
  return { likes, dislikes: kind % 2 === 0 ? likes : count() };
}

/** Likes and dislikes in one random order, each side's own order kept, some pairs exchanged. */
function mergeHistory(random: Random, { liked, disliked }: Opinions, shape: TaskShape): HistoryItem[] {
  const likes = liked.judged.slice(0, shape.likes);
  const dislikes = disliked.judged.slice(0, shape.dislikes);
  for (let i = 0; i < Math.min(likes.length, dislikes.length); i++) {
    if (random.uniform() < (shape.flipRate ?? 0)) [likes[i], dislikes[i]] = [dislikes[i]!, likes[i]!];
  }
  const history: HistoryItem[] = [];
  for (let i = 0, j = 0; i + j < likes.length + dislikes.length; ) {
    const like = random.int(likes.length - i + dislikes.length - j) < likes.length - i;
    const image = like ? likes[i++]! : dislikes[j++]!;
    history.push({ image, sentiment: like ? 'LIKE' : 'DISLIKE', weight: 1 });
  }
  return history;
}

function artistsOfTags(pictures: Pictures, split: Split, part: Part): ReadonlyMap<string, readonly number[]> {
  const entries = split.tags[part].map(
    (tag) => [tag, split.artists[part].filter((artist) => pictures.artists[artist]!.tags.includes(tag))] as const,
  );
  return new Map(entries.filter(([, artists]) => artists.length >= FEWEST_ARTISTS_OF_TAG));
}

/** A direction of taste: normal numbers that shrink with the component. */
export function randomDirection(random: Random, dimensions: number): Float64Array {
  return Float64Array.from({ length: dimensions }, (_, i) => random.normal() * Math.exp(-i / SPECTRUM_DECAY));
}

/** A soft maximum over liked directions less one over disliked directions. */
function mixtureTaste(random: Random, dimensions: number): (z: Float64Array) => number {
  const directions = (count: number) =>
    Array.from({ length: count }, () => {
      const direction = randomDirection(random, dimensions);
      const length = Math.sqrt(dot(direction, direction));
      return direction.map((value) => value / length);
    });
  const liked = directions(2 + random.int(3));
  const disliked = directions(random.int(4));
  const softMaximum = (z: Float64Array, of: readonly Float64Array[]) =>
    of.length === 0 ? 0 : Math.log(of.reduce((sum, direction) => sum + Math.exp(dot(direction, z)), 0));
  return (z) => softMaximum(z, liked) - softMaximum(z, disliked);
}

function standardDeviation(values: readonly number[]): number {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
}

function tooFewArtists(part: Part, kind: string, likes: number, dislikes: number): PalateError {
  return new PalateError(
    'INVALID',
    `The ${part} part has too few artists for people of ${kind} with ${likes} likes and ${dislikes} dislikes: ` +
      'ask for shorter histories or give more pictures.',
  );
}
