/**
 * Who has similar taste. Similarity is 1 − √(1 − ⟨p, q⟩), one less the Hellinger distance of two users' attention over
 * the preference tokens: it rises with the inner product, so the nearest are found by inner product (docs/model.md).
 */
import { LRUCache } from 'lru-cache';
import { currentTenant, type Database } from '../database/client.ts';
import { NeighbourIndex } from '../inference/neighbours.ts';
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

/** How deep a list of similar users goes. */
export const MAX_SIMILAR_USERS = 200;
/** Stale profiles that one reader brings up to date before it answers; the worker does the rest. */
const REFRESH_ON_READ = 1_000;
/** Profiles read from the database at a time. */
const READ_AT_ONCE = 10_000;

export interface SimilarUser {
  userId: string;
  /** 1 is the same taste, 0 none in common. */
  similarity: number;
}

/** 1 − √(1 − ⟨p, q⟩) for an inner product that rounding may have put beyond 0 to 1. */
export function similarityOf(product: number): number {
  return 1 - Math.sqrt(Math.min(1, Math.max(0, 1 - product)));
}

/**
 * The nearest users of each of these, nearest first, at most 200, themselves left out. One whose taste is not known
 * has none near, and is near to nobody.
 */
export async function similarUsers(
  platform: Platform,
  userIds: readonly string[],
): Promise<Map<string, SimilarUser[]>> {
  const model = await activeModel(platform);
  await refreshProfiles(platform, model, await staleUsers(platform, model, REFRESH_ON_READ));
  const own = await readProfiles(platform, userIds);
  const known = (await profileVersions(platform.database, model)).filter(({ kept }) => kept !== null);
  const index = await platform.profiles.holding(platform.database, model, known);
  const ids = known.map(({ id }) => id);
  return new Map(
    [...own].map(([userId, { vector }]) => [
      userId,
      index
        .nearest(vector, MAX_SIMILAR_USERS + 1, ids)
        .filter(({ id }) => id !== userId)
        .slice(0, MAX_SIMILAR_USERS)
        .map(({ id, product }) => ({ userId: id, similarity: similarityOf(product) }))
        .sort(nearestFirst),
    ]),
  );
}

/** The order of a list and of its cursors: products beyond 1 differ where similarities do not. */
function nearestFirst(a: SimilarUser, b: SimilarUser): number {
  return b.similarity - a.similarity || (a.userId < b.userId ? -1 : 1);
}

/** Profile vectors of the tenants and models used lately, read again where they have changed. */
export class ProfileIndexes {
  readonly #indexes: LRUCache<string, { index: NeighbourIndex; versions: Map<string, number> }>;

  /** @param maxBytes memory for all indexes together; the least recently used is dropped first. */
  constructor(maxBytes: number) {
    this.#indexes = new LRUCache({
      maxSize: Math.max(1, maxBytes),
      sizeCalculation: ({ index }) => index.byteLength + index.size * 64,
    });
  }

  /** The index of a tenant's profiles, holding at least these in these versions or newer ones. */
  async holding(database: Database, model: ServingModel, profiles: readonly ProfileVersion[]): Promise<NeighbourIndex> {
    const { layers, heads, tokens } = model.network;
    const key = `${currentTenant()} ${model.row.id}`;
    const entry = this.#indexes.get(key) ?? { index: new NeighbourIndex(layers * heads * tokens), versions: new Map() };
    const changed = profiles.filter(({ id, kept }) => entry.versions.get(id) !== kept).map(({ id }) => id);
    for (let start = 0; start < changed.length; start += READ_AT_ONCE) {
      const rows = await database.profile.findMany({
        where: { modelId: model.row.id, userId: { in: changed.slice(start, start + READ_AT_ONCE) } },
        select: { userId: true, vector: true, feedbackVersion: true },
      });
      for (const { userId, vector, feedbackVersion } of rows) {
        entry.index.set(userId, toFloats(vector));
        entry.versions.set(userId, feedbackVersion);
      }
    }
    this.#indexes.delete(key); // the cache reckons the size anew only for a new entry
    this.#indexes.set(key, entry);
    return entry.index;
  }
}

/** A page of a list of `similarUsers`. Throws BAD_USER_INPUT for a cursor of another list. */
export function similarUserPage(list: readonly SimilarUser[], page: PageArgs): Page<SimilarUser> {
  const place = fromCursor(page.after, [/^\d(\.\d+)?(e-\d+)?$/, UUID_PATTERN]);
  const [similarity, userId] = [Number(place?.[0]), place?.[1] ?? ''];
  const isAfter = (user: SimilarUser) =>
    user.similarity < similarity || (user.similarity === similarity && user.userId > userId);
  return toPage(place ? list.filter(isAfter) : list, page, (user) => toCursor(String(user.similarity), user.userId));
}
