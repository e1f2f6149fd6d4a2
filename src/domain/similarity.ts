/**
 * Who has similar taste. Similarity is 1 − √(1 − ⟨p, q⟩), one less the Hellinger distance of two users' attention over
 * the preference tokens: it rises with the inner product, so the nearest are found by inner product (docs/model.md).
 */
import { LRUCache } from 'lru-cache';
import { currentPerson, currentTenant, type Database, withTenant } from '../database/client.ts';
import { NeighbourIndex } from '../inference/neighbours.ts';
import type { SessionHost } from '../inference/sessionHost.ts';
import { ErasedIds } from './erasedIds.ts';
import { activeModel, type ServingModel } from './models.ts';
import { fromCursor, type Page, type PageArgs, toCursor, toPage, UUID_PATTERN } from './pages.ts';
import type { Platform } from './platform.ts';
import {
  type ProfileVersion,
  profileVersions,
  readProfiles,
  refreshProfiles,
  staleUsers,
  toFloats,
} from './profiles.ts';
import { readTenant } from './tenants.ts';

/** How deep a list of similar users goes. */
export const MAX_SIMILAR_USERS = 200;
/** Stale profiles that one reader brings up to date before it answers; the worker does the rest. */
const REFRESH_ON_READ = 1_000;
/** Profiles read from the database at a time. */
const READ_AT_ONCE = 10_000;

/** How deep the list of a person who asks for themself goes: enough to feel company, too little to map a crowd. */
const MAX_ANONYMOUS = 50;
/** With fewer people, somebody who knows them could tell who is who. */
const LEAST_PEOPLE = 20;

export interface SimilarUser {
  /** Null where a person asks: how near others are, and not who. */
  userId: string | null;
  /** 1 is the same taste, 0 none in common. */
  similarity: number;
}

/**
 * 1 − √(1 − ⟨p, q⟩) of vectors of unit length and no negative number, as 1 − |p − q| / √2: rounding the product would
 * tell the same vectors apart by 0.0003, their difference is 0.
 */
export function similarityOf(p: ArrayLike<number>, q: ArrayLike<number>): number {
  let squares = 0;
  for (let i = 0; i < p.length; i++) squares += (p[i]! - q[i]!) ** 2;
  return Math.max(0, 1 - Math.sqrt(squares / 2));
}

/**
 * The nearest users of each of these, nearest first, at most 200, themselves left out. One whose taste is not known
 * has none near, and is near to nobody.
 */
export async function similarUsers(
  platform: Platform,
  userIds: readonly string[],
): Promise<Map<string, SimilarUser[]>> {
  const person = currentPerson();
  if (person === null) return nearestUsers(platform, userIds);
  // Who is near is reckoned over everybody's profiles, which a person's own session does not see.
  return withTenant(currentTenant(), async () => {
    const tenant = await readTenant(platform.database);
    if (!tenant?.anonymousSimilarity || !userIds.includes(person)) return new Map();
    return anonymous(platform, person);
  });
}

async function anonymous(platform: Platform, person: string): Promise<Map<string, SimilarUser[]>> {
  const lists = await nearestUsers(platform, [person]);
  const known = await platform.database.profile.count({ where: { modelId: (await activeModel(platform)).row.id } });
  if (known < LEAST_PEOPLE) return new Map();
  const nearest = (lists.get(person) ?? []).slice(0, MAX_ANONYMOUS);
  return new Map([
    [person, nearest.map(({ similarity }) => ({ userId: null, similarity: Math.round(100 * similarity) / 100 }))],
  ]);
}

async function nearestUsers(
  platform: Platform,
  userIds: readonly string[],
): Promise<Map<string, { userId: string; similarity: number }[]>> {
  const model = await activeModel(platform);
  await refreshProfiles(platform, model, await staleUsers(platform, model, REFRESH_ON_READ));
  const own = await readProfiles(platform, userIds);
  const known = (await profileVersions(platform.database, model)).filter(({ kept }) => kept !== null);
  const index = await platform.profiles.holding(platform.database, model, known);
  const ids = new Set(known.map(({ id }) => id));
  const profiles = [...own.values()];
  const nearest = await index.nearest(
    profiles.map(({ vector }) => vector),
    MAX_SIMILAR_USERS + 1,
    (id) => ids.has(id),
  );
  return new Map(
    profiles.map(({ userId, vector }, i) => [
      userId,
      nearest[i]!.filter(({ id }) => id !== userId)
        .slice(0, MAX_SIMILAR_USERS)
        .flatMap(({ id }) => {
          const other = index.get(id);
          return other ? [{ userId: id, similarity: similarityOf(vector, other) }] : [];
        })
        .sort(nearestFirst),
    ]),
  );
}

