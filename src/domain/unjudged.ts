/** What is left to show a person: images that can be scored, that they may see, and that they have not judged. */
import type { Database } from '../database/client.ts';
import { readyImages } from './itemVectors.ts';

export interface UnjudgedRequest {
  readonly userId: string;
  /** Of one collection, or of all. */
  readonly collection: string | null;
}

/** The images left for each request, newest first, in the requests' order. What was skipped is not left. */
export async function unjudgedImages(database: Database, requests: readonly UnjudgedRequest[]): Promise<string[][]> {
  const collections = [...new Set(requests.map(({ collection }) => collection))];
  const [judged, ready] = await Promise.all([
    judgedImages(database, [...new Set(requests.map(({ userId }) => userId))]),
    Promise.all(collections.map((collection) => readyImages(database, collection))),
  ]);
  return requests.map(({ userId, collection }) =>
    ready[collections.indexOf(collection)]!.filter(
      ({ id, ownerId }) => isSeenBy(userId, ownerId) && !judged.has(`${userId} ${id}`),
    ).map(({ id }) => id),
  );
}

/** `user image` for everything these users have judged, whatever they made of it. */
export async function judgedImages(database: Database, userIds: readonly string[]): Promise<Set<string>> {
  const rows = await database.feedback.findMany({
    where: { userId: { in: [...userIds] } },
    select: { userId: true, imageId: true },
  });
  return new Set(rows.map(({ userId, imageId }) => `${userId} ${imageId}`));
}

/** Whether a user may see an image: one without an owner, or their own. `undefined` is no image. */
export const isSeenBy = (userId: string, ownerId: string | null | undefined): boolean =>
  ownerId === null || ownerId === userId;
