/**
 * Deleting images with all that rests on them: judgements, comparisons, embeddings, vectors, waiting work, memory, and
 * the stored bytes where no other row needs them. What is known of those who judged them is stale then.
 */
import { currentTenant, type Queries } from '../database/client.ts';
import { type Queue, takeOutImages } from '../queue/queue.ts';
import { BeginAnew, takeDeletionTurn, untilThrough } from './deletionTurns.ts';
import { withdrawExemplars } from './exemplars.ts';
import { type Forgotten, forget, tellReplicas } from './forgetting.ts';
import { idOf, toGlobalId } from './ids.ts';
import type { Platform } from './platform.ts';
import { eraseLater } from './storedFiles.ts';
import { ItemError, tooMany, type UserError } from './userErrors.ts';
import { lockUsers, raiseFeedbackVersions } from './users.ts';

/** An image as its deletion needs it. */
export interface DoomedImage {
  readonly id: string;
  readonly sha256: string;
}

/** Deletes images, at most 500, by global id. An id given twice is deleted once; NOT_FOUND for what names none. */
export async function deleteImages(
  platform: Platform,
  globalIds: readonly string[],
): Promise<{ deletedIds: string[]; userErrors: UserError[] }> {
  const many = tooMany('ids', globalIds);
  if (many) return { deletedIds: [], userErrors: [many] };
  const ids = globalIds.flatMap((globalId) => idOf('Image', globalId) ?? []);
  const result = await untilThrough(() => deleteByIds(platform, ids)).catch((error: unknown) => {
    if (error instanceof ItemError) return error;
    throw error;
  });
  if (result instanceof ItemError) return { deletedIds: [], userErrors: [result.toUserError()] };
  forget(platform, result);
  const gone = new Set(result.imageIds.map((id) => toGlobalId('Image', id)));
  const userErrors = globalIds.flatMap((globalId, i): UserError[] => {
    if (gone.has(globalId)) return [];
    return [{ field: ['ids', String(i)], code: 'NOT_FOUND', message: 'There is no image with this id.' }];
  });
  return { deletedIds: [...new Set(globalIds.filter((globalId) => gone.has(globalId)))], userErrors };
}

function deleteByIds({ database, queue }: Platform, ids: readonly string[]): Promise<Forgotten> {
  return database.$transaction(async (transaction) => {
    await takeDeletionTurn(transaction);
    const judges = await judgesOf(transaction, ids);
    await lockUsers(transaction, judges);
    const images = await transaction.$queryRaw<DoomedImage[]>`
      SELECT id, sha256 FROM images WHERE id = ANY(${ids}::uuid[]) ORDER BY id FOR UPDATE`;
    await deleteLocked(transaction, queue, images, judges);
    const imageIds = images.map(({ id }) => id);
    const forgotten = { tenantId: currentTenant(), userIds: [], imageIds, changedUserIds: judges };
    await tellReplicas(transaction, forgotten);
    return forgotten;
  });
}

/** Who has judged any of these images. Index: feedback_tenant_id_image_id_idx. */
export async function judgesOf(transaction: Queries, imageIds: readonly string[]): Promise<string[]> {
  const rows = await transaction.feedback.findMany({
    where: { imageId: { in: [...imageIds] } },
    select: { userId: true },
    distinct: ['userId'],
  });
  return rows.map(({ userId }) => userId);
}

/**
 * Deletes images that are locked, and makes stale what is known of their judges, who are locked too. Throws
 * {@link BeginAnew} where somebody has judged one of them between the two locks.
 */
export async function deleteLocked(
  transaction: Queries,
  queue: Queue,
  images: readonly DoomedImage[],
  judges: readonly string[],
): Promise<void> {
  if (images.length === 0) return;
  const ids = images.map(({ id }) => id);
  const known = new Set(judges);
  if ((await judgesOf(transaction, ids)).some((id) => !known.has(id))) throw new BeginAnew();

  const compared = await transaction.comparisonOther.findMany({
    where: { imageId: { in: ids } },
    select: { comparisonId: true },
    distinct: ['comparisonId'],
  });
  await withdrawExemplars(transaction, queue, ids);
  await transaction.$executeRaw`DELETE FROM images WHERE id = ANY(${ids}::uuid[])`;
  // Chosen over nothing that is still there: such a comparison says nothing any more.
  await transaction.comparison.deleteMany({
    where: { id: { in: compared.map(({ comparisonId }) => comparisonId) }, others: { none: {} } },
  });
  await raiseFeedbackVersions(transaction, judges);
  if (judges.length > 0) {
    // Their kept lists hold the judgements that they were made from.
    await transaction.recommendationList.deleteMany({ where: { userId: { in: [...judges] } } });
    await queue.send(transaction, 'profiles', [{ tenantId: currentTenant() }]);
  }
  await takeOutImages(transaction, ids);
  await eraseLater(
    transaction,
    queue,
    images.map(({ sha256 }) => sha256),
  );
}
