/**
 * Describing images that are there. A change of what the model reads, the prompt, sends the image to be encoded again
 * and makes stale what was computed for the users who judged it.
 */
import { currentTenant, type Database, type Queries } from '../database/client.ts';
import type { Image } from '../database/generated/client.ts';
import { waitForDeletions } from './deletionTurns.ts';
import { mayBeExemplar, requestExemplars, withdrawExemplars } from './exemplars.ts';
import { idOf } from './ids.ts';
import {
  checkDescription,
  type EncodingQueue,
  externalIdTaken,
  type ImageDescription,
  imagesByExternalIds,
  queueEncoding,
  resolveImages,
} from './images.ts';
import { attempt, ItemError, tooMany, type UserError } from './userErrors.ts';
import { lockUsers, raiseFeedbackVersions, resolveUsers } from './users.ts';

export interface UpdateImageItem extends ImageDescription {
  /** Global id. */
  readonly id: string;
}

/**
 * Describes images, at most 500; a new prompt makes an image PENDING and queues it. An image may stand in the list
 * once. Items that are wrong are null in `images`, with their reason in `userErrors`. Throws what `queueEncoding` throws.
 */
export async function updateImages(
  platform: EncodingQueue & { readonly database: Database },
  items: readonly UpdateImageItem[],
): Promise<{ images: (Image | null)[]; userErrors: UserError[] }> {
  const many = tooMany('items', items);
  if (many) return { images: items.map(() => null), userErrors: [many] };
  return platform.database.$transaction(async (transaction) => {
    const userErrors: UserError[] = [];
    await waitForDeletions(transaction);
    const changed = await planUpdates(transaction, items, userErrors);
    const rows = changed.filter((change) => change !== null);
    const renewed = rows.filter(({ before, after }) => before.prompt !== after.prompt).map(({ after }) => after.id);
    const moved = rows.filter(({ before, after }) => before.ownerId !== after.ownerId).map(({ after }) => after.id);
    // Users before images, as submitFeedback takes them, so that the two wait for each other and not in a circle.
    await forgetPrompts(transaction, renewed);
    await renewJudges(transaction, [...new Set([...renewed, ...moved])]);
    await writeUpdates(
      transaction,
      rows.map(({ after }) => after),
    );
    await queueEncoding(transaction, platform, renewed);
    await withdrawExemplars(transaction, platform.queue, [...new Set([...renewed, ...moved])]);
    const freed = rows.filter(({ before, after }) => before.ownerId !== null && mayBeExemplar(after));
    await requestExemplars(
      transaction,
      platform.queue,
      freed.map(({ after }) => after.id),
    );
    return { images: changed.map((change) => change?.after ?? null), userErrors };
  });
}

interface Change {
  readonly before: Image;
  readonly after: Image;
}

async function planUpdates(
  transaction: Queries,
  items: readonly UpdateImageItem[],
  userErrors: UserError[],
): Promise<(Change | null)[]> {
  const images = await lockImages(transaction, items);
  const owners = await resolveUsers(
    transaction,
    items.map(({ owner }) => owner ?? {}),
  );
  const named = await imagesByExternalIds(
    transaction,
    items.flatMap(({ externalId }) => externalId ?? []),
  );
  const samePictures = await transaction.image.findMany({
    where: { sha256: { in: images.flatMap((image) => image?.sha256 ?? []) } },
    select: { id: true, sha256: true, ownerId: true },
  });
  // Who has a name, or a picture of an owner, before and while the items are gone through in order.
  const holderOfName = new Map([...named].map(([externalId, { id }]) => [externalId, id]));
  const pictureOf = ({ sha256, ownerId }: Pick<Image, 'sha256' | 'ownerId'>) => `${sha256} ${ownerId}`;
  const holderOfPicture = new Map(samePictures.map((image) => [pictureOf(image), image.id]));
  const seen = new Set<string>();

  return items.map((item, i) =>
    attempt(userErrors, ['items', String(i)], () => {
      const before = images[i];
      if (!before) throw new ItemError(['id'], 'NOT_FOUND', 'There is no image with this id.');
      if (seen.has(before.id)) throw new ItemError(['id'], 'INVALID', 'This image stands in the list already.');
      checkDescription(item);
      if (item.owner && !owners[i]) throw new ItemError(['owner'], 'NOT_FOUND', 'There is no user as owner names one.');
      const after = describe(before, item, owners[i]?.id ?? null);
      if (after.externalId !== null && (holderOfName.get(after.externalId) ?? after.id) !== after.id) {
        throw externalIdTaken(after.externalId);
      }
      if ((holderOfPicture.get(pictureOf(after)) ?? after.id) !== after.id) {
        throw new ItemError(
          ['owner'],
          'CONFLICT',
          'The same picture is stored for this owner already, as another image.',
        );
      }
      seen.add(after.id);
      if (after.externalId !== null) holderOfName.set(after.externalId, after.id);
      holderOfPicture.set(pictureOf(after), after.id);
      return { before, after };
    }),
  );
}

