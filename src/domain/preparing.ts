/**
 * What a version needs before it serves: the item vectors of all images in its tower, the profile of everybody who
 * judged, its tokens' exemplars. Some versions are kept prepared, so that they can be promoted at any moment; the others
 * when somebody wants them. The work is src/workers/prepare.ts.
 */
import { currentTenant, type Database, type Queries } from '../database/client.ts';
import type { Model } from '../database/generated/client.ts';
import { notify } from '../database/notifications.ts';
import { hasJob, type Queue } from '../queue/queue.ts';
import type { ModelPlatform, ServingModel } from './models.ts';
import { lockVersions } from './versionTurns.ts';

/** Candidates that are kept prepared, the newest of them: a tenant that trains every night has hundreds. */
const KEPT_CANDIDATES = 2;
/** How long a version is kept prepared after somebody wanted it. */
const WANTED_FOR_MS = 24 * 60 * 60 * 1000;
/** What replicas are told on: which version they will soon be asked for. */
export const MODELS_CHANNEL = 'palate_models';

/**
 * The versions that new images and new feedback are prepared for, the active one first: that one, the one that served
 * before it, the newest candidates, the one in shadow, and those that somebody waits for.
 */
export async function keptModels(queries: Queries): Promise<Model[]> {
  const tenantId = currentTenant();
  const kept = await queries.$queryRaw<{ id: string }[]>`
    SELECT id FROM models WHERE tenant_id = ${tenantId}::uuid AND (
      status = 'ACTIVE' OR wanted_at > now() - ${WANTED_FOR_MS} * interval '1 millisecond'
      OR id = (
        SELECT id FROM models WHERE tenant_id = ${tenantId}::uuid AND status = 'RETIRED'
        ORDER BY promoted_at DESC NULLS LAST, version DESC LIMIT 1
      )
      OR id IN (
        SELECT id FROM models WHERE tenant_id = ${tenantId}::uuid AND status = 'CANDIDATE'
        ORDER BY version DESC LIMIT ${KEPT_CANDIDATES}
      )
      OR id IN (SELECT model_id FROM shadows WHERE tenant_id = ${tenantId}::uuid)
    )`;
  const rows = await queries.model.findMany({
    where: { id: { in: kept.map(({ id }) => id) } },
    orderBy: { version: 'desc' },
  });
  return rows.sort((a, b) => Number(b.status === 'ACTIVE') - Number(a.status === 'ACTIVE'));
}

/**
 * Of the tenant's READY images and of the people who judged them, the share that is prepared for each version: 1 where all
 * are, and only then. A profile counts that is there, since who reads a stale one renews it; and somebody who judged for
 * the first time within the last minute is let off, so that a tenant where there is always somebody new can promote.
 * Indexes: item_vectors_pkey, profiles_pkey, feedback_tenant_id_user_id_judged_at_id_idx.
 */
export async function readinessOfMany(queries: Queries, modelIds: readonly string[]): Promise<Map<string, number>> {
  const tenantId = currentTenant();
  const rows = await queries.$queryRaw<{ id: string; wanted: number; missing: number }[]>`
    SELECT m.id, (pictures.wanted + people.wanted)::float8 AS wanted,
      (pictures.wanted - pictures.there + people.wanted - people.there)::float8 AS missing
    FROM models m
    CROSS JOIN LATERAL (
      SELECT count(*) AS wanted, count(v.image_id) AS there
      FROM images i
      LEFT JOIN item_vectors v ON v.tenant_id = i.tenant_id AND v.tower = m.tower AND v.image_id = i.id
      WHERE i.tenant_id = ${tenantId}::uuid AND i.status = 'READY'
    ) AS pictures
    CROSS JOIN LATERAL (
      SELECT count(*) AS wanted, count(p.user_id) AS there
      FROM users u
      LEFT JOIN profiles p ON p.tenant_id = u.tenant_id AND p.model_id = m.id AND p.user_id = u.id
      WHERE u.tenant_id = ${tenantId}::uuid AND u.feedback_version > 0 AND EXISTS (
        SELECT FROM feedback f JOIN images i ON i.tenant_id = f.tenant_id AND i.id = f.image_id
        WHERE f.tenant_id = u.tenant_id AND f.user_id = u.id AND f.sentiment <> 'SKIP'
          AND f.created_at <= greatest(m.created_at, now() - interval '1 minute')
          AND i.status = 'READY' AND (i.owner_id IS NULL OR i.owner_id = u.id)
      )
    ) AS people
    WHERE m.tenant_id = ${tenantId}::uuid AND m.id = ANY(${modelIds}::uuid[])`;
  return new Map(rows.map(({ id, wanted, missing }) => [id, missing === 0 ? 1 : (wanted - missing) / wanted]));
}

