/**
 * The pictures that simulated people judge: whose style each is in, what tags its artist carries, and the split of
 * artists and tags into training, validation and test. Knows neither pixels nor features: picture i is row i of
 * whatever feature matrix goes with the metadata.
 */
import { z } from 'zod';
import { PalateError } from '../../errors.ts';
import { hashFraction, Random } from '../../random.ts';

export interface Artist {
  readonly name: string;
  /** Numbers of the artist's pictures. */
  readonly images: readonly number[];
  readonly tags: readonly string[];
}

export interface Pictures {
  /** Path of each picture, as the metadata names it. */
  readonly files: readonly string[];
  readonly artists: readonly Artist[];
  /** Number of each picture's artist. */
  readonly artistOf: Int32Array;
}

const metadataRows = z.array(z.object({ file: z.string(), artist: z.string(), categories: z.array(z.string()) }));

/** Reads rows of `{file, artist, categories}`, one a picture. Throws BAD_USER_INPUT, naming the first row that is not one. */
export function readPictures(metadata: unknown): Pictures {
  const parsed = metadataRows.safeParse(metadata);
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    throw new PalateError(
      'BAD_USER_INPUT',
      `The metadata is not a list of {file, artist, categories}: at ${issue.path.join('.') || 'its top'}, ${issue.message}.`,
      { cause: parsed.error },
    );
  }
  const numberOf = new Map<string, number>();
  const artists: { name: string; images: number[]; tags: Set<string> }[] = [];
  const artistOf = Int32Array.from(parsed.data, (picture, image) => {
    let number = numberOf.get(picture.artist);
    if (number === undefined) {
      number = artists.length;
      numberOf.set(picture.artist, number);
      artists.push({ name: picture.artist, images: [], tags: new Set() });
    }
    artists[number]!.images.push(image);
    for (const tag of picture.categories) artists[number]!.tags.add(tag);
    return number;
  });
  return {
    files: parsed.data.map((picture) => picture.file),
    artists: artists.map(({ name, images, tags }) => ({ name, images, tags: [...tags] })),
    artistOf,
  };
}

export type Part = 'train' | 'validation' | 'test';

export interface Split {
  /** Numbers of artists. */
  readonly artists: Readonly<Record<Part, readonly number[]>>;
  /**
   * Tags that people of a part may like or dislike. Those of test are never used before it; validation shares those
   * of training, since a third part would have next to none: it holds artists out, not tags.
   */
  readonly tags: Readonly<Record<Part, readonly string[]>>;
}

/** Test is a quarter: a person judges up to 38 artists, and fewer would make all people of the test alike. */
const ARTIST_SHARES = { train: 0.64, validation: 0.12 } as const;

/**
 * Tags are dealt in eights, most frequent first, each eight in an order of its own: twenty of two hundred tags
 * carry most judgements, and an independent draw could leave a part without any of them.
 */
const TAG_DEAL = ['train', 'train', 'train', 'train', 'train', 'test', 'test', 'test'] as const;
const TEST_TAGS = TAG_DEAL.filter((part) => part === 'test').length;

/** Folds of a seed whose tests share no artist; 4 % of the artists are in none of them. */
export const FOLDS = 4;

/**
 * The split of a seed. Artists fall by the hash of their name, so more pictures move nobody.
 * @param fold 0 to FOLDS − 1: another split of the same seed, with other artists in its test and, as far as they go
 *   round, other tags
 */
export function splitPictures(pictures: Pictures, seed: number | string, fold = 0): Split {
  const artists: Record<Part, number[]> = { train: [], validation: [], test: [] };
  const frequency = new Map<string, number>();
  const testShare = 1 - ARTIST_SHARES.train - ARTIST_SHARES.validation;
  pictures.artists.forEach((artist, number) => {
    const fraction = (hashFraction(`${seed}/artist/${artist.name}`) + fold * testShare) % 1;
    const { train, validation } = ARTIST_SHARES;
    artists[fraction < train ? 'train' : fraction < train + validation ? 'validation' : 'test'].push(number);
    for (const tag of artist.tags) frequency.set(tag, (frequency.get(tag) ?? 0) + 1);
  });
  const tags = { train: [] as string[], test: [] as string[] };
  const ordered = [...frequency.keys()].sort((a, b) => frequency.get(b)! - frequency.get(a)! || (a < b ? -1 : 1));
  const random = new Random(seed).split('tags');
  for (let start = 0; start < ordered.length; start += TAG_DEAL.length) {
    const places = random.shuffle(TAG_DEAL.map((_, place) => place));
    ordered.slice(start, start + TAG_DEAL.length).forEach((tag, i) => {
      tags[TAG_DEAL[(places[i]! + fold * TEST_TAGS) % TAG_DEAL.length]!].push(tag);
    });
  }
  return { artists, tags: { ...tags, validation: tags.train } };
}

/** Numbers of all pictures of a part's artists. */
export function imagesOfPart(pictures: Pictures, split: Split, part: Part): number[] {
  return split.artists[part].flatMap((artist) => pictures.artists[artist]!.images);
}
