/**
 * Makes pictures ready: bytes and prompt → embeddings, kept by the encoder's hash → the item vector of the model that
 * serves the tenant → READY. A picture that cannot be decoded becomes FAILED with its reason. Doing a job twice changes
 * nothing, and an image that was deleted meanwhile is no error. Knows no HTTP.
 */
import type { Database, Queries } from '../database/client.ts';
import { waitForDeletions } from '../domain/deletionTurns.ts';
import { requestExemplars } from '../domain/exemplars.ts';
import { activeModel, type Networks, type ServingModel } from '../domain/models.ts';
import { lockUsers, raiseFeedbackVersions } from '../domain/users.ts';
import { PalateError } from '../errors.ts';
import { fromHalfFloats, toHalfFloats, withinHalfFloats } from '../halfFloats.ts';
import type { ImageEncoder, TextEncoder } from '../inference/encoding/index.ts';
import type { PictureStore } from '../pictures/store.ts';
import type { Job, Queue } from '../queue/queue.ts';

export interface EncodePlatform {
  readonly database: Database;
  readonly networks: Networks;
  readonly queue: Queue;
  readonly pictures: PictureStore;
  readonly imageEncoder: ImageEncoder;
  readonly textEncoder: TextEncoder;
}

/** Jobs taken together: uploads that come one by one still fill a batch. */
const JOBS_AT_ONCE = 32;
/** Images made ready in one transaction; their files are held in memory meanwhile. */
const IMAGES_AT_ONCE = 16;

const NO_NUMBER = 'its encoder gave what is no number';
const GIVEN_UP = 'it could not be encoded for a reason of the service; upload it again, or ask who runs the service';

/** Takes up encode jobs as they come, until the queue stops. */
export function startEncoding(platform: EncodePlatform): Promise<void> {
  return platform.queue.work('encode', { batchSize: JOBS_AT_ONCE }, (jobs, tenantId) =>
    encodeJobs(platform, jobs, tenantId),
  );
}

/** Does jobs of one tenant, within its `withTenant`. What throws is tried again; after the last attempt it is FAILED. */
export async function encodeJobs(
  platform: EncodePlatform,
  jobs: readonly Job<'encode'>[],
  tenantId: string,
): Promise<void> {
  const ids = [...new Set(jobs.flatMap(({ data }) => data.imageIds))];
  try {
    const model = await activeModel(platform);
    assertEncoders(platform, model);
    for (let start = 0; start < ids.length; start += IMAGES_AT_ONCE) {
      await encodeImages(platform, model, tenantId, ids.slice(start, start + IMAGES_AT_ONCE));
    }
  } catch (error) {
    const givenUp = jobs.filter(({ lastAttempt }) => lastAttempt).flatMap(({ data }) => data.imageIds);
    await platform.database.image.updateMany({
      where: { id: { in: givenUp }, status: 'PENDING' },
      data: { status: 'FAILED', statusReason: GIVEN_UP },
    });
    throw error;
  }
}

/** Embeddings made with other encoders would be read as nonsense. */
function assertEncoders({ imageEncoder, textEncoder }: EncodePlatform, { row, network }: ServingModel): void {
  const pairs = [
    ['image', network.imageEncoder, imageEncoder.sha256],
    ['text', network.textEncoder, textEncoder.sha256],
  ] as const;
  for (const [kind, wanted, present] of pairs) {
    if (wanted === present) continue;
    const message = `Model version ${row.version} reads the ${kind} encoder ${wanted}; this worker has ${present}.`;
    throw new PalateError('NOT_READY', message);
  }
}

interface Encoded {
  readonly id: string;
  readonly prompt: string | null;
  readonly image: Float32Array;
  readonly text: Float32Array | null;
}

