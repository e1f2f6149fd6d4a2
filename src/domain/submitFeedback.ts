/**
 * Taking judgements in, and taking them back. Of one image the newest judgement of a user stands; an older one that
 * arrives late is answered with the one that stands and changes nothing. What changed a user's feedback raises its
 * version and queues the profiles, all in one transaction.
 */
import { currentPerson, currentTenant, type Database, type Queries } from '../database/client.ts';
import type { Feedback, Sentiment } from '../database/generated/client.ts';
import { textList } from '../database/textLists.ts';
import type { Queue } from '../queue/queue.ts';
import { FEEDBACK_COLUMNS, feedbackByIds } from './feedback.ts';
import { type Keeping, once } from './idempotency.ts';
import { fromGlobalId, newId } from './ids.ts';
import { type ImageRef, isVisible } from './images.ts';
import { type Referent, resolveReferences } from './references.ts';
import { attempt, checkText, ItemError, tooMany, type UserError } from './userErrors.ts';
import { lockUsers, raiseFeedbackVersions, type UserRef } from './users.ts';

/** The greatest weight of a judgement; a plain one weighs 1. */
export const MAX_WEIGHT = 10;
/** The longest comment, in characters. */
export const MAX_COMMENT = 2000;
/** How far a client's clock may be ahead of ours. */
const MAX_AHEAD_MS = 5 * 60 * 1000;

/** What feedback is taken in with. */
export interface FeedbackPlatform {
  readonly database: Database;
  readonly queue: Queue;
  readonly now: () => Date;
}

export interface FeedbackItem {
  readonly user: UserRef;
  readonly image: ImageRef;
  readonly sentiment: Sentiment;
  /** Above 0 and at most 10; 1 if left out. */
  readonly weight?: number | null | undefined;
  readonly comment?: string | null | undefined;
  /** Now, if left out; at most five minutes ahead. */
  readonly judgedAt?: Date | null | undefined;
}

export interface FeedbackInput {
  readonly items: readonly FeedbackItem[];
  readonly idempotencyKey?: string | null | undefined;
}

export interface FeedbackAnswer {
  /** As many places as the items: the judgement that stands, or null where `userErrors` names the item. */
  readonly feedback: (Feedback | null)[];
  readonly userErrors: readonly UserError[];
}

/** Takes in up to 500 judgements; those that are wrong keep none of the others out. */
export async function submitFeedback(platform: FeedbackPlatform, input: FeedbackInput): Promise<FeedbackAnswer> {
  const { items, idempotencyKey } = input;
  const refused = (error: UserError) => ({ feedback: items.map(() => null), userErrors: [error] });
  const many = tooMany('items', items);
  if (many) return refused(many);
  const now = platform.now();
  const work = (transaction: Queries) => () => takeFeedback(transaction, platform.queue, items, now);
  try {
    return await platform.database.$transaction(async (transaction) => {
      if (idempotencyKey === null || idempotencyKey === undefined) return work(transaction)();
      const request = { operation: 'submitFeedback', key: idempotencyKey, request: items };
      return once(transaction, request, now, work(transaction), keeping(transaction));
    });
  } catch (error) {
    if (error instanceof ItemError) return refused(error.toUserError());
    throw error;
  }
}

/** Judgements are answered as they stand when they are recalled; one that was taken back since is null. */
function keeping(transaction: Queries): Keeping<FeedbackAnswer> {
  return {
    keep: ({ feedback, userErrors }) => ({
      ids: feedback.map((row) => row?.id ?? null),
      userErrors,
      userIds: feedback.flatMap((row) => row?.userId ?? []),
    }),
    async recall({ ids, userErrors }) {
      const rows = await feedbackByIds(
        transaction,
        ids.filter((id) => id !== null),
      );
      return { feedback: ids.map((id) => (id && rows.get(id)) || null), userErrors };
    },
  };
}

/** One right item, its references resolved. */
interface Judgement {
  readonly userId: string;
  readonly imageId: string;
  readonly sentiment: Sentiment;
  readonly weight: number;
  readonly comment: string | null;
  readonly judgedAt: Date;
  /** The user and the image: of all judgements of a place one stands. */
  readonly place: string;
}

