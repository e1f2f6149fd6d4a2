/**
 * Profile vectors of the tenants and models used lately, kept in memory and brought up to date by what changed: whoever
 * asks sees what was written before, by any replica.
 */
import { currentTenant, type Database, Prisma } from '../database/client.ts';
import { NeighbourIndex } from '../inference/neighbours.ts';
import type { SessionHost } from '../inference/sessionHost.ts';
import { CHANGES_AT_ONCE, type ChangePlace, ChangeReader, changesAfter, SharedTurns } from './changes.ts';
import type { ServingModel } from './models.ts';
import { type ProfilePlatform, refreshProfiles, staleAmong, toFloats } from './profiles.ts';
import { TenantMemory } from './tenantMemory.ts';

/** Stale profiles that one reader brings up to date before it answers; the worker does the rest. */
const REFRESH_ON_READ = 1_000;

/** The profiles of one tenant by one model. */
class ProfileIndex {
  readonly vectors: NeighbourIndex;
  readonly #users = new ChangeReader();
  readonly #profiles = new ChangeReader();
  readonly #turns = new SharedTurns();
  /** People whose profile was not of their newest feedback when they were last looked at. */
  readonly #stale = new Set<string>();
  /** People who were dropped and stay: their profiles are read again. */
  readonly #dropped = new Set<string>();
  readonly #isErased: (userId: string) => boolean;

  constructor(vectors: NeighbourIndex, isErased: (userId: string) => boolean) {
    this.vectors = vectors;
    this.#isErased = isErased;
  }

  follow(platform: ProfilePlatform, model: ServingModel): Promise<void> {
    return this.#turns.take(async () => {
      await this.#refresh(platform, model);
      for await (const rows of this.#profiles.read(platform.database, profilePages(platform.database, model))) {
        for (const row of rows) this.#take(row);
      }
      const again = [...this.#dropped];
      if (again.length === 0) return;
      for (const row of await readVectors(platform.database, model, again)) this.#take(row);
      for (const userId of again) this.#dropped.delete(userId);
    });
  }

  /** Drops who has no profile any more. Returns whether all of them have one. */
  async confirm(database: Database, model: ServingModel, userIds: readonly string[]): Promise<boolean> {
    const rows = await database.$queryRaw<{ id: string }[]>`
      SELECT user_id AS id FROM profiles
      WHERE tenant_id = ${currentTenant()}::uuid AND model_id = ${model.row.id}::uuid
        AND user_id = ANY(${userIds}::uuid[])`;
    const present = new Set(rows.map(({ id }) => id));
    const gone = userIds.filter((userId) => !present.has(userId));
    for (const userId of gone) this.vectors.delete(userId);
    return gone.length === 0;
  }

  drop(erased: readonly string[], changed: readonly string[]): void {
    for (const userId of [...erased, ...changed]) this.vectors.delete(userId);
    for (const userId of erased) this.#stale.delete(userId);
    for (const userId of changed) this.#dropped.add(userId);
  }

  /** Computes profiles anew that are not of the newest feedback. */
  async #refresh(platform: ProfilePlatform, model: ServingModel): Promise<void> {
    for await (const users of this.#users.read(platform.database, userPages(platform.database, model))) {
      for (const { id, isStale } of users) if (isStale) this.#stale.add(id);
    }
    const some = [...this.#stale].slice(0, REFRESH_ON_READ);
    if (some.length === 0) return;
    await refreshProfiles(platform, model, await staleAmong(platform.database, model, some));
    for (const userId of some) this.#stale.delete(userId);
  }

  #take({ id, vector }: { id: string; vector: Uint8Array }): void {
    if (!this.#isErased(id)) this.vectors.set(id, toFloats(vector));
  }
}

type ChangedProfile = ChangePlace & { vector: Uint8Array };

/** Index: profiles_tenant_id_model_id_changed_in_user_id_idx. */
const profilePages =
  (database: Database, { row }: ServingModel) =>
  (place: ChangePlace, isFirst: boolean) =>
    database.$queryRaw<ChangedProfile[]>`
    SELECT user_id AS id, vector, changed_in AS "changedIn" FROM profiles
    WHERE tenant_id = ${currentTenant()}::uuid AND model_id = ${row.id}::uuid
      AND ${changesAfter(Prisma.sql`changed_in`, Prisma.sql`user_id`, place, isFirst)}
    ORDER BY changed_in, user_id LIMIT ${CHANGES_AT_ONCE}`;

type ChangedUser = ChangePlace & { isStale: boolean };

/** Indexes: users_tenant_id_changed_in_id_idx, profiles_pkey. */
const userPages =
  (database: Database, { row }: ServingModel) =>
  (place: ChangePlace, isFirst: boolean) =>
    database.$queryRaw<ChangedUser[]>`
    SELECT u.id, u.changed_in AS "changedIn", u.feedback_version > coalesce(p.feedback_version, 0) AS "isStale"
    FROM users u
    LEFT JOIN profiles p ON p.tenant_id = u.tenant_id AND p.model_id = ${row.id}::uuid AND p.user_id = u.id
    WHERE u.tenant_id = ${currentTenant()}::uuid
      AND ${changesAfter(Prisma.sql`u.changed_in`, Prisma.sql`u.id`, place, isFirst)}
    ORDER BY u.changed_in, u.id LIMIT ${CHANGES_AT_ONCE}`;

/** Index: profiles_pkey. */
const readVectors = (database: Database, { row }: ServingModel, userIds: readonly string[]) =>
  database.$queryRaw<{ id: string; vector: Uint8Array }[]>`
    SELECT user_id AS id, vector FROM profiles
    WHERE tenant_id = ${currentTenant()}::uuid AND model_id = ${row.id}::uuid AND user_id = ANY(${userIds}::uuid[])`;

export class ProfileIndexes extends TenantMemory<ProfileIndex> {
  readonly #searches: SessionHost | undefined;

  /**
   * @param maxBytes memory for all indexes together; the least recently used is dropped first.
   * @param searches whose thread searches them; the caller's own, if left out
   */
  constructor(maxBytes: number, searches?: SessionHost) {
    super(maxBytes, ({ vectors }) => vectors.byteLength);
    this.#searches = searches;
  }

  /** The index of the tenant's profiles as they are now; of stale ones, as many as a reader refreshes are so first. */
  holding(platform: ProfilePlatform, model: ServingModel): Promise<ProfileIndex> {
    const { layers, heads, tokens } = model.network;
    const make = () => {
      const vectors = new NeighbourIndex(layers * heads * tokens, { host: this.#searches });
      return new ProfileIndex(vectors, (userId) => this.isErased(userId));
    };
    return this.filled(model.row.id, make, (index) => index.follow(platform, model));
  }

  /** @param erased people who are not taken in again; @param changed people whose profiles are read anew. */
  forget(tenantId: string, erased: readonly string[], changed: readonly string[]): void {
    this.dropFrom(tenantId, erased, (index) => index.drop(erased, changed));
  }

  *heldIds(): Generator<string> {
    for (const { vectors } of this.entries()) yield* vectors.ids();
  }
}