async function encodeImages(
  platform: EncodePlatform,
  model: ServingModel,
  tenantId: string,
  ids: readonly string[],
): Promise<void> {
  const { database, pictures, imageEncoder, textEncoder } = platform;
  const images = await database.image.findMany({
    where: { id: { in: [...ids] } },
    select: { id: true, sha256: true, prompt: true },
  });
  const known = await readEmbeddings(platform, images);

  const failures = new Map<string, string>();
  const fail = (id: string) => (error: unknown) => void failures.set(id, lastingReason(error));
  const unread = images.filter(({ id }) => !known.image.has(id));
  const files = new Map<string, Buffer>();
  await Promise.all(
    unread.map(({ id, sha256 }) => pictures.get(tenantId, sha256).then((file) => void files.set(id, file), fail(id))),
  );
  for (const [id, embedding] of await embedPictures(imageEncoder, files, fail)) known.image.set(id, embedding);

  const unsaid = images.filter(({ id, prompt }) => prompt !== null && !known.text.has(id));
  const texts = await textEncoder.encode(unsaid.map(({ prompt }) => prompt ?? ''));
  unsaid.forEach(({ id }, i) => void known.text.set(id, asKept(texts[i]!)));

  const encoded = images.flatMap(({ id, prompt }): Encoded[] => {
    const image = known.image.get(id);
    const text = prompt === null ? null : (known.text.get(id) ?? null);
    if (!image) return [];
    if (![...image, ...(text ?? [])].some(Number.isNaN)) return [{ id, prompt, image, text }];
    failures.set(id, NO_NUMBER);
    return [];
  });
  const vectors = await model.network.itemVectors(encoded);
  await keep(platform, model, encoded, vectors, failures);
}

/** Embeddings that these images have already, by image id. */
async function readEmbeddings(
  { database, imageEncoder, textEncoder }: EncodePlatform,
  images: readonly { id: string }[],
): Promise<{ image: Map<string, Float32Array>; text: Map<string, Float32Array> }> {
  const rows = await database.embedding.findMany({
    where: { imageId: { in: images.map(({ id }) => id) }, encoder: { in: [imageEncoder.sha256, textEncoder.sha256] } },
  });
  const of = ({ sha256 }: { sha256: string }) => {
    const own = rows.filter(({ encoder }) => encoder === sha256);
    return new Map(own.map(({ imageId, vector }) => [imageId, fromHalfFloats(halvesOf(vector))]));
  };
  return { image: of(imageEncoder), text: of(textEncoder) };
}

/** All at once; only where one of them cannot be decoded, one by one, to learn which. */
async function embedPictures(
  encoder: ImageEncoder,
  files: ReadonlyMap<string, Buffer>,
  fail: (id: string) => (error: unknown) => void,
): Promise<Map<string, Float32Array>> {
  const ids = [...files.keys()];
  try {
    const embeddings = await encoder.encode([...files.values()]);
    return new Map(ids.map((id, i) => [id, asKept(embeddings[i]!)]));
  } catch (error) {
    if (!isLasting(error)) throw error;
    if (ids.length === 1) {
      fail(ids[0]!)(error);
      return new Map();
    }
    const parts = ids.map((id) => embedPictures(encoder, new Map([[id, files.get(id)!]]), fail));
    return new Map((await Promise.all(parts)).flatMap((part) => [...part]));
  }
}

/**
 * Writes everything of a batch in one transaction. Images that were deleted or given another prompt meanwhile are left
 * out: whoever changed the prompt has sent a job of its own.
 */