async function takeFeedback(
  transaction: Queries,
  queue: Queue,
  items: readonly FeedbackItem[],
  now: Date,
): Promise<FeedbackAnswer> {
  const { users, images } = await resolveReferences(
    transaction,
    items.map(({ user }) => user),
    items.map(({ image }) => image),
  );
  const userErrors: UserError[] = [];
  const judgements = items.map((item, i) =>
    attempt(userErrors, ['items', String(i)], () => toJudgement(item, users[i] ?? null, images[i] ?? null, now)),
  );
  const newest = newestOfEach(judgements);
  const written = await write(transaction, newest);
  if (written.size > 0) await queue.send(transaction, 'profiles', [{ tenantId: currentTenant() }]);
  const untouched = [...newest.values()].filter(({ place }) => !written.has(place));
  const standing = await readStanding(transaction, untouched);
  const feedback = judgements.map(
    (judgement) => (judgement && (written.get(judgement.place) ?? standing.get(judgement.place))) ?? null,
  );
  judgements.forEach((judgement, i) => {
    if (!judgement || feedback[i]) return;
    const message = 'The user or the image has just been deleted.';
    userErrors.push({ field: ['items', String(i)], code: 'NOT_FOUND', message });
  });
  return { feedback, userErrors };
}

function toJudgement(item: FeedbackItem, user: Referent | null, image: Referent | null, now: Date): Judgement {
  if (!user) throw new ItemError(['user'], 'NOT_FOUND', 'There is no user as user names one.');
  if (!image || !isVisible(image, user.id)) {
    throw new ItemError(['image'], 'NOT_FOUND', 'There is no image as image names one.');
  }
  const weight = item.weight ?? 1;
  if (!(weight > 0 && weight <= MAX_WEIGHT)) {
    throw new ItemError(['weight'], 'INVALID', `weight is ${weight}; it must be above 0 and at most ${MAX_WEIGHT}.`);
  }
  if (weight !== 1 && currentPerson() !== null) {
    throw new ItemError(['weight'], 'INVALID', `weight is ${weight}; a person's own judgements weigh 1.`);
  }
  checkText('comment', item.comment, MAX_COMMENT);
  const judgedAt = item.judgedAt ?? now;
  checkJudgedAt(judgedAt, now);
  return {
    userId: user.id,
    imageId: image.id,
    sentiment: item.sentiment,
    weight,
    comment: item.comment ?? null,
    judgedAt,
    place: placeOf(user.id, image.id),
  };
}

/** Throws an ItemError, INVALID, for an instant that is more than five minutes ahead, or before 1970. */
export function checkJudgedAt(judgedAt: Date, now: Date): void {
  if (judgedAt.getTime() >= 0 && judgedAt.getTime() <= now.getTime() + MAX_AHEAD_MS) return;
  const shown = Number.isNaN(judgedAt.getTime()) ? 'no instant' : judgedAt.toISOString();
  throw new ItemError(
    ['judgedAt'],
    'INVALID',
    `judgedAt is ${shown}; it must be after 1970 and at most five minutes ahead of the service's clock, which reads ${now.toISOString()}.`,
  );
}

const placeOf = (userId: string, imageId: string) => `${userId} ${imageId}`;

/** Of judgements of one place the newest, by place; of equally new ones, the later in the list. */
function newestOfEach(judgements: readonly (Judgement | null)[]): Map<string, Judgement> {
  const newest = new Map<string, Judgement>();
  for (const judgement of judgements) {
    if (!judgement) continue;
    const other = newest.get(judgement.place);
    if (!other || judgement.judgedAt >= other.judgedAt) newest.set(judgement.place, judgement);
  }
  return newest;
}

/**
 * Writes what is newer than what stands and raises the versions of whose feedback it changed; answers what it wrote, by
 * place. It is one statement: every further one is a journey, and its lists would travel again.
 *
 * People are locked in the order of `lockUsers`, and before the images. Of a person or an image deleted since they were
 * looked up nothing is written; the others stay until it is. A list that is too short, unnest fills up with NULL.
 */
