/**
 * Profiles: how each user's history attends to the preference tokens, kept a model and brought up to date with the
 * feedback, by whoever reads one or by the worker, in the same way.
 */
import { currentTenant, type Database, Prisma } from '../database/client.ts';
import type { AttentionMap } from './explanations.ts';
import { activeModel, type ServingModel } from './models.ts';
import type { Platform } from './platform.ts';
import { type Reading, readUsers } from './userStates.ts';

/** Profiles computed and written together. */
const REFRESH_BATCH = 250;

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

/** What profiles are computed with. */
export type ProfilePlatform = Pick<Platform, 'database' | 'userStates' | 'feedbackVersions'>;

/** Computes the profiles of these users anew and keeps them: what a reader does with stale ones, and the worker. */
export async function refreshProfiles(
  platform: ProfilePlatform,
  model: ServingModel,
  userIds: readonly string[],
): Promise<Map<string, Profile>> {
  const profiles = new Map<string, Profile>();
  for (let start = 0; start < userIds.length; start += REFRESH_BATCH) {
    const users = await readUsers(platform, model, userIds.slice(start, start + REFRESH_BATCH));
    const computed = [...users.values()].flatMap(({ reading, state }) => profileOf(reading, state.profile) ?? []);
    for (const profile of computed) profiles.set(profile.userId, profile);
    await keepProfiles(
      platform.database,
      computed.map((profile) => ({ profile, version: users.get(profile.userId)!.reading.feedbackVersion })),
    );
    const without = [...users.keys()].filter((id) => !profiles.has(id));
    if (without.length > 0) {
      await platform.database.profile.deleteMany({ where: { modelId: model.row.id, userId: { in: without } } });
    }
  }
  return profiles;
}

/**
 * Keeps profiles, but for those of which a newer one is kept and those of users deleted meanwhile. Always in the order
 * of their users, so that two that write the same ones wait for each other and not in a circle.
 */
async function keepProfiles(database: Database, kept: readonly { profile: Profile; version: number }[]): Promise<void> {
  if (kept.length === 0) return;
  const column = <K extends keyof Profile>(name: K) => kept.map(({ profile }) => profile[name]);
  await database.$executeRaw`
    WITH present AS (SELECT id FROM users WHERE id = ANY(${column('userId')}::uuid[]) ORDER BY id FOR KEY SHARE)
    INSERT INTO profiles (tenant_id, model_id, user_id, vector, likes, dislikes, feedback_version, as_of)
    SELECT ${currentTenant()}::uuid, ${kept[0]!.profile.model.row.id}::uuid, item.*
    FROM (
      SELECT user_id, decode(vector, 'hex'), likes, dislikes, version, as_of FROM unnest(
        ${column('userId')}::uuid[], ${column('vector').map(toHex)}::text[], ${column('likes')}::int[],
        ${column('dislikes')}::int[], ${kept.map(({ version }) => version)}::int[],
        ${column('asOf').map((instant) => instant.toISOString())}::timestamptz[]
      ) AS profile (user_id, vector, likes, dislikes, version, as_of)
      WHERE user_id IN (SELECT id FROM present)
      ORDER BY user_id
    ) AS item
    ON CONFLICT (tenant_id, model_id, user_id) DO UPDATE SET
      vector = EXCLUDED.vector, likes = EXCLUDED.likes, dislikes = EXCLUDED.dislikes,
      feedback_version = EXCLUDED.feedback_version, as_of = EXCLUDED.as_of
    WHERE profiles.feedback_version < EXCLUDED.feedback_version`;
}

/** Users of the tenant whose profile is not of their newest feedback, those that have one first. */
export async function staleUsers(platform: Platform, model: ServingModel, atMost: number): Promise<string[]> {
  const users = await profileVersions(platform.database, model);
  return users
    .filter(({ wanted, kept }) => kept === null || kept < wanted)
    .sort((a, b) => Number(a.kept === null) - Number(b.kept === null))
    .slice(0, atMost)
    .map(({ id }) => id);
}

/** Those of these users whose profile is not of their newest feedback. Indexes: users_pkey, profiles_pkey. */
export async function staleAmong(
  database: Database,
  { row }: ServingModel,
  userIds: readonly string[],
): Promise<string[]> {
  const users = await database.$queryRaw<{ id: string }[]>`
    SELECT u.id FROM users u
    LEFT JOIN profiles p ON p.tenant_id = u.tenant_id AND p.model_id = ${row.id}::uuid AND p.user_id = u.id
    WHERE u.tenant_id = ${currentTenant()}::uuid AND u.id = ANY(${userIds}::uuid[])
      AND u.feedback_version > coalesce(p.feedback_version, 0)`;
  return users.map(({ id }) => id);
}

/** Of the stale users some, in the order of their ids, those after one of them. Indexes: users_pkey, profiles_pkey. */
export async function staleUsersAfter(
  database: Database,
  { row }: ServingModel,
  after: string | null,
  atMost: number,
): Promise<string[]> {
  const beyond = after === null ? Prisma.empty : Prisma.sql`AND u.id > ${after}::uuid`;
  const users = await database.$queryRaw<{ id: string }[]>`
    SELECT u.id FROM users u
    LEFT JOIN profiles p ON p.tenant_id = u.tenant_id AND p.model_id = ${row.id}::uuid AND p.user_id = u.id
    WHERE u.tenant_id = ${currentTenant()}::uuid AND u.feedback_version > coalesce(p.feedback_version, 0) ${beyond}
    ORDER BY u.id LIMIT ${atMost}`;
  return users.map(({ id }) => id);
}

interface ProfileVersion {
  id: string;
  /** The user's feedback version. */
  wanted: number;
  /** The one that the profile was computed from; null without a profile. */
  kept: number | null;
}

/** Everybody of the tenant who ever gave feedback. Indexes: users_pkey, profiles_pkey. */
function profileVersions(database: Database, { row }: ServingModel): Promise<ProfileVersion[]> {
  return database.$queryRaw<ProfileVersion[]>(Prisma.sql`
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
function toHex(vector: Float32Array): string {
  return Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength).toString('hex');
}

export function toFloats(bytes: Uint8Array): Float32Array {
  return new Float32Array(Uint8Array.from(bytes).buffer); // copied: a row's bytes may begin at an odd address
}

/** The attention weights that a profile's vector was made from: squares, scaled so that each head's sum is 1. */
export function attentionOf({ vector, model }: Profile): AttentionMap {
  const { layers, heads, tokens } = model.network;
  return { layers, heads, tokens, weights: vector.map((root) => root * root * layers * heads) };
}
