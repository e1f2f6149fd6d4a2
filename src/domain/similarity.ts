/**
 * Who has similar taste: profiles, kept up to date with the feedback, and the nearest of them. Similarity is
 * 1 − √(1 − ⟨p, q⟩), one less the Hellinger distance of two users' attention over the preference tokens: it falls as
 * the inner product falls, so the nearest are found by inner product (docs/model.md).
 */
import { LRUCache } from 'lru-cache';
import { currentTenant, type Database, Prisma } from '../database/client.ts';
import { NeighbourIndex } from '../inference/neighbours.ts';
import { activeModel, type ServingModel } from './models.ts';
import type { Platform } from './platform.ts';
import { type Reading, readUsers } from './userStates.ts';

/** How deep a list of similar users goes. */
export const MAX_SIMILAR_USERS = 200;
/** Stale profiles that one reader brings up to date before it answers; the worker does the rest. */
const REFRESH_ON_READ = 1_000;
/** Profiles computed and written together. */
const REFRESH_BATCH = 250;
/** Profiles read from the database at a time. */
const READ_AT_ONCE = 10_000;

/** A user's attention over the preference tokens, as kept. */
export interface Profile {
  userId: string;
  model: ServingModel;
  /** Square roots of the attention, L2-normalised: layers × heads × tokens numbers. */
  vector: Float32Array;
  likes: number;
  dislikes: number;
  asOf: Date;
}

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
 * The profiles of these users, brought up to date first. A user who has judged nothing that can be used has none, and
 * neither has an id that is none of the tenant's.
 */
export async function readProfiles(platform: Platform, userIds: readonly string[]): Promise<Map<string, Profile>> {
  const model = await activeModel(platform);
  const users = await platform.database.user.findMany({
    where: { id: { in: [...userIds] } },
    select: { id: true, feedbackVersion: true, profiles: { where: { modelId: model.row.id } } },
  });
  const profiles = new Map<string, Profile>();
  const stale: string[] = [];
  for (const { id, feedbackVersion, profiles: kept } of users) {
    const row = kept[0];
    if (row && row.feedbackVersion >= feedbackVersion)
      profiles.set(id, { ...row, model, vector: toFloats(row.vector) });
    else if (feedbackVersion > 0) stale.push(id);
  }
  for (const [id, profile] of await refreshProfiles(platform, model, stale)) profiles.set(id, profile);
  return profiles;
}

/** Computes the profiles of these users anew and keeps them: what a reader does with stale ones, and the worker. */
export async function refreshProfiles(
  platform: Platform,
  model: ServingModel,
  userIds: readonly string[],
): Promise<Map<string, Profile>> {
  const profiles = new Map<string, Profile>();
  for (let start = 0; start < userIds.length; start += REFRESH_BATCH) {
    const users = await readUsers(platform, model, userIds.slice(start, start + REFRESH_BATCH));
    const rows = [];
    for (const { reading, state } of users.values()) {
      const profile = profileOf(reading, state.profile);
      if (!profile) continue;
      profiles.set(profile.userId, profile);
      const { model: _, vector, ...columns } = profile;
      const { feedbackVersion } = reading;
      rows.push({
        ...columns,
        tenantId: currentTenant(),
        modelId: model.row.id,
        feedbackVersion,
        vector: toBytes(vector),
      });
    }
    // Two that write the same profile at once leave one of them, and the next reader finds out if it is the older.
    await platform.database.$transaction([
      platform.database.profile.deleteMany({ where: { modelId: model.row.id, userId: { in: [...users.keys()] } } }),
      platform.database.profile.createMany({ data: rows, skipDuplicates: true }),
    ]);
  }
  return profiles;
}

/** Users of the tenant whose profile is not of their newest feedback, those that have one first. */
export async function staleUsers(platform: Platform, model: ServingModel, atMost: number): Promise<string[]> {
  const users = await versions(platform.database, model);
  return users
    .filter(({ wanted, kept }) => kept === null || kept < wanted)
    .sort((a, b) => Number(a.kept === null) - Number(b.kept === null))
    .slice(0, atMost)
    .map(({ id }) => id);
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
  const known = (await versions(platform.database, model)).filter(({ kept }) => kept !== null);
  const index = await platform.profiles.holding(platform.database, model, known);
  const ids = known.map(({ id }) => id);
  return new Map(
    [...own].map(([userId, { vector }]) => [
      userId,
      index
        .nearest(vector, MAX_SIMILAR_USERS + 1, ids)
        .filter(({ id }) => id !== userId)
        .slice(0, MAX_SIMILAR_USERS)
        .map(({ id, product }) => ({ userId: id, similarity: similarityOf(product) })),
    ]),
  );
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
  async holding(database: Database, model: ServingModel, profiles: readonly UserVersion[]): Promise<NeighbourIndex> {
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

interface UserVersion {
  id: string;
  /** The user's feedback version. */
  wanted: number;
  /** The one that the profile was computed from; null without a profile. */
  kept: number | null;
}

/** Everybody of the tenant who ever gave feedback. Indexes: users_pkey, profiles_pkey. */
function versions(database: Database, { row }: ServingModel): Promise<UserVersion[]> {
  return database.$queryRaw<UserVersion[]>(Prisma.sql`
    SELECT u.id, u.feedback_version AS wanted, p.feedback_version AS kept
    FROM users u
    LEFT JOIN profiles p ON p.tenant_id = u.tenant_id AND p.model_id = ${row.id}::uuid AND p.user_id = u.id
    WHERE u.feedback_version > 0`);
}

/** Square roots of the attention weights, L2-normalised; null without a judgement. */
function profileOf(reading: Reading, attention: Float32Array | null): Profile | null {
  const { userId, model, judgements, asOf } = reading;
  if (!attention || !asOf) return null;
  const roots = attention.map(Math.sqrt);
  const length = Math.hypot(...roots);
  const likes = judgements.filter(({ sentiment }) => sentiment === 'LIKE').length;
  const vector = roots.map((root) => root / length);
  return { userId, model, vector, likes, dislikes: judgements.length - likes, asOf };
}

/** Single floats, little-endian, as the database keeps them. */
function toBytes(vector: Float32Array): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength));
}

function toFloats(bytes: Uint8Array): Float32Array {
  return new Float32Array(Uint8Array.from(bytes).buffer); // copied: a row's bytes may begin at an odd address
}
