/**
 * Ids that were erased a moment ago. Whoever was reading them then would put them into memory again after they were
 * dropped: a memory asks here before it takes anything in. Ids are random and never used again.
 */
import { LRUCache } from 'lru-cache';

/** Longer than any request runs. */
const REMEMBERED_MS = 10 * 60 * 1000;
/** Ids remembered, the oldest dropped first: some 10 MB. */
const MOST_IDS = 100_000;

export class ErasedIds {
  // By size, of one each: room for a number of them would be taken at once, and most services erase few.
  readonly #ids = new LRUCache<string, true>({ maxSize: MOST_IDS, sizeCalculation: () => 1, ttl: REMEMBERED_MS });

  /** @param ids of users, of images, or of a whole tenant. */
  add(ids: readonly string[]): void {
    for (const id of ids) this.#ids.set(id, true);
  }

  has(id: string): boolean {
    return this.#ids.has(id);
  }
}
