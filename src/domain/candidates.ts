/**
 * Images as they are when somebody asks for their scores: whether they can be scored, whose they are, and their item
 * vectors. Vectors are kept in memory with the time at which each was written, and every read has the database say what
 * is no longer so: what most requests ask for is in memory, and nothing stale is used, on any replica.
 */
import { LRUCache } from 'lru-cache';
import { currentTenant, type Database } from '../database/client.ts';
import { SharedReads } from '../database/sharedReads.ts';
import type { ItemVector } from '../inference/preferenceModel.ts';
import { ErasedIds } from './erasedIds.ts';
import { toItemVector } from './itemVectors.ts';

export interface Candidate {
  readonly ownerId: string | null;
  readonly status: 'PENDING' | 'READY' | 'FAILED';
  readonly statusReason: string | null;
  /** In the tower that was asked for, where there is one. */
  readonly vector: ItemVector | undefined;
}

/** An item vector in memory, as a candidate that is READY and nobody's: what nearly all are. */
interface Kept extends Candidate {
  readonly vector: ItemVector;
  /** When it was written: milliseconds since 1970. */
  readonly writtenAt: number;
}

/** What the database says of an image that is not as memory has it. */
interface Changed {
  readonly id: string;
  /** Null where there is no such image. */
  readonly status: Candidate['status'] | null;
  readonly ownerId: string | null;
  readonly statusReason: string | null;
  readonly writtenAt: number | null;
  /** Null where memory has it. */
  readonly vector: Uint8Array | null;
}

/** Memory of an entry beside its vector: key, objects, the cache's own. */
const ENTRY_BYTES = 400;

export class Candidates {
  readonly #database: Database;
  readonly #reads = new SharedReads<string, Candidate>((imageIds, tower) => this.#read(imageIds, tower));
  readonly #kept: LRUCache<string, Kept>;
  /** Of each tenant, the towers that it has had vectors of: what is forgotten is found without going through all. */
  readonly #towers = new Map<string, Set<string>>();
  readonly #erased = new ErasedIds();
  /** Raised where everything was dropped: what was being read then is not kept. */
  #generation = 0;

  /** @param maxBytes memory for all vectors; the least recently used are dropped first. */
  constructor(database: Database, maxBytes: number) {
    this.#database = database;
    this.#kept = new LRUCache({
      maxSize: Math.max(1, maxBytes),
      sizeCalculation: ({ vector }) => vector.byteLength + ENTRY_BYTES,
    });
  }

  /** Those of these images that the session sees, and maybe others, with their item vectors in one tower. */
  async read(tower: string, imageIds: Iterable<string>): Promise<ReadonlyMap<string, Candidate>> {
    return this.#reads.read(imageIds, tower);
  }

  /** Forgets images for good: none of them is taken in again. */
  forget(tenantId: string, imageIds: readonly string[]): void {
    this.#erased.add(imageIds);
    for (const tower of this.#towers.get(tenantId) ?? []) {
      for (const id of imageIds) this.#kept.delete(keyOf(tenantId, tower, id));
    }
  }

  forgetTenant(tenantId: string): void {
    this.#erased.add([tenantId]);
    this.#towers.delete(tenantId);
    for (const key of [...this.#kept.keys()]) if (key.startsWith(`${tenantId} `)) this.#kept.delete(key);
  }

  clear(): void {
    this.#generation += 1;
    this.#towers.clear();
    this.#kept.clear();
  }

  /** The ids of the images that are in memory. */
  *heldIds(): Generator<string> {
    for (const key of this.#kept.keys()) yield idIn(key);
  }

  async #read(imageIds: readonly string[], tower: string): Promise<Map<string, Candidate>> {
    const tenantId = currentTenant();
    const generation = this.#generation;
    const kept = imageIds.map((id) => this.#kept.get(keyOf(tenantId, tower, id)));
    const changed = await readChanged(this.#database, tower, imageIds, kept);
    const candidates = new Map<string, Candidate>();
    for (const [i, id] of imageIds.entries()) {
      const known = kept[i];
      if (known) candidates.set(id, known);
    }
    for (const row of changed) {
      const { id, ownerId, status, statusReason } = row;
      const known = candidates.get(id)?.vector;
      candidates.delete(id);
      if (status === null) continue;
      const vector = row.vector ? toItemVector(row.vector) : row.writtenAt === null ? undefined : known;
      candidates.set(id, { ownerId, status, statusReason, vector });
      if (!row.vector || row.writtenAt === null || generation !== this.#generation) continue;
      if (this.#erased.has(id) || this.#erased.has(tenantId)) continue;
      const ready = { ownerId: null, status: 'READY', statusReason: null } as const;
      this.#towers.set(tenantId, (this.#towers.get(tenantId) ?? new Set()).add(tower));
      this.#kept.set(keyOf(tenantId, tower, id), { ...ready, vector: vector!, writtenAt: row.writtenAt });
    }
    return candidates;
  }
}

const keyOf = (tenantId: string, tower: string, imageId: string): string => `${tenantId} ${tower} ${imageId}`;
const idIn = (key: string): string => key.slice(key.lastIndexOf(' ') + 1);

/**
 * Of these images, those that are not READY, not everybody's, or whose item vector is another than memory has. Lists are
 * sent as one text: as arrays of parameters, each of their items would be checked on its way. Indexes: images_pkey,
 * item_vectors_pkey.
 */
function readChanged(
  database: Database,
  tower: string,
  imageIds: readonly string[],
  kept: readonly (Kept | undefined)[],
): Promise<Changed[]> {
  const times = kept.map((known) => known?.writtenAt ?? 0).join(',');
  return database.$queryRaw<Changed[]>`
    SELECT
      asked.id, i.status::text AS status, i.owner_id AS "ownerId", i.status_reason AS "statusReason",
      floor(extract(epoch FROM v.written_at) * 1000)::float8 AS "writtenAt",
      CASE WHEN v.written_at <> to_timestamp(asked.time / 1000) THEN v.vector END AS vector
    FROM unnest(
      string_to_array(${imageIds.join(',')}, ',')::uuid[], string_to_array(${times}, ',')::float8[]
    ) AS asked (id, time)
    LEFT JOIN images i ON i.id = asked.id
    LEFT JOIN item_vectors v ON v.image_id = asked.id AND v.tower = ${tower}
    WHERE i.status IS DISTINCT FROM 'READY' OR i.owner_id IS NOT NULL
      OR v.written_at IS DISTINCT FROM to_timestamp(asked.time / 1000)`;
}
