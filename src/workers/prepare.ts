/**
 * Prepares what a model version needs to serve (src/domain/preparing.ts), some images and people at a time: all of it
 * for a version that came in or is wanted, and what new feedback adds for those that are kept prepared. Profiles are made
 * as a reader makes them. What was done stays done: a job that is cut short, or done twice, does no harm.
 */
import { currentTenant, type Database, Prisma } from '../database/client.ts';
import { waitForDeletions } from '../domain/deletionTurns.ts';
import { toBytes, toItemVector } from '../domain/itemVectors.ts';
import { activeModel, type ServingModel } from '../domain/models.ts';
import type { Platform } from '../domain/platform.ts';
import { alsoServable, hasAllVectors, tellPrepared } from '../domain/preparing.ts';
import { refreshProfiles, staleUsers, staleUsersAfter } from '../domain/profiles.ts';
import { fromHalfFloats } from '../halfFloats.ts';
import type { JobData } from '../queue/jobs.ts';
import { findAllExemplars } from './exemplars.ts';

/** Users a round: between rounds the others' work gets its turn at the model. */
const USERS_AT_ONCE = 250;
/** Images a round. */
const IMAGES_AT_ONCE = 256;
/** What one `prepare` job does before it sends the next: other tenants' get their turn between. */
const A_JOB = 5_000;
/** Stale profiles that a `profiles` job renews of each version that does not serve. */
const RENEWED_BESIDE = 1_000;

/** Takes up `profiles` and `prepare` jobs as they come, until the queue stops. */
export async function startPreparing(platform: Platform): Promise<void> {
  await platform.queue.work('profiles', {}, () => prepareProfiles(platform));
  await platform.queue.work('prepare', {}, async (jobs) => {
    for (const { data } of jobs) await prepareModel(platform, data);
  });
}

/** Refreshes every stale profile of the tenant of the session, and some of those of the versions beside the active one. */
export async function prepareProfiles(platform: Platform): Promise<void> {
  const serving = await activeModel(platform);
  await refresh(platform, serving, await staleUsers(platform, serving, Number.POSITIVE_INFINITY));
  for (const model of await alsoServable(platform, serving)) {
    await refresh(platform, model, await staleUsers(platform, model, RENEWED_BESIDE));
  }
}

async function refresh(platform: Platform, model: ServingModel, userIds: readonly string[]): Promise<void> {
  for (let start = 0; start < userIds.length; start += USERS_AT_ONCE) {
    await refreshProfiles(platform, model, userIds.slice(start, start + USERS_AT_ONCE));
    await new Promise(setImmediate);
  }
}

/**
 * Prepares a version, or a part of it and sends a job for the rest. A version that is gone, or whose file cannot be used,
 * is left. Once all is there, every replica is told.
 * @param atMost images, or people, that this job sees to
 */
export async function prepareModel(platform: Platform, data: JobData['prepare'], atMost = A_JOB): Promise<void> {
  const { database, networks } = platform;
  const { modelId, afterUserId = null } = data;
  const row = await database.model.findFirst({ where: { id: modelId } });
  const model = row && (await networks.of(row).catch(() => null));
  if (!model) return;
  if (afterUserId === null) {
    if (await fillTower(database, model, atMost)) return sendRest(platform, data);
    if (!(await hasAllVectors(database, model.row.tower))) return; // embeddings are missing, or images came meanwhile
    await findAllExemplars(database, model);
  }
  const users = await staleUsersAfter(database, model, afterUserId, atMost);
  await refresh(platform, model, users);
  if (users.length === atMost) return sendRest(platform, { ...data, afterUserId: users.at(-1)! });
  await database.$transaction((transaction) => tellPrepared(transaction, modelId));
}

async function sendRest({ database, queue }: Platform, data: JobData['prepare']): Promise<void> {
  await database.$transaction((transaction) => queue.send(transaction, 'prepare', [data]));
}

/** Makes item vectors of READY images that have none in the model's tower. Returns true where there may be more to make. */
async function fillTower(database: Database, model: ServingModel, atMost: number): Promise<boolean> {
  const atOnce = Math.min(IMAGES_AT_ONCE, atMost);
  for (let made = 0; made < atMost; made += atOnce) {
    const images = await withoutVector(database, model, atOnce);
    await fill(database, model, images);
    if (images.length < atOnce) return false;
    await new Promise(setImmediate);
  }
  return true;
}

interface Embedded {
  readonly id: string;
  readonly prompt: string | null;
  readonly image: Uint8Array;
  readonly text: Uint8Array | null;
}

/** Some images that have embeddings by the model's encoders and no item vector of it. */
function withoutVector(database: Database, { row }: ServingModel, atMost: number): Promise<Embedded[]> {
  const { tower, imageEncoder, textEncoder } = row;
  return database.$queryRaw<Embedded[]>`
    SELECT i.id, i.prompt, e.vector AS image, t.vector AS text
    FROM images i
    JOIN embeddings e ON e.tenant_id = i.tenant_id AND e.image_id = i.id AND e.encoder = ${imageEncoder}
    LEFT JOIN embeddings t ON t.tenant_id = i.tenant_id AND t.image_id = i.id AND t.encoder = ${textEncoder}
    WHERE i.tenant_id = ${currentTenant()}::uuid AND i.status = 'READY' AND (i.prompt IS NULL OR t.vector IS NOT NULL)
      AND NOT EXISTS (
        SELECT FROM item_vectors v WHERE v.tenant_id = i.tenant_id AND v.tower = ${tower} AND v.image_id = i.id
      )
    ORDER BY i.id LIMIT ${atMost}`;
}

/** Keeps the vectors of those that are as they were read: what was described anew is encoded anew. */
async function fill(database: Database, { row, network }: ServingModel, images: readonly Embedded[]): Promise<void> {
  if (images.length === 0) return;
  const vectors = await network.itemVectors(
    images.map(({ prompt, image, text }) => ({
      image: fromHalfFloats(toItemVector(image)),
      text: prompt === null || !text ? null : fromHalfFloats(toItemVector(text)),
    })),
  );
  const ids = images.map(({ id }) => id);
  await database.$transaction(async (transaction) => {
    await waitForDeletions(transaction);
    const held = await transaction.$queryRaw<{ id: string; prompt: string | null }[]>(Prisma.sql`
      SELECT id, prompt FROM images WHERE tenant_id = ${currentTenant()}::uuid AND id = ANY(${ids}::uuid[])
        AND status = 'READY' ORDER BY id FOR NO KEY UPDATE`);
    const prompts = new Map(held.map(({ id, prompt }) => [id, prompt]));
    const data = images.flatMap(({ id, prompt }, i) => {
      if (prompts.get(id) !== prompt) return [];
      return [{ tenantId: currentTenant(), tower: row.tower, imageId: id, vector: toBytes(vectors[i]!) }];
    });
    await transaction.itemVector.createMany({ data, skipDuplicates: true });
  });
}
