/**
 * Item vectors of images: what a model takes from a picture and its prompt, computed once and kept as half floats
 * (docs/model.md). Their image metric part depends on the pixels alone, so it is kept in memory by image for good.
 */
import type { Database } from '../database/client.ts';
import { NeighbourIndex } from '../inference/neighbours.ts';
import type { ItemVector } from '../inference/preferenceModel.ts';
import type { SessionHost } from '../inference/sessionHost.ts';
import { activeModel, type ModelPlatform, type ServingModel } from './models.ts';
import { TenantMemory } from './tenantMemory.ts';

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

/** An image that can be scored. */
export interface ReadyImage {
  id: string;
  ownerId: string | null;
}

/** The READY images of one collection or of all, newest first. Index: images_tenant_id_status_id_idx. */
export function readyImages(database: Database, collection: string | null = null): Promise<ReadyImage[]> {
  return database.image.findMany({
    where: { status: 'READY', ...(collection === null ? {} : { collection }) },
    select: { id: true, ownerId: true },
    orderBy: { id: 'desc' },
  });
}

/**
 * The images nearest to each of these in the model's metric of pictures, nearest first, the image itself left out.
 * Pictures that have an owner are near to that owner's pictures only. One without an item vector has none near.
 */
export async function similarImages(
  platform: ModelPlatform & { imageMetrics: ImageMetrics },
  requests: readonly { imageId: string; ownerId: string | null; first: number }[],
): Promise<string[][]> {
  const model = await activeModel(platform);
  const ready = await readyImages(platform.database);
  const ids = ready.map(({ id }) => id);
  const index = await platform.imageMetrics.holding(platform.database, model, ids);
  const owners = new Map(ready.map((image) => [image.id, image.ownerId]));
  return Promise.all(
    requests.map(async ({ imageId, ownerId, first }) => {
      const metric = owners.has(imageId) ? index.get(imageId)?.slice() : undefined;
      if (!metric) return [];
      const isSeen = (id: string) => {
        const owner = owners.get(id);
        return owner === null || (owner !== undefined && owner === ownerId);
      };
      const [nearest] = await index.nearest([metric], first + 1, isSeen);
      return nearest!
        .filter(({ id }) => id !== imageId)
        .slice(0, first)
        .map(({ id }) => id);
    }),
  );
}

/** Image metrics of the tenants used lately, one index a tenant and tower, filled as images are asked for. */
export class ImageMetrics extends TenantMemory<NeighbourIndex> {
  readonly #searches: SessionHost | undefined;

  /**
   * @param maxBytes memory for all indexes together; the least recently used is dropped first.
   * @param searches whose thread searches them; the caller's own, if left out
   */
  constructor(maxBytes: number, searches?: SessionHost) {
    super(maxBytes, (index) => index.byteLength);
    this.#searches = searches;
  }

  /** The tenant's index, holding at least those of these images that have an item vector. */
  holding(
    database: Database,
    { row: { tower }, network }: ServingModel,
    imageIds: readonly string[],
  ): Promise<NeighbourIndex> {
    const make = () => new NeighbourIndex(network.manifest.architecture.imageMetric, { host: this.#searches });
    return this.filled(tower, make, async (index) => {
      const missing = imageIds.filter((id) => !index.has(id));
      const vectors = await readItemVectors(database, tower, missing);
      for (const [id, vector] of vectors) if (!this.isErased(id)) index.set(id, network.imageMetric(vector));
    });
  }

  /** Forgets images for good: none of them is taken in again. */
  forget(tenantId: string, imageIds: readonly string[]): void {
    this.dropFrom(tenantId, imageIds, (index) => {
      for (const id of imageIds) index.delete(id);
    });
  }

  *heldIds(): Generator<string> {
    for (const index of this.entries()) yield* index.ids();
  }
}
