/** Pictures that a benchmark is given: read, encoded and split as `palate train-base` would. */

import { encodePictures, readPictureList } from '../../src/commands/simulation/pictureList.ts';
import { loadImageEncoder, SHIPPED_IMAGE_ENCODER } from '../../src/inference/encoding/index.ts';
import { InputTransform } from '../../src/training/fitting/inputTransform.ts';
import { type Matrix, takeRows } from '../../src/training/fitting/linearAlgebra.ts';
import { imagesOfPart, type Pictures, type Split, splitPictures } from '../../src/training/simulation/pictures.ts';

export interface BenchPictures {
  readonly pictures: Pictures;
  readonly split: Split;
  /** (pictures, image encoder's numbers) */
  readonly features: Matrix;
  /** (pictures, 256): the model's input, in which simulated tastes lie. */
  readonly z: Matrix;
}

/** Ends the process with 2 where no pictures are named. */
export async function loadPictures(
  { images, metadata }: { images?: string | undefined; metadata?: string | undefined },
  seed: number,
): Promise<BenchPictures> {
  if (!images || !metadata) {
    process.stderr.write('Name the pictures with --images DIR and their metadata with --metadata FILE.\n');
    process.exit(2);
  }
  const pictures = await readPictureList({ images, metadata, seed });
  const split = splitPictures(pictures, seed);
  const encoder = await loadImageEncoder(SHIPPED_IMAGE_ENCODER);
  const features = await encodePictures(encoder, images, pictures);
  await encoder.close();
  const trained = takeRows(features, imagesOfPart(pictures, split, 'train'));
  const z = InputTransform.fit(trained, { dimensions: 256, scale: 16 }).apply(features);
  return { pictures, split, features, z };
}