/** Of one version. */
export async function readiness(queries: Queries, { id }: Pick<Model, 'id'>): Promise<number> {
  return (await readinessOfMany(queries, [id])).get(id) ?? 0;
}

/** Whether every READY image of the session's tenant has an item vector in this tower. Index: item_vectors_pkey. */
export async function hasAllVectors(queries: Queries, tower: string): Promise<boolean> {
  const missing = await queries.$queryRaw<object[]>`
    SELECT FROM images i WHERE i.tenant_id = ${currentTenant()}::uuid AND i.status = 'READY' AND NOT EXISTS (
      SELECT FROM item_vectors v WHERE v.tenant_id = i.tenant_id AND v.tower = ${tower} AND v.image_id = i.id
    ) LIMIT 1`;
  return missing.length === 0;
}

/**
 * The kept versions beside the one that serves, for what rests on item vectors: those in whose tower every image has
 * one. From fewer, a profile would be made of half a history and taken for the whole.
 */
export async function alsoServable(
  { database, networks }: ModelPlatform,
  serving: ServingModel,
): Promise<ServingModel[]> {
  const models: ServingModel[] = [];
  for (const row of await keptModels(database)) {
    if (row.id === serving.row.id) continue;
    if (row.tower !== serving.row.tower && !(await hasAllVectors(database, row.tower))) continue;
    const model = await networks.of(row).catch(() => null); // why it cannot be used stands in the log
    if (model) models.push(model);
  }
  return models;
}

/** Has a version prepared, unless that is under way, and kept so for a day. */
export async function wantPrepared(transaction: Queries, queue: Queue, modelId: string): Promise<void> {
  const tenantId = currentTenant();
  await lockVersions(transaction);
  await transaction.$executeRaw`
    UPDATE models SET wanted_at = now() WHERE tenant_id = ${tenantId}::uuid AND id = ${modelId}::uuid`;
  if (await hasJob(transaction, 'prepare', { carrying: { modelId } })) return;
  await queue.send(transaction, 'prepare', [{ tenantId, modelId }]);
}

/** Tells every replica that a version may soon be asked for. */
export async function tellPrepared(transaction: Queries, modelId: string): Promise<void> {
  await notify(transaction, MODELS_CHANNEL, `${currentTenant()}:${modelId}`);
}

/** Has the active version prepared where it is not: its file was damaged while images came in, and is mended. */
export async function mendActive(database: Database, queue: Queue): Promise<void> {
  const active = await database.model.findFirst({ where: { status: 'ACTIVE' } });
  if (!active || (await hasAllVectors(database, active.tower))) return;
  await database.$transaction((transaction) => wantPrepared(transaction, queue, active.id));
}

/**
 * Drops profiles of versions that are kept prepared no more, and item vectors of towers that none of these has, at most
 * so many of each. Returns how many went of what there was more of. Indexes: profiles_pkey, item_vectors_pkey.
 */
export function dropPrepared(database: Database, atMost: number): Promise<number> {
  return database.$transaction(async (transaction) => {
    await lockVersions(transaction);
    const tenantId = currentTenant();
    const kept = await keptModels(transaction);
    const others = await transaction.model.findMany({
      where: { id: { notIn: kept.map(({ id }) => id) } },
      select: { id: true, tower: true },
    });
    const inUse = new Set(kept.map(({ tower }) => tower));
    const ids = others.map(({ id }) => id);
    const towers = [...new Set(others.map(({ tower }) => tower))].filter((tower) => !inUse.has(tower));
    const profiles = await transaction.$executeRaw`
      DELETE FROM profiles WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM profiles WHERE tenant_id = ${tenantId}::uuid AND model_id = ANY(${ids}::uuid[]) LIMIT ${atMost}
      ))`;
    const vectors = await transaction.$executeRaw`
      DELETE FROM item_vectors WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM item_vectors WHERE tenant_id = ${tenantId}::uuid AND tower = ANY(${towers}) LIMIT ${atMost}
      ))`;
    return Math.max(profiles, vectors);
  });
}