async function write(transaction: Queries, judgements: ReadonlyMap<string, Judgement>): Promise<Map<string, Feedback>> {
  if (judgements.size === 0) return new Map();
  const given = [...judgements.values()];
  const userIds = given.map(({ userId }) => userId);
  const imageIds = given.map(({ imageId }) => imageId);
  const sentiments = given.map(({ sentiment }) => sentiment);
  const weights = given.map(({ weight }) => weight);
  const comments = given.some(({ comment }) => comment !== null) ? given.map(({ comment }) => comment) : [];
  const instants = given.map(({ judgedAt }) => judgedAt.toISOString());
  const tenantId = currentTenant();
  const rows = await transaction.$queryRaw<Pick<Feedback, 'id' | 'userId' | 'imageId' | 'createdAt'>[]>`
    WITH present AS (
      SELECT id FROM users WHERE id = ANY(${textList('uuid', [...new Set(userIds)])}) ORDER BY id FOR NO KEY UPDATE
    ), held AS (
      SELECT id FROM images WHERE id = ANY(${textList('uuid', [...new Set(imageIds)])})
        AND (SELECT count(*) FROM present) > 0 ORDER BY id FOR KEY SHARE
    ), written AS (
      INSERT INTO feedback (tenant_id, id, user_id, image_id, sentiment, weight, comment, judged_at)
      SELECT ${tenantId}::uuid, item.* FROM unnest(
        ${textList('uuid', given.map(newId))}, ${textList('uuid', userIds)}, ${textList('uuid', imageIds)},
        ${textList('sentiment', sentiments)}, ${textList('float8', weights)},
        ${comments}::text[], ${textList('timestamptz', instants)}
      ) AS item (id, user_id, image_id, sentiment, weight, comment, judged_at)
      WHERE item.user_id IN (SELECT id FROM present) AND item.image_id IN (SELECT id FROM held)
      ON CONFLICT (tenant_id, user_id, image_id) DO UPDATE SET
        sentiment = EXCLUDED.sentiment, weight = EXCLUDED.weight, comment = EXCLUDED.comment,
        judged_at = EXCLUDED.judged_at
      WHERE feedback.judged_at <= EXCLUDED.judged_at
      RETURNING id, user_id, image_id, created_at
    ), raised AS (
      UPDATE users SET feedback_version = feedback_version + 1
      WHERE id = ANY(ARRAY(SELECT DISTINCT user_id FROM written))
    )
    SELECT id, user_id AS "userId", image_id AS "imageId", created_at AS "createdAt" FROM written`;
  return new Map(
    rows.map(({ id, userId, imageId, createdAt }) => {
      const { place, sentiment, weight, comment, judgedAt } = judgements.get(placeOf(userId, imageId))!;
      return [place, { tenantId, id, userId, imageId, sentiment, weight, comment, judgedAt, createdAt }];
    }),
  );
}

/** The judgements that stand in the places of these, by place. */
async function readStanding(transaction: Queries, judgements: readonly Judgement[]): Promise<Map<string, Feedback>> {
  if (judgements.length === 0) return new Map();
  const rows = await transaction.$queryRaw<Feedback[]>`
    SELECT ${FEEDBACK_COLUMNS}
    FROM unnest(
      ${judgements.map(({ userId }) => userId)}::uuid[], ${judgements.map(({ imageId }) => imageId)}::uuid[]
    ) AS wanted (user_id, image_id)
    JOIN feedback ON feedback.tenant_id = ${currentTenant()}::uuid
      AND feedback.user_id = wanted.user_id AND feedback.image_id = wanted.image_id`;
  return new Map(rows.map((row) => [placeOf(row.userId, row.imageId), row]));
}

/** Takes back feedback or comparisons, at most 500, by global id. An id given twice is taken back once. */
export async function retractFeedback(
  platform: FeedbackPlatform,
  ids: readonly string[],
): Promise<{ retractedIds: string[]; userErrors: UserError[] }> {
  const many = tooMany('ids', ids);
  if (many) return { retractedIds: [], userErrors: [many] };
  const named = (type: string) => ids.map(fromGlobalId).flatMap((found) => (found?.type === type ? [found.id] : []));
  return platform.database.$transaction(async (transaction) => {
    const feedback = await deleteFeedback(transaction, named('Feedback'));
    const comparisons = await transaction.$queryRaw<{ id: string }[]>`
      DELETE FROM comparisons WHERE id = ANY(${named('Comparison')}::uuid[]) RETURNING id`;
    if (feedback.length > 0) await platform.queue.send(transaction, 'profiles', [{ tenantId: currentTenant() }]);

    const gone = new Set([...feedback, ...comparisons].map(({ id }) => id));
    const isGone = (globalId: string) => gone.has(fromGlobalId(globalId)?.id ?? '');
    const userErrors = ids.flatMap((globalId, i): UserError[] => {
      if (isGone(globalId)) return [];
      const message = 'There is no feedback and no comparison with this id.';
      return [{ field: ['ids', String(i)], code: 'NOT_FOUND', message }];
    });
    return { retractedIds: [...new Set(ids.filter(isGone))], userErrors };
  });
}

async function deleteFeedback(transaction: Queries, ids: readonly string[]): Promise<{ id: string }[]> {
  const rows = await transaction.feedback.findMany({ where: { id: { in: [...ids] } }, select: { userId: true } });
  const userIds = rows.map(({ userId }) => userId);
  await lockUsers(transaction, userIds);
  const deleted = await transaction.$queryRaw<{ id: string; userId: string }[]>`
    DELETE FROM feedback WHERE id = ANY(${ids}::uuid[]) RETURNING id, user_id AS "userId"`;
  await raiseFeedbackVersions(
    transaction,
    deleted.map(({ userId }) => userId),
  );
  return deleted;
}
