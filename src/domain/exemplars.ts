/**
 * Exemplars: the images that excite each preference token most, without any history, which say what it stands for. They
 * are kept a model version, by the worker (src/workers/exemplars.ts). Never a picture that has an owner: whoever gives a
 * picture an owner or another prompt, or deletes it, withdraws it in the same transaction.
 */
import { createHash } from 'node:crypto';
import { currentTenant, type Database, type Queries } from '../database/client.ts';
import type { Image } from '../database/generated/client.ts';
import type { Queue } from '../queue/queue.ts';
import { imagesByIds } from './images.ts';
import { checkFirst } from './pages.ts';

/** The most that are shown of one token. */
export const MAX_EXEMPLARS = 20;
/** Images that become READY within so many seconds are looked at together. */
const GATHER_SECONDS = 2;

export interface ExemplarRequest {
  readonly modelId: string;
  /** From 0. */
  readonly token: number;
  /** 1 to 20. */
  readonly first: number;
}

/** Throws BAD_USER_INPUT where `first` is not a whole number from 1 to 20. */
export function checkExemplars(first: number): void {
  checkFirst(first, MAX_EXEMPLARS);
}

/** Whether the image may stand for a token: it can be scored, and it is nobody's own. */
export function mayBeExemplar({ status, ownerId }: Pick<Image, 'status' | 'ownerId'>): boolean {
  return status === 'READY' && ownerId === null;
}

/**
 * The images that excite each of these tokens most, the most exciting first, in the requests' order. There are fewer
 * where images became READY just now. Index: token_exemplars_pkey.
 */
export async function exemplarsForMany(database: Database, requests: readonly ExemplarRequest[]): Promise<Image[][]> {
  const rows = await database.tokenExemplar.findMany({
    where: {
      modelId: { in: [...new Set(requests.map(({ modelId }) => modelId))] },
      token: { in: [...new Set(requests.map(({ token }) => token))] },
    },
    orderBy: [{ weight: 'desc' }, { imageId: 'asc' }],
  });
  const images = await imagesByIds(
    database,
    rows.map(({ imageId }) => imageId),
  );
  return requests.map((request) =>
    rows
      .filter(({ modelId, token }) => modelId === request.modelId && token === request.token)
      .flatMap(({ imageId }) => images.get(imageId) ?? [])
      .filter(mayBeExemplar) // the two reads are apart: it may have been given away between them
      .slice(0, request.first),
  );
}

/** Has the worker see what these images excite, if and when the transaction commits. */
export async function requestExemplars(queries: Queries, queue: Queue, imageIds: readonly string[]): Promise<void> {
  const jobs = imageIds.length > 0 ? [{ tenantId: currentTenant(), imageIds }] : [];
  await queue.send(queries, 'exemplars', jobs, { afterSeconds: GATHER_SECONDS });
}

/**
 * Takes images, which are locked, out of the exemplars of every model, and has the worker see whether too few are left.
 * Index: token_exemplars_tenant_id_image_id_idx.
 */
export async function withdrawExemplars(
  transaction: Queries,
  queue: Queue,
  imageIds: readonly string[],
): Promise<void> {
  if (imageIds.length === 0) return;
  await lockExemplars(transaction);
  const withdrawn = await transaction.$executeRaw`
    DELETE FROM token_exemplars WHERE tenant_id = ${currentTenant()}::uuid AND image_id = ANY(${imageIds}::uuid[])`;
  if (withdrawn > 0) await queue.send(transaction, 'exemplars', [{ tenantId: currentTenant(), imageIds: [] }]);
}

/**
 * Until the transaction ends nobody else changes which images are the tenant's exemplars. Taken after the images are
 * locked, by everybody, so that two wait for each other and not in a circle.
 */
export async function lockExemplars(transaction: Queries): Promise<void> {
  const lock = createHash('sha256').update(`exemplars ${currentTenant()}`).digest().readBigInt64BE();
  await transaction.$executeRaw`SELECT pg_advisory_xact_lock(${lock})`;
}

/** Has the worker find the exemplars of a model that has none yet, though there are images. */
export async function requestMissingExemplars(platform: {
  readonly database: Database;
  readonly queue: Queue;
}): Promise<void> {
  const { database, queue } = platform;
  const model = await database.model.findFirst({ where: { status: 'ACTIVE', exemplars: { none: {} } } });
  if (model === null) return;
  const image = await database.image.findFirst({ where: { status: 'READY', ownerId: null }, select: { id: true } });
  if (image) await requestExemplars(database, queue, [image.id]);
}
