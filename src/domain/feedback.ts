/**
 * Reading feedback: what users made of images, a page at a time or as the histories that a model reads. Everything is
 * read for many users in one query. Writing it is submitFeedback.ts.
 */
import { currentTenant, Prisma, type Queries } from '../database/client.ts';
import type { Feedback, Sentiment } from '../database/generated/client.ts';
import { toItemVector } from './itemVectors.ts';
import {
  checkFirst,
  fromCursor,
  INSTANT_PATTERN,
  type Page,
  type PageArgs,
  toCursor,
  toPage,
  UUID_PATTERN,
} from './pages.ts';

/** The most judgements of a user that a model reads: the newest. With their item vectors, 1 MB. */
export const MAX_HISTORY = 2_048;

/** A row of `feedback`, as Prisma would read it. */
export const FEEDBACK_COLUMNS = Prisma.raw(
  `feedback.tenant_id AS "tenantId", feedback.id, feedback.user_id AS "userId", feedback.image_id AS "imageId",
   feedback.sentiment, feedback.weight, feedback.comment, feedback.judged_at AS "judgedAt",
   feedback.created_at AS "createdAt"`,
);

/** Feedback by id; ids that are none of the tenant's are left out. */
export async function feedbackByIds(queries: Queries, ids: readonly string[]): Promise<Map<string, Feedback>> {
  const rows = await queries.feedback.findMany({ where: { id: { in: [...new Set(ids)] } } });
  return new Map(rows.map((row) => [row.id, row]));
}

export interface FeedbackArgs extends PageArgs {
  /** Only this; all, if left out. */
  readonly sentiment?: Sentiment | null | undefined;
}

/**
 * A page of the feedback of each of these users, newest judgement first, all in one query; a user without any has an
 * empty page. Index: feedback_tenant_id_user_id_judged_at_id_idx.
 * Throws BAD_USER_INPUT for a bad `first` or cursor.
 */
export async function feedbackForUsers(
  queries: Queries,
  userIds: readonly string[],
  args: FeedbackArgs,
): Promise<Map<string, Page<Feedback>>> {
  checkFirst(args.first);
  const [judgedAt, id] = fromCursor(args.after, [INSTANT_PATTERN, UUID_PATTERN]) ?? [];
  const before = judgedAt ? Prisma.sql`AND (judged_at, id) < (${judgedAt}::timestamptz, ${id}::uuid)` : Prisma.empty;
  const rows = await queries.$queryRaw<Feedback[]>`
    SELECT ${FEEDBACK_COLUMNS}
    FROM unnest(${[...new Set(userIds)]}::uuid[]) AS wanted (user_id)
    CROSS JOIN LATERAL (
      SELECT * FROM feedback
      WHERE tenant_id = ${currentTenant()}::uuid AND user_id = wanted.user_id ${bySentiment(args.sentiment)} ${before}
      ORDER BY judged_at DESC, id DESC
      LIMIT ${args.first + 1}
    ) AS feedback
    ORDER BY feedback.judged_at DESC, feedback.id DESC`;
  const byUser = groupByUser(rows);
  const cursorOf = (row: Feedback) => toCursor(row.judgedAt.toISOString(), row.id);
  return new Map(userIds.map((userId) => [userId, toPage(byUser.get(userId) ?? [], args, cursorOf)]));
}

/** How much feedback each of these users has given, all in one query. */
export async function countFeedback(
  queries: Queries,
  userIds: readonly string[],
  sentiment?: Sentiment | null,
): Promise<Map<string, number>> {
  const rows = await queries.$queryRaw<{ userId: string; count: number }[]>`
    SELECT user_id AS "userId", count(*)::int AS count FROM feedback
    WHERE tenant_id = ${currentTenant()}::uuid AND user_id = ANY(${[...new Set(userIds)]}::uuid[])
      ${bySentiment(sentiment)}
    GROUP BY user_id`;
  const counts = new Map(rows.map(({ userId, count }) => [userId, count]));
  return new Map(userIds.map((userId) => [userId, counts.get(userId) ?? 0]));
}

/** One like or dislike as a model reads it. */
export interface HistoryEntry {
  readonly feedbackId: string;
  readonly imageId: string;
  readonly sentiment: 'LIKE' | 'DISLIKE';
  readonly weight: number;
  readonly judgedAt: Date;
  /** The item vector of the image. */
  readonly item: Uint16Array;
}

/**
 * The newest likes and dislikes of each of these users, at most `MAX_HISTORY`, newest first: those of images that are READY,
 * nobody else's, and have an item vector in this tower. All in one query; a user without any is left out.
 * Index: feedback_tenant_id_user_id_judged_at_id_idx.
 */
export async function readHistories(
  queries: Queries,
  tower: string,
  userIds: readonly string[],
): Promise<Map<string, HistoryEntry[]>> {
  const rows = await queries.$queryRaw<(Omit<HistoryEntry, 'item'> & { userId: string; vector: Uint8Array })[]>`
    SELECT history.* FROM unnest(${[...new Set(userIds)]}::uuid[]) AS wanted (user_id)
    CROSS JOIN LATERAL (
      SELECT feedback.user_id AS "userId", feedback.id AS "feedbackId", feedback.image_id AS "imageId",
        feedback.sentiment, feedback.weight, feedback.judged_at AS "judgedAt", item.vector
      FROM feedback
      -- LIMIT 1 makes each a look-up by key, however many images there are: a user has few of them.
      CROSS JOIN LATERAL (
        SELECT FROM images
        WHERE tenant_id = feedback.tenant_id AND id = feedback.image_id AND status = 'READY'
          AND (owner_id IS NULL OR owner_id = feedback.user_id) LIMIT 1
      ) AS image
      CROSS JOIN LATERAL (
        SELECT vector FROM item_vectors
        WHERE tenant_id = feedback.tenant_id AND tower = ${tower} AND image_id = feedback.image_id LIMIT 1
      ) AS item
      WHERE feedback.tenant_id = ${currentTenant()}::uuid AND feedback.user_id = wanted.user_id
        AND feedback.sentiment <> 'SKIP'
      ORDER BY feedback.judged_at DESC, feedback.id DESC
      LIMIT ${MAX_HISTORY}
    ) AS history
    ORDER BY history."judgedAt" DESC, history."feedbackId" DESC`;
  return groupByUser(rows.map(({ vector, ...row }) => ({ ...row, item: toItemVector(vector) })));
}

function bySentiment(sentiment: Sentiment | null | undefined): Prisma.Sql {
  return sentiment ? Prisma.sql`AND sentiment = ${sentiment}::sentiment` : Prisma.empty;
}

function groupByUser<T extends { readonly userId: string }>(rows: readonly T[]): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const row of rows) {
    const group = groups.get(row.userId);
    if (group) group.push(row);
    else groups.set(row.userId, [row]);
  }
  return groups;
}
