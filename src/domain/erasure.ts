/**
 * Erasing a person: every row about them, their own pictures, waiting work, and what memory holds, in one transaction.
 * What stays is a tombstone and the audit log, which name them by a random id, and which models learned from them.
 */
import { currentPerson, currentTenant, type Queries, withTenant } from '../database/client.ts';
import type { Model } from '../database/generated/client.ts';
import { recordEvent } from './auditLog.ts';
import type { Caller } from './credentials.ts';
import { takeDeletionTurn, untilThrough } from './deletionTurns.ts';
import { type Forgotten, forget, tellReplicas } from './forgetting.ts';
import { idOf, toGlobalId } from './ids.ts';
import { type DoomedImage, deleteLocked, judgesOf } from './imageDeletion.ts';
import type { Platform } from './platform.ts';
import { ItemError } from './userErrors.ts';
import { lockUsers } from './users.ts';

/** The transaction may take so long: somebody may have judged for years. */
const TIMEOUT_MS = 120_000;

export interface ErasedPerson {
  /** Global id. */
  readonly deletedId: string;
  /** Judgements that this person had given. */
  readonly feedbackDeleted: number;
  readonly modelsTrainedOnUser: readonly Model[];
}

/**
 * Erases a person of the tenant; a person only themself. Throws an ItemError: NOT_FOUND, or IN_PROGRESS where their
 * own pictures are judged faster than they can be deleted.
 */
export async function deleteUser(platform: Platform, caller: Caller, globalId: string): Promise<ErasedPerson> {
  const userId = idOf('User', globalId);
  const person = currentPerson();
  if (userId === null || (person !== null && person !== userId)) throw noUser();
  // Others' judgements of their pictures, and the tombstone, are beyond what a person's own session sees.
  return withTenant(currentTenant(), async () => {
    const { forgotten, answer } = await untilThrough(() => erase(platform, caller, userId));
    forget(platform, forgotten);
    return answer;
  });
}

const noUser = () => new ItemError(['id'], 'NOT_FOUND', 'There is no user with this id.');

function erase(
  { database, queue, now }: Platform,
  caller: Caller,
  userId: string,
): Promise<{ forgotten: Forgotten; answer: ErasedPerson }> {
  const tenantId = currentTenant();
  return database.$transaction(
    async (transaction) => {
      await takeDeletionTurn(transaction);
      const images = await lockPerson(transaction, userId);
      const judgements = await transaction.$queryRaw<{ id: string }[]>`
        DELETE FROM feedback WHERE user_id = ${userId}::uuid RETURNING id`;
      const feedbackDeleted = judgements.length;
      await deleteLocked(transaction, queue, images.own, images.judges);
      await takeOutOfAnswers(
        transaction,
        userId,
        judgements.map(({ id }) => id),
      );
      await transaction.pointLease.deleteMany({ where: { subject: userId } });
      await transaction.$executeRaw`DELETE FROM users WHERE id = ${userId}::uuid`; // and all that hangs on the row

      const erasedAt = now();
      await transaction.erasure.create({ data: { tenantId, userId, erasedAt, feedbackDeleted } });
      const deletedId = toGlobalId('User', userId);
      await recordEvent(transaction, caller, erasedAt, { action: 'deleteUser', subject: deletedId });
      const imageIds = images.own.map(({ id }) => id);
      const forgotten = { tenantId, userIds: [userId], imageIds, changedUserIds: images.judges };
      await tellReplicas(transaction, forgotten);
      const modelsTrainedOnUser = await modelsTrainedOn(transaction, userId);
      return { forgotten, answer: { deletedId, feedbackDeleted, modelsTrainedOnUser } };
    },
    { timeout: TIMEOUT_MS },
  );
}

/** Models whose training people this person is among, oldest first. Index: training_people_tenant_id_user_id_idx. */
export function modelsTrainedOn(queries: Queries, userId: string): Promise<Model[]> {
  return queries.model.findMany({ where: { trainingPeople: { some: { userId } } }, orderBy: { version: 'asc' } });
}

/**
 * Locks the person so that nothing can hang on their row any more, those who judged their pictures, and the pictures.
 * All people in the order of their ids, as `lockUsers` takes them.
 */
async function lockPerson(transaction: Queries, userId: string): Promise<{ own: DoomedImage[]; judges: string[] }> {
  const seen = await transaction.image.findMany({ where: { ownerId: userId }, select: { id: true } });
  const others = await judgesOf(
    transaction,
    seen.map(({ id }) => id),
  );
  const judges = others.filter((id) => id !== userId);
  await lockUsers(
    transaction,
    judges.filter((id) => id < userId),
  );
  const locked = await transaction.$queryRaw<{ id: string }[]>`
    SELECT id FROM users WHERE id = ${userId}::uuid FOR UPDATE`;
  if (locked.length === 0) throw noUser();
  await lockUsers(
    transaction,
    judges.filter((id) => id > userId),
  );
  const own = await transaction.$queryRaw<DoomedImage[]>`
    SELECT id, sha256 FROM images WHERE owner_id = ${userId}::uuid ORDER BY id FOR UPDATE`;
  return { own, judges };
}

/**
 * What was answered about this person alone, or to them, is forgotten; of an answer about others too they are taken
 * out, and so are the rows that go with them: they were answered, and are null from now on.
 */
async function takeOutOfAnswers(transaction: Queries, userId: string, gone: readonly string[]): Promise<void> {
  await transaction.$executeRaw`
    DELETE FROM idempotency_keys
    WHERE asker = ${userId}::uuid OR (user_ids @> ARRAY[${userId}::uuid] AND cardinality(user_ids) = 1)`;
  await transaction.$executeRaw`
    UPDATE idempotency_keys SET
      user_ids = array_remove(user_ids, ${userId}::uuid),
      ids = ARRAY(
        SELECT CASE WHEN id = ANY(${gone}::uuid[]) THEN '00000000-0000-0000-0000-000000000000'::uuid ELSE id END
        FROM unnest(ids) WITH ORDINALITY AS answered (id, place) ORDER BY place
      )
    WHERE user_ids @> ARRAY[${userId}::uuid]`;
}
