/**
 * Makes pictures ready: bytes and prompt → embeddings, kept by the encoder's hash → the item vectors of the model that
 * serves the tenant, and of those kept prepared beside it → READY. A picture that cannot be decoded becomes FAILED with its reason. Doing a job twice changes
 * nothing, and an image that was deleted meanwhile is no error. Knows no HTTP.
 */
import { currentTenant, type Database, type Queries } from '../database/client.ts';
import type { Model } from '../database/generated/client.ts';
import { waitForDeletions } from '../domain/deletionTurns.ts';
import { requestExemplars } from '../domain/exemplars.ts';
import { toBytes, toItemVector } from '../domain/itemVectors.ts';
import { type ActiveRows, activeModel, type Networks, type ServingModel } from '../domain/models.ts';
import { keptModels } from '../domain/preparing.ts';
import { lockUsers, raiseFeedbackVersions } from '../domain/users.ts';
import { holdVersions } from '../domain/versionTurns.ts';
import { PalateError } from '../errors.ts';
import { type FileStore, StoreUnreachable } from '../files/store.ts';
import { fromHalfFloats, toHalfFloats, withinHalfFloats } from '../halfFloats.ts';
import type { ImageEncoder, TextEncoder } from '../inference/encoding/index.ts';
import type { Job, Queue } from '../queue/queue.ts';

export interface EncodePlatform {
  readonly database: Database;
  readonly activeRows: ActiveRows;
  readonly networks: Networks;
  readonly queue: Queue;
  readonly pictures: FileStore;
  readonly imageEncoder: ImageEncoder;
  readonly textEncoder: TextEncoder;
}

/** Jobs taken together: uploads that come one by one still fill a batch. */
const JOBS_AT_ONCE = 32;
/** Images made ready in one transaction; their files are held in memory meanwhile. */
const IMAGES_AT_ONCE = 16;

/** What keeps the bytes is given so long to come back. */
const AGAIN = { afterSeconds: 60 };

const NO_NUMBER = 'its encoder gave what is no number';
const GIVEN_UP = 'it could not be encoded for a reason of the service; upload it again, or ask who runs the service';

/** Takes up encode jobs as they come, until the queue stops. */
export function startEncoding(platform: EncodePlatform): Promise<void> {
  return platform.queue.work('encode', { batchSize: JOBS_AT_ONCE }, (jobs, tenantId) =>
    encodeJobs(platform, jobs, tenantId),
  );
}

/**
 * Does jobs of one tenant, within its `withTenant`. What throws is tried again; after the last attempt it is FAILED, but
 * where the bytes could not be reached: then it is as if the images had come in anew.
 */
export async function encodeJobs(
  platform: EncodePlatform,
  jobs: readonly Job<'encode'>[],
  tenantId: string,
): Promise<void> {
  const ids = [...new Set(jobs.flatMap(({ data }) => data.imageIds))];
  try {
    for (let start = 0; start < ids.length; start += IMAGES_AT_ONCE) {
      const some = ids.slice(start, start + IMAGES_AT_ONCE);
      // A version that came in meanwhile has a tower that these images are to be in as well: once more.
      while (!(await encodeImages(platform, await towersToFill(platform), tenantId, some)));
    }
  } catch (error) {
    const last = jobs.filter(({ lastAttempt }) => lastAttempt).map(({ data }) => data);
    if (error instanceof StoreUnreachable) {
      await platform.database.$transaction((rows) => platform.queue.send(rows, 'encode', last, AGAIN));
      throw error;
    }
    const givenUp = last.flatMap(({ imageIds }) => imageIds);
    await platform.database.image.updateMany({
      where: { id: { in: givenUp }, status: 'PENDING' },
      data: { status: 'FAILED', statusReason: GIVEN_UP },
    });
    throw error;
  }
}

/** The item towers that images are put into. */
interface Towers {
  /** One model a tower. */
  readonly filled: ReadonlyMap<string, ServingModel>;
  /** Of every version that is kept prepared, those included that cannot be filled here. */
  readonly kept: ReadonlySet<string>;
}

/**
 * The towers of the version that serves and of those that are kept prepared to. One of these whose file or encoders are
 * not here is left out: it is not prepared then, and is not promoted.
 */
