/**
 * The public keys of tenants' identity providers, kept in memory: fetched rarely, however many tokens are shown, and
 * kept through a provider's outage. How one is fetched is keySetFetch.ts's; what a key is used for, personTokens.ts's.
 */
import { LRUCache } from 'lru-cache';
import { PalateError } from '../errors.ts';
import { addressFault, type FetchOptions, type FindKey, fetchKeySet, hostOf } from './keySetFetch.ts';

/** A set is used this long without a look at its provider: a key withdrawn there is good no longer here. */
const FRESH_MS = 10 * 60_000;
/** From this age on it is fetched anew while it is still used, so that where tokens come nobody waits. */
const REFRESH_MS = 8 * 60_000;
/** A provider is asked again for a key that is not in the set, or after it failed, no sooner. */
const RETRY_MS = 30_000;
/** A provider's last set is used this long while it cannot be reached. */
const KEPT_MS = 24 * 60 * 60_000;
/** The most requests that wait for one set, and for all: a slow provider must not hold the whole service's places. */
const MAX_WAITING = 20;
const MAX_WAITING_ALL = 60;
/** Memory for the sets of all tenants together; what was used least lately is dropped. */
const MAX_BYTES = 64_000_000;
/** What an entry takes besides its set's text. */
const ENTRY_BYTES = 1_000;

/** As much of a logger as is needed. */
export interface KeySetLog {
  warn(details: object, message: string): void;
}

export interface KeySetOptions extends FetchOptions {
  readonly now: () => Date;
  readonly log: KeySetLog;
}

/** What is known of one provider. */
interface Entry {
  readonly find: FindKey | null;
  readonly bytes: number;
  /** When the set was had; meaningless where there is none. */
  readonly fetchedAt: number;
  /** When it was last asked for, with success or without. */
  readonly triedAt: number;
  /** Why it was not had the last time. */
  readonly fault: string;
}

export class KeySets {
  readonly #options: KeySetOptions;
  readonly #entries = new LRUCache<string, Entry>({
    maxSize: MAX_BYTES,
    sizeCalculation: ({ bytes }) => bytes + ENTRY_BYTES,
  });
  /** What is being fetched: whoever needs the same waits for it. */
  readonly #fetching = new Map<string, Promise<Entry>>();
  /** How many wait for what is being fetched. */
  readonly #waiting = new Map<string, number>();
  #waitingAll = 0;

  constructor(options: KeySetOptions) {
    this.#options = options;
  }

  /** What is wrong with an address that a tenant's ADMIN sets, or null. */
  addressFault(address: string): string | null {
    return addressFault(address, this.#options.internalHosts);
  }

  /**
   * The keys at an address of this tenant's, at most 10 minutes old, or 24 hours while the provider is down.
   * Throws UNAUTHENTICATED where there are none, NOT_READY where too many wait for them already.
   */
  async current(tenantId: string, address: string): Promise<FindKey> {
    const entry = await this.#look(tenantId, address);
    if (entry.find && this.#age(entry.fetchedAt) < KEPT_MS) return entry.find;
    const message = `The tenant's key set (tokenKeySetUrl) could not be had: ${entry.fault}. It is asked for again every ${RETRY_MS / 1000} seconds.`;
    throw new PalateError('UNAUTHENTICATED', message);
  }

  async #look(tenantId: string, address: string): Promise<Entry> {
    const entry = this.#entries.get(toKey(tenantId, address));
    if (!entry) return this.#wait(tenantId, address);
    const [age, triedAgo] = [this.#age(entry.fetchedAt), this.#age(entry.triedAt)];
    if ((entry.find && age < REFRESH_MS) || triedAgo < RETRY_MS) return entry;
    if (!entry.find || age >= KEPT_MS || triedAgo >= FRESH_MS) return this.#wait(tenantId, address);
    void this.#fetch(tenantId, address); // nobody waits, in an outage neither
    return entry;
  }

  /**
   * Newer keys than `known`, which lack one; null where there are none, or the provider was asked a moment ago.
   * Throws NOT_READY where too many wait for them already.
   */
  async newer(tenantId: string, address: string, known: FindKey): Promise<FindKey | null> {
    const key = toKey(tenantId, address);
    const entry = this.#entries.get(key);
    if (entry?.find && entry.find !== known) return entry.find;
    const justTried = entry !== undefined && this.#age(entry.triedAt) < RETRY_MS;
    if (justTried && !this.#fetching.has(key)) return null;
    const { find } = await this.#wait(tenantId, address);
    return find === known ? null : find;
  }

  async #wait(tenantId: string, address: string): Promise<Entry> {
    const key = toKey(tenantId, address);
    const waiting = this.#waiting.get(key) ?? 0;
    if (waiting >= MAX_WAITING || this.#waitingAll >= MAX_WAITING_ALL) {
      const message = "The tenant's key set (tokenKeySetUrl) is being fetched: send this again in a second.";
      throw new PalateError('NOT_READY', message);
    }
    this.#waiting.set(key, waiting + 1);
    this.#waitingAll++;
    try {
      return await this.#fetch(tenantId, address);
    } finally {
      this.#waitingAll--;
      const left = this.#waiting.get(key)! - 1;
      if (left > 0) this.#waiting.set(key, left);
      else this.#waiting.delete(key);
    }
  }

  #fetch(tenantId: string, address: string): Promise<Entry> {
    const key = toKey(tenantId, address);
    const fetching = this.#fetching.get(key) ?? this.#ask(tenantId, address).finally(() => this.#fetching.delete(key));
    this.#fetching.set(key, fetching);
    return fetching;
  }

  /** Never throws: an outage is remembered beside what was had before it. */
  async #ask(tenantId: string, address: string): Promise<Entry> {
    const key = toKey(tenantId, address);
    const asked = this.#options.now().getTime();
    const remember = (entry: Entry): Entry => {
      this.#entries.set(key, entry);
      return entry;
    };
    try {
      const set = await fetchKeySet(address, this.#options);
      return remember({ ...set, fetchedAt: asked, triedAt: asked, fault: '' });
    } catch (error) {
      // The host alone: what else stands in an address may be a secret of the tenant's.
      const host = URL.canParse(address) ? hostOf(new URL(address)) : null;
      this.#options.log.warn({ tenant: tenantId, host, err: error }, "a tenant's key set could not be had");
      const known = this.#entries.get(key) ?? { find: null, bytes: 0, fetchedAt: 0 };
      return remember({ ...known, triedAt: asked, fault: (error as Error).message });
    }
  }

  #age(time: number): number {
    return this.#options.now().getTime() - time;
  }
}

const toKey = (tenantId: string, address: string) => `${tenantId} ${address}`;
