/**
 * Item vectors of images: what a model takes from a picture and its prompt, computed once and kept as half floats
 * (docs/model.md).
 */
import type { Database } from '../database/client.ts';
import type { ItemVector } from '../inference/preferenceModel.ts';

/** Vectors read from the database at a time: 5 MB. */
const READ_AT_ONCE = 10_000;

/** Half floats, little-endian, as the database keeps them. */
export function toItemVector(bytes: Uint8Array): ItemVector {
  return new Uint16Array(Uint8Array.from(bytes).buffer); // copied: a row's bytes may begin at an odd address
}

/** The other way: a copy of its own, as rows are written. */
export const toBytes = (halves: Uint16Array): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(new Uint8Array(halves.buffer, halves.byteOffset, halves.byteLength));

/** Item vectors of these images in one tower, by image id; those that have none are left out. */
export async function readItemVectors(
  database: Database,
  tower: string,
  imageIds: readonly string[],
): Promise<Map<string, ItemVector>> {
  const vectors = new Map<string, ItemVector>();
  for (let start = 0; start < imageIds.length; start += READ_AT_ONCE) {
    const some = imageIds.slice(start, start + READ_AT_ONCE);
    const rows = await database.itemVector.findMany({
      where: { tower, imageId: { in: some } },
      select: { imageId: true, vector: true },
    });
    for (const { imageId, vector } of rows) vectors.set(imageId, toItemVector(vector));
  }
  return vectors;
}