/** The order of a list and of its cursors: rounded products differ where similarities do not. */
function nearestFirst(a: { userId: string; similarity: number }, b: { userId: string; similarity: number }): number {
  return b.similarity - a.similarity || (a.userId < b.userId ? -1 : 1);
}

/** Profile vectors of the tenants and models used lately, read again where they have changed. */
export class ProfileIndexes {
  readonly #indexes: LRUCache<string, { index: NeighbourIndex; versions: Map<string, number> }>;
  readonly #erased = new ErasedIds();
  /** Raised where everything was dropped: what was being filled then is not kept. */
  #generation = 0;

  readonly #searches: SessionHost | undefined;

  /**
   * @param maxBytes memory for all indexes together; the least recently used is dropped first.
   * @param searches whose thread searches them; the caller's own, if left out
   */
  constructor(maxBytes: number, searches?: SessionHost) {
    this.#searches = searches;
    this.#indexes = new LRUCache({
      maxSize: Math.max(1, maxBytes),
      sizeCalculation: ({ index }) => index.byteLength + index.size * 64,
    });
  }

  /** The index of a tenant's profiles, holding at least these in these versions or newer ones. */
  async holding(database: Database, model: ServingModel, profiles: readonly ProfileVersion[]): Promise<NeighbourIndex> {
    const { layers, heads, tokens } = model.network;
    const tenantId = currentTenant();
    const generation = this.#generation;
    const key = `${tenantId} ${model.row.id}`;
    const entry = this.#indexes.get(key) ?? {
      index: new NeighbourIndex(layers * heads * tokens, { host: this.#searches }),
      versions: new Map(),
    };
    const changed = profiles.filter(({ id, kept }) => entry.versions.get(id) !== kept).map(({ id }) => id);
    for (let start = 0; start < changed.length; start += READ_AT_ONCE) {
      const rows = await database.profile.findMany({
        where: { modelId: model.row.id, userId: { in: changed.slice(start, start + READ_AT_ONCE) } },
        select: { userId: true, vector: true, feedbackVersion: true },
      });
      for (const { userId, vector, feedbackVersion } of rows) {
        if (this.#erased.has(userId)) continue;
        entry.index.set(userId, toFloats(vector));
        entry.versions.set(userId, feedbackVersion);
      }
    }
    if (generation !== this.#generation || this.#erased.has(tenantId)) return entry.index;
    this.#indexes.delete(key); // the cache reckons the size anew only for a new entry
    this.#indexes.set(key, entry);
    return entry.index;
  }

  /** @param erased people who are not taken in again; @param changed people whose profiles are read anew. */
  forget(tenantId: string, erased: readonly string[], changed: readonly string[]): void {
    this.#erased.add(erased);
    for (const [key, { index, versions }] of this.#indexes.entries()) {
      if (!key.startsWith(`${tenantId} `)) continue;
      for (const userId of [...erased, ...changed]) {
        index.delete(userId);
        versions.delete(userId);
      }
    }
  }

  forgetTenant(tenantId: string): void {
    this.#erased.add([tenantId]);
    for (const key of [...this.#indexes.keys()]) if (key.startsWith(`${tenantId} `)) this.#indexes.delete(key);
  }

  clear(): void {
    this.#generation += 1;
    this.#indexes.clear();
  }

  /** The ids of the people who are in memory. */
  *heldIds(): Generator<string> {
    for (const { index } of this.#indexes.values()) yield* index.ids();
  }
}

/** What no cursor is: the list that a person gets ends with its first page. */
const NO_CURSOR = { test: () => false };

/** A page of a list of `similarUsers`, an anonymous one's only. Throws BAD_USER_INPUT for a cursor of another list. */
export function similarUserPage(list: readonly SimilarUser[], page: PageArgs): Page<SimilarUser> {
  if (currentPerson() !== null) {
    fromCursor(page.after, [NO_CURSOR]);
    let position = 0;
    return toPage(list.slice(0, page.first), page, () => toCursor('anonymous', String(position++)));
  }
  const place = fromCursor(page.after, [/^\d(\.\d+)?(e-\d+)?$/, UUID_PATTERN]);
  const [similarity, userId] = [Number(place?.[0]), place?.[1] ?? ''];
  const isAfter = (user: SimilarUser) =>
    user.similarity < similarity || (user.similarity === similarity && user.userId! > userId);
  return toPage(place ? list.filter(isAfter) : list, page, (user) => toCursor(String(user.similarity), user.userId!));
}
