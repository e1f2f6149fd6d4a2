/** What a person has judged, and what they may see: images are recommended to them, and asked about, by both. */
import type { Database } from '../database/client.ts';

/** Of each of these users the images that they have judged, whatever they made of them. */
export async function judgedImages(
  database: Database,
  userIds: readonly string[],
): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
  const rows = await database.feedback.findMany({
    where: { userId: { in: [...userIds] } },
    select: { userId: true, imageId: true },
  });
  const judged = new Map<string, Set<string>>();
  for (const { userId, imageId } of rows) judged.set(userId, (judged.get(userId) ?? new Set()).add(imageId));
  return judged;
}

/** Whether a user may see an image: one without an owner, or their own. `undefined` is no image. */
export const isSeenBy = (userId: string, ownerId: string | null | undefined): boolean =>
  ownerId === null || ownerId === userId;