/** The images as they are, and as they stay until the transaction ends. */
async function lockImages(transaction: Queries, items: readonly UpdateImageItem[]): Promise<(Image | null)[]> {
  const ids = items.flatMap(({ id }) => idOf('Image', id) ?? []);
  await transaction.$queryRaw`SELECT id FROM images WHERE id = ANY(${ids}::uuid[]) ORDER BY id FOR NO KEY UPDATE`;
  return resolveImages(
    transaction,
    items.map(({ id }) => ({ id })),
  );
}

function describe(before: Image, item: UpdateImageItem, ownerId: string | null): Image {
  const { externalId, prompt, generator, collection } = item;
  const after = {
    ...before,
    externalId: externalId === undefined ? before.externalId : externalId,
    prompt: prompt === undefined ? before.prompt : prompt || null,
    generator: generator === undefined ? before.generator : generator,
    collection: collection === undefined ? before.collection : collection,
    ownerId: item.owner === undefined ? before.ownerId : ownerId,
  };
  return after.prompt === before.prompt ? after : { ...after, status: 'PENDING', statusReason: null };
}

async function writeUpdates(transaction: Queries, images: readonly Image[]): Promise<void> {
  const column = <K extends keyof Image>(name: K) => images.map((image) => image[name]);
  await transaction.$executeRaw`
    UPDATE images SET
      external_id = item.external_id, prompt = item.prompt, generator = item.generator,
      collection = item.collection, owner_id = item.owner_id,
      status = CASE WHEN images.prompt IS DISTINCT FROM item.prompt THEN 'PENDING'::image_status ELSE images.status END,
      status_reason = CASE WHEN images.prompt IS DISTINCT FROM item.prompt THEN NULL ELSE images.status_reason END
    FROM unnest(
      ${column('id')}::uuid[], ${column('externalId')}::text[], ${column('prompt')}::text[],
      ${column('generator')}::text[], ${column('collection')}::text[], ${column('ownerId')}::uuid[]
    ) AS item (id, external_id, prompt, generator, collection, owner_id)
    WHERE images.tenant_id = ${currentTenant()}::uuid AND images.id = item.id`;
}

/** Forgets the text embeddings of the former prompts. */
async function forgetPrompts(transaction: Queries, imageIds: readonly string[]): Promise<void> {
  if (imageIds.length === 0) return;
  await transaction.$executeRaw`
    DELETE FROM embeddings
    WHERE image_id = ANY(${imageIds}::uuid[]) AND encoder IN (SELECT text_encoder FROM models)`;
}

/**
 * Makes stale whatever rests on the judgements of these images: another prompt is another image to the model, and one
 * that is somebody's own now counts for nobody else. Index: feedback_tenant_id_image_id_idx.
 */
async function renewJudges(transaction: Queries, imageIds: readonly string[]): Promise<void> {
  if (imageIds.length === 0) return;
  const judged = await transaction.feedback.findMany({
    where: { imageId: { in: [...imageIds] }, sentiment: { not: 'SKIP' } },
    select: { userId: true },
    distinct: ['userId'],
  });
  const userIds = judged.map(({ userId }) => userId);
  await lockUsers(transaction, userIds);
  await raiseFeedbackVersions(transaction, userIds);
}