async function towersToFill(platform: EncodePlatform): Promise<Towers> {
  const serving = await activeModel(platform);
  const other = strangeEncoder(platform, serving.row);
  if (other) throw new PalateError('NOT_READY', other);
  const filled = new Map([[serving.row.tower, serving]]);
  const rows = await keptModels(platform.database);
  for (const row of rows) {
    if (filled.has(row.tower) || strangeEncoder(platform, row)) continue;
    const model = await platform.networks.of(row).catch(() => null);
    if (model) filled.set(row.tower, model);
  }
  return { filled, kept: new Set(rows.map(({ tower }) => tower)) };
}

/** Embeddings made with other encoders would be read as nonsense: which one is another; null where both are those here. */
function strangeEncoder({ imageEncoder, textEncoder }: EncodePlatform, row: Model): string | null {
  const pairs = [
    ['image', row.imageEncoder, imageEncoder.sha256],
    ['text', row.textEncoder, textEncoder.sha256],
  ] as const;
  const [kind, wanted, present] = pairs.find(([, wanted, present]) => wanted !== present) ?? [];
  return kind ? `Model version ${row.version} reads the ${kind} encoder ${wanted}; this worker has ${present}.` : null;
}

interface Encoded {
  readonly id: string;
  readonly prompt: string | null;
  readonly image: Float32Array;
  readonly text: Float32Array | null;
}

/** Returns false where a version with another tower came in meanwhile, and nothing was written. */
async function encodeImages(
  platform: EncodePlatform,
  towers: Towers,
  tenantId: string,
  ids: readonly string[],
): Promise<boolean> {
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
  const vectors = new Map<string, readonly Uint16Array[]>();
  for (const [tower, { network }] of towers.filled) vectors.set(tower, await network.itemVectors(encoded));
  return keep(platform, towers, encoded, vectors, failures);
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
    return new Map(own.map(({ imageId, vector }) => [imageId, fromHalfFloats(toItemVector(vector))]));
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
  towers: Towers,
  encoded: readonly Encoded[],
  vectors: ReadonlyMap<string, readonly Uint16Array[]>,
  failures: ReadonlyMap<string, string>,
): Promise<boolean> {
  return database.$transaction(async (rows) => {
    await waitForDeletions(rows);
    await holdVersions(rows);
    if ((await keptModels(rows)).some(({ tower }) => !towers.kept.has(tower))) return false;
    const locked = await lockImages(rows, [...encoded.map(({ id }) => id), ...failures.keys()]);
    const current = [...encoded.keys()].filter((i) => locked.get(encoded[i]!.id)?.prompt === encoded[i]!.prompt);
    const ids = current.map((i) => encoded[i]!.id);

    const tenantId = currentTenant();
    const embeddings = current.flatMap((i) => {
      const { id: imageId, image, text } = encoded[i]!;
      const ofImage = { tenantId, imageId, encoder: imageEncoder.sha256, vector: toBytes(toHalfFloats(image)) };
      if (!text) return [ofImage];
      return [ofImage, { tenantId, imageId, encoder: textEncoder.sha256, vector: toBytes(toHalfFloats(text)) }];
    });
    await rows.embedding.createMany({ data: embeddings, skipDuplicates: true });
    await rows.itemVector.deleteMany({ where: { imageId: { in: ids } } }); // those of an earlier prompt, in every tower
    for (const [tower, inTower] of vectors) {
      await rows.itemVector.createMany({
        data: current.map((i) => ({ tenantId, tower, imageId: encoded[i]!.id, vector: toBytes(inTower[i]!) })),
      });
    }
    await rows.image.updateMany({ where: { id: { in: ids } }, data: { status: 'READY', statusReason: null } });
    for (const [id, statusReason] of failures) {
      await rows.image.updateMany({ where: { id, status: 'PENDING' }, data: { status: 'FAILED', statusReason } });
    }
    const judges = await renewJudges(rows, ids);
    if (judges.length > 0) await queue.send(rows, 'profiles', [{ tenantId }]);
    const ownerless = ids.filter((id) => locked.get(id)?.ownerId === null);
    await requestExemplars(rows, queue, ownerless);
    return true;
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
