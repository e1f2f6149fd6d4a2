/**
 * A list of pictures with artists and tags, as training and measuring on simulated people read it: the list, the files
 * it names and their features. What would end a long command late is found before it begins. Errors name the option.
 */
import { access, constants, mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PalateError } from '../../errors.ts';
import type { ImageEncoder } from '../../inference/encoding/imageEncoder.ts';
import { type Matrix, matrix } from '../../training/fitting/linearAlgebra.ts';
import { type Pictures, readPictures, splitPictures } from '../../training/simulation/pictures.ts';
import { showProgress } from '../progress.ts';

export interface PictureListOptions {
  readonly images: string;
  readonly metadata: string;
  readonly seed: number;
}

/** A person judges 16 and 16 and has 3 and 3 targets, each by another artist. */
const ARTISTS_OF_A_PERSON = 38;
const ENCODED_AT_ONCE = 16;

/** Reads --metadata. Throws BAD_USER_INPUT where it is no list, has too few artists, or --images lacks a file of it. */
export async function readPictureList({ images, metadata, seed }: PictureListOptions): Promise<Pictures> {
  const pictures = readPictures(await readMetadata(metadata));
  for (const [part, artists] of Object.entries(splitPictures(pictures, seed).artists)) {
    if (artists.length >= ARTISTS_OF_A_PERSON) continue;
    throw new PalateError(
      'BAD_USER_INPUT',
      `--metadata ${metadata} names ${pictures.artists.length} artists, of which ${artists.length} fall to ${part}; ` +
        `a simulated person needs ${ARTISTS_OF_A_PERSON} there. Some 400 artists are enough.`,
    );
  }
  for (const file of pictures.files) {
    await access(join(images, file), constants.R_OK).catch((cause) => {
      throw cannotRead(join(images, file), cause);
    });
  }
  return pictures;
}

/** Makes the folder --out. Throws BAD_USER_INPUT where it cannot be written to. */
export async function checkOutput(out: string): Promise<void> {
  try {
    await mkdir(out, { recursive: true });
    await access(out, constants.W_OK);
  } catch (cause) {
    throw new PalateError('BAD_USER_INPUT', `--out ${out} cannot be written to: ${(cause as Error).message}`, {
      cause,
    });
  }
}

/** (pictures, the encoder's numbers), with a progress bar. */
export function encodePictures(encoder: ImageEncoder, images: string, { files }: Pictures): Promise<Matrix> {
  return encodeAll('Encoding pictures', files, async (some) =>
    encoder.encode(await Promise.all(some.map((file) => readPicture(images, file)))),
  );
}

/** (items, numbers), with a progress bar. */
export async function encodeAll(
  label: string,
  items: readonly string[],
  encode: (items: readonly string[]) => Promise<Float32Array[]>,
): Promise<Matrix> {
  const progress = showProgress(label, items.length);
  const embeddings: Float32Array[] = [];
  for (let start = 0; start < items.length; start += ENCODED_AT_ONCE) {
    const some = items.slice(start, start + ENCODED_AT_ONCE);
    embeddings.push(...(await encode(some)));
    progress.advance(some.length);
  }
  progress.finish();
  const all = matrix(embeddings.length, embeddings[0]?.length ?? 0);
  for (const [i, embedding] of embeddings.entries()) all.data.set(embedding, i * all.columns);
  return all;
}

async function readMetadata(file: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(file, 'utf8'));
  } catch (cause) {
    throw new PalateError('BAD_USER_INPUT', `--metadata ${file} cannot be read: ${(cause as Error).message}`, {
      cause,
    });
  }
}

async function readPicture(directory: string, file: string): Promise<Buffer> {
  try {
    return await readFile(join(directory, file));
  } catch (cause) {
    throw cannotRead(join(directory, file), cause as Error);
  }
}

function cannotRead(path: string, cause: Error): PalateError {
  return new PalateError('BAD_USER_INPUT', `--images: ${path} is in the list and cannot be read: ${cause.message}`, {
    cause,
  });
}
