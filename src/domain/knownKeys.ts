/**
 * API keys that were verified a moment ago, so that a client that asks often costs no query a request to recognise.
 * What changes a key or its tenant drops them here and tells the other replicas (forgetting.ts); one that did not hear
 * of it goes by what it knows for two seconds.
 */
import { LRUCache } from 'lru-cache';
import type { ApiKey } from '../database/generated/client.ts';

/** A key's row and what its tenant's says of it. */
export type KeyRow = Pick<ApiKey, 'id' | 'name' | 'role' | 'expiresAt' | 'revokedAt' | 'pointsPerMinute'> & {
  lastUsedAt: Date | null;
  readonly tenantPoints: number;
  readonly suspendedAt: Date | null;
};

const GOOD_MS = 2_000;
/** 500 bytes each. */
const MOST_KEYS = 10_000;

export class KnownKeys {
  readonly #rows: LRUCache<string, KeyRow>;
  /** Raised where something was dropped: what was being read then may be what it was before, and is not kept. */
  #generation = 0;

  /** @param goodMs how long a row is gone by */
  constructor(goodMs = GOOD_MS) {
    this.#rows = new LRUCache({ max: MOST_KEYS, ttl: goodMs });
  }

  /**
   * The row of a key, as it was at most so long ago; undefined where there is none.
   * @param secretSha256 of the secret, 32 bytes
   */
  async get(
    tenantId: string,
    secretSha256: Uint8Array,
    read: () => Promise<KeyRow | undefined>,
  ): Promise<KeyRow | undefined> {
    const known = this.known(tenantId, secretSha256);
    if (known) return known;
    const generation = this.#generation;
    const row = await read();
    if (row && generation === this.#generation) this.#rows.set(nameOf(tenantId, secretSha256), row); // unknown ones are not kept: anyone can make up as many as they like
    return row;
  }

  /** The row, if it is known without reading it. */
  known(tenantId: string, secretSha256: Uint8Array): KeyRow | undefined {
    return this.#rows.get(nameOf(tenantId, secretSha256));
  }

  /** Reads the keys of the tenant anew the next time. */
  forgetTenant(tenantId: string): void {
    this.#generation += 1;
    for (const name of [...this.#rows.keys()]) if (name.startsWith(tenantId)) this.#rows.delete(name);
  }

  clear(): void {
    this.#generation += 1;
    this.#rows.clear();
  }
}

const nameOf = (tenantId: string, secretSha256: Uint8Array) =>
  `${tenantId} ${Buffer.from(secretSha256).toString('base64')}`;
