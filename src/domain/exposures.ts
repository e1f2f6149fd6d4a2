/**
 * Exposures: what a model said of an image to a person who had not judged it, so that a later judgement tells how good
 * it was. Kept where the tenant's `keepExposures` is on; the newest a person, image and model.
 */
import { currentTenant, type Queries } from '../database/client.ts';

/** How long one waits for a judgement. */
const KEPT_MS = 90 * 24 * 60 * 60 * 1000;
/** Rows of one statement. */
const ROWS_AT_ONCE = 5_000;

export interface Exposure {
  readonly userId: string;
  readonly imageId: string;
  readonly modelId: string;
  /** P(like), as it was answered. */
  readonly value: number;
  readonly at: Date;
}

/** One model's exposures as later judgements bore them out. */
export interface LiveAccuracy {
  /** Exposures whose image the person has liked or disliked since. */
  readonly judged: number;
  /** Of a person's liked and disliked ones, how often the liked one was scored higher; averaged over people. */
  readonly pairwiseAccuracy: number | null;
  /** Over people; null with fewer than two. */
  readonly standardError: number | null;
}

/**
 * Keeps exposures of the session's tenant: of people, images and models that are still there, and of images that had not
 * been judged by then. Of two of the same person, image and model the newer stays.
 */
export async function keepExposures(queries: Queries, exposures: readonly Exposure[]): Promise<void> {
  const newest = new Map<string, Exposure>();
  for (const exposure of exposures) {
    const key = `${exposure.userId} ${exposure.imageId} ${exposure.modelId}`;
    const known = newest.get(key);
    if (!known || known.at <= exposure.at) newest.set(key, exposure);
  }
  const rows = [...newest.values()];
  for (let start = 0; start < rows.length; start += ROWS_AT_ONCE) {
    await insert(queries, rows.slice(start, start + ROWS_AT_ONCE));
  }
}

/** By the keys of users, images, models and feedback; people in the order in which they are locked everywhere. */
async function insert(queries: Queries, rows: readonly Exposure[]): Promise<void> {
  const column = <K extends keyof Exposure>(name: K) => rows.map((row) => row[name]);
  const tenantId = currentTenant();
  await queries.$executeRaw`
    INSERT INTO exposures (tenant_id, user_id, image_id, model_id, value, at)
    SELECT ${tenantId}::uuid, shown.user_id, shown.image_id, shown.model_id, shown.value, shown.at
    FROM unnest(
      ${column('userId')}::uuid[], ${column('imageId')}::uuid[], ${column('modelId')}::uuid[],
      ${column('value')}::float8[], ${column('at')}::timestamptz[]
    ) AS shown (user_id, image_id, model_id, value, at)
    WHERE EXISTS (SELECT FROM users WHERE tenant_id = ${tenantId}::uuid AND id = shown.user_id)
      AND EXISTS (SELECT FROM images WHERE tenant_id = ${tenantId}::uuid AND id = shown.image_id)
      AND EXISTS (SELECT FROM models WHERE tenant_id = ${tenantId}::uuid AND id = shown.model_id)
      AND NOT EXISTS (
        SELECT FROM feedback
        WHERE tenant_id = ${tenantId}::uuid AND user_id = shown.user_id AND image_id = shown.image_id
          AND judged_at <= shown.at
      )
    ORDER BY shown.user_id, shown.image_id, shown.model_id
    ON CONFLICT (tenant_id, user_id, image_id, model_id) DO UPDATE SET value = excluded.value, at = excluded.at
      WHERE exposures.at < excluded.at`;
}

/** Forgets exposures that have waited long enough, at most so many. Index: exposures_tenant_id_at_idx. */
export function sweepExposures(queries: Queries, now: Date, atMost: number): Promise<number> {
  const before = new Date(now.getTime() - KEPT_MS);
  return queries.$executeRaw`
    DELETE FROM exposures WHERE (tenant_id, user_id, image_id, model_id) IN (
      SELECT tenant_id, user_id, image_id, model_id FROM exposures
      WHERE tenant_id = ${currentTenant()}::uuid AND at < ${before}::timestamptz
      ORDER BY at LIMIT ${atMost} FOR UPDATE SKIP LOCKED
    )`;
}

/**
 * How the scores of each of these models, as they were returned, were borne out by judgements that came after; null for
 * all of them where the tenant keeps no exposures. A person's pairs are counted by ranks (Mann–Whitney), so that nobody's
 * history makes many rows of few. Index: exposures_tenant_id_model_id_idx, feedback's by user and image.
 */
export async function liveAccuracies(
  queries: Queries,
  modelIds: readonly string[],
): Promise<Map<string, LiveAccuracy | null>> {
  const tenantId = currentTenant();
  const tenant = await queries.tenant.findFirst({ where: { id: tenantId }, select: { keepExposures: true } });
  if (!tenant?.keepExposures) return new Map(modelIds.map((id) => [id, null]));
  const rows = await queries.$queryRaw<(LiveAccuracy & { modelId: string })[]>`
    WITH judged AS (
      SELECT e.model_id, e.user_id, e.value, f.sentiment = 'LIKE' AS liked
      FROM exposures e
      JOIN feedback f ON f.tenant_id = e.tenant_id AND f.user_id = e.user_id AND f.image_id = e.image_id
      WHERE e.tenant_id = ${tenantId}::uuid AND e.model_id = ANY(${[...new Set(modelIds)]}::uuid[])
        AND f.sentiment <> 'SKIP' AND f.judged_at > e.at
    ), ranked AS (
      SELECT model_id, user_id, liked,
        rank() OVER (PARTITION BY model_id, user_id ORDER BY value)
          + (count(*) OVER (PARTITION BY model_id, user_id, value) - 1) / 2.0 AS place
      FROM judged
    ), people AS (
      SELECT model_id, count(*) AS judged, count(*) FILTER (WHERE liked) AS likes,
        count(*) FILTER (WHERE NOT liked) AS dislikes, sum(place) FILTER (WHERE liked) AS places
      FROM ranked GROUP BY model_id, user_id
    ), measured AS (
      SELECT model_id, judged, (places - likes * (likes + 1) / 2.0) / nullif(likes * dislikes, 0) AS accuracy FROM people
    )
    SELECT model_id AS "modelId", sum(judged)::int AS judged, avg(accuracy)::float8 AS "pairwiseAccuracy",
      (stddev_samp(accuracy) / sqrt(count(accuracy)))::float8 AS "standardError"
    FROM measured GROUP BY model_id`;
  const measured = new Map(rows.map(({ modelId, ...accuracy }) => [modelId, accuracy]));
  const none: LiveAccuracy = { judged: 0, pairwiseAccuracy: null, standardError: null };
  return new Map(modelIds.map((id) => [id, measured.get(id) ?? none]));
}
