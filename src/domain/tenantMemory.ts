/**
 * Memory of tenants: an entry for each model or tower of those used lately, bounded in bytes, the least recently used
 * dropped first. What was erased while an entry was being filled is not taken in again. It knows not what an entry is.
 */
import { LRUCache } from 'lru-cache';
import { currentTenant } from '../database/client.ts';
import { ErasedIds } from './erasedIds.ts';

export abstract class TenantMemory<Entry extends object> {
  readonly #entries: LRUCache<string, Entry>;
  readonly #erased = new ErasedIds();
  /** Raised where everything was dropped: what was being filled then is not kept. */
  #generation = 0;

  /** @param maxBytes memory for all entries together */
  constructor(maxBytes: number, bytesOf: (entry: Entry) => number) {
    this.#entries = new LRUCache({ maxSize: Math.max(1, maxBytes), sizeCalculation: bytesOf });
  }

  forgetTenant(tenantId: string): void {
    this.#erased.add([tenantId]);
    for (const key of [...this.#entries.keys()]) if (key.startsWith(`${tenantId} `)) this.#entries.delete(key);
  }

  clear(): void {
    this.#generation += 1;
    this.#entries.clear();
  }

  /** The ids of what is in memory. */
  abstract heldIds(): Iterable<string>;

  /**
   * The entry of the session's tenant under a name, filled. One that is made is in memory at once: whoever comes while it
   * is filled fills the same.
   */
  protected async filled(name: string, make: () => Entry, fill: (entry: Entry) => Promise<void>): Promise<Entry> {
    const tenantId = currentTenant();
    const generation = this.#generation;
    const key = `${tenantId} ${name}`;
    const known = this.#entries.get(key);
    const entry = known ?? make();
    if (!known && !this.#erased.has(tenantId)) this.#entries.set(key, entry);
    await fill(entry);
    if (generation !== this.#generation || this.#erased.has(tenantId)) return entry;
    if (this.#entries.peek(key) === entry) this.#entries.delete(key); // its size is reckoned anew only so
    if (!this.#entries.has(key)) this.#entries.set(key, entry);
    return entry;
  }

  protected isErased(id: string): boolean {
    return this.#erased.has(id);
  }

  /** Remembers what is erased, and drops it from the tenant's entries. */
  protected dropFrom(tenantId: string, erased: readonly string[], drop: (entry: Entry) => void): void {
    this.#erased.add(erased);
    for (const [key, entry] of this.#entries.entries()) if (key.startsWith(`${tenantId} `)) drop(entry);
  }

  protected entries(): Iterable<Entry> {
    return this.#entries.values();
  }
}