async function keep(
  { database, queue, imageEncoder, textEncoder }: EncodePlatform,
  { row }: ServingModel,
  encoded: readonly Encoded[],
  vectors: readonly Uint16Array[],
  failures: ReadonlyMap<string, string>,
): Promise<void> {
  await database.$transaction(async (rows) => {
    await waitForDeletions(rows);
    const locked = await lockImages(rows, [...encoded.map(({ id }) => id), ...failures.keys()]);
    const current = [...encoded.keys()].filter((i) => locked.get(encoded[i]!.id)?.prompt === encoded[i]!.prompt);
    const ids = current.map((i) => encoded[i]!.id);

    const { tenantId, tower } = row;
    const embeddings = current.flatMap((i) => {
      const { id: imageId, image, text } = encoded[i]!;
      const ofImage = { tenantId, imageId, encoder: imageEncoder.sha256, vector: bytesOf(toHalfFloats(image)) };
      if (!text) return [ofImage];
      return [ofImage, { tenantId, imageId, encoder: textEncoder.sha256, vector: bytesOf(toHalfFloats(text)) }];
    });
    await rows.embedding.createMany({ data: embeddings, skipDuplicates: true });
    await rows.itemVector.deleteMany({ where: { tower, imageId: { in: ids } } }); // those of an earlier prompt
    await rows.itemVector.createMany({
      data: current.map((i) => ({ tenantId, tower, imageId: encoded[i]!.id, vector: bytesOf(vectors[i]!) })),
    });
    await rows.image.updateMany({ where: { id: { in: ids } }, data: { status: 'READY', statusReason: null } });
    for (const [id, statusReason] of failures) {
      await rows.image.updateMany({ where: { id, status: 'PENDING' }, data: { status: 'FAILED', statusReason } });
    }
    const judges = await renewJudges(rows, ids);
    if (judges.length > 0) await queue.send(rows, 'profiles', [{ tenantId }]);
    const ownerless = ids.filter((id) => locked.get(id)?.ownerId === null);
    await requestExemplars(rows, queue, ownerless);
  });
}

interface LockedImage {
  readonly id: string;
  readonly prompt: string | null;
  readonly ownerId: string | null;
}

/** The images that still exist; none changes before the transaction ends. Index: images_pkey. */
async function lockImages(rows: Queries, ids: readonly string[]): Promise<Map<string, LockedImage>> {
  const locked = await rows.$queryRaw<LockedImage[]>`
    SELECT id, prompt, owner_id AS "ownerId" FROM images WHERE id = ANY(${ids}::uuid[]) ORDER BY id FOR NO KEY UPDATE`;
  return new Map(locked.map((image) => [image.id, image]));
}

/**
 * A judgement counts from when its image is READY: what is known of those who judged it before is stale. Returns who
 * they are. Index: feedback_tenant_id_image_id_idx.
 */
async function renewJudges(rows: Queries, imageIds: readonly string[]): Promise<string[]> {
  const judged = await rows.feedback.findMany({
    where: { imageId: { in: [...imageIds] }, sentiment: { not: 'SKIP' } },
    select: { userId: true },
    distinct: ['userId'],
  });
  const userIds = judged.map(({ userId }) => userId);
  await lockUsers(rows, userIds);
  await raiseFeedbackVersions(rows, userIds);
  return userIds;
}

/** True for what trying again cannot mend. */
function isLasting(error: unknown): error is PalateError {
  return error instanceof PalateError && (error.code === 'INVALID' || error.code === 'NOT_FOUND');
}

/** Why an image is FAILED; throws what may pass by itself. */
function lastingReason(error: unknown): string {
  if (!isLasting(error)) throw error;
  return error.code === 'NOT_FOUND' ? 'its bytes are missing; upload it again' : 'its bytes cannot be decoded';
}

/** An embedding as it is read back later, so that an item vector does not depend on when it was made. */
const asKept = (embedding: Float32Array): Float32Array => fromHalfFloats(toHalfFloats(withinHalfFloats(embedding)));

/** Half floats, little-endian, as the database keeps them. */
const bytesOf = (halves: Uint16Array): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(new Uint8Array(halves.buffer, halves.byteOffset, halves.byteLength));

/** Copied, since a row's bytes may begin at an odd address. */
const halvesOf = (bytes: Uint8Array): Uint16Array => new Uint16Array(Uint8Array.from(bytes).buffer);
