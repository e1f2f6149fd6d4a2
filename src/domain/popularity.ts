/** What others made of images: an input of models that learned what a tenant's people like in general. */
import type { Database } from '../database/client.ts';
import type { Popularity } from '../inference/preferenceModel.ts';

/**
 * For each pair of a person and an image, in their order, also where the session is a person's. Skips count for nothing,
 * nor do the person's own judgements. Index: feedback_tenant_id_image_id_idx.
 */
export async function readPopularity(
  database: Database,
  pairs: readonly { readonly userId: string; readonly imageId: string }[],
): Promise<Popularity[]> {
  const people = pairs.map(({ userId }) => userId);
  const images = pairs.map(({ imageId }) => imageId);
  return database.$queryRaw<Popularity[]>`
    SELECT sum, count FROM popularity(${people}::uuid[], ${images}::uuid[]) ORDER BY place`;
}
