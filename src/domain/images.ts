/**
 * Images: registering stored pictures, describing them, and finding them. An image that has an owner is seen by that
 * user and by the tenant's own programs only.
 */
import { createHash } from 'node:crypto';
import { currentTenant, type Database, Prisma, type Queries } from '../database/client.ts';
import type { Image, ImageStatus } from '../database/generated/client.ts';
import { PalateError } from '../errors.ts';
import { ENCODE_AT_ONCE } from '../queue/jobs.ts';
import type { Queue } from '../queue/queue.ts';
import { idOf, newId } from './ids.ts';
import { checkFirst, fromCursor, type Page, type PageArgs, toCursor, toPage, UUID_PATTERN } from './pages.ts';
import type { Quotas } from './quotas.ts';
import { canBeKept, checkText, ItemError, MAX_NAME } from './userErrors.ts';
import { holdUsers, resolveUsers, type UserRef } from './users.ts';

/** The longest prompt, in characters. */
export const MAX_PROMPT = 2000;
/** The longest collection's name, in characters. */
export const MAX_COLLECTION = 100;

/** A tenant of which no more images wait is encoded before those that send faster than is encoded: seconds of work. */
const FEW_PENDING = 256;

/** Where images wait to be encoded, and how many may. */
export interface EncodingQueue {
  readonly queue: Queue;
  readonly quotas: Quotas;
}

/** One of the two ways to name an image: a global id, or the tenant's own key. */
export interface ImageRef {
  readonly id?: string | null | undefined;
  readonly externalId?: string | null | undefined;
}

/** What the tenant says of a picture. Of an existing image, what is left out stays and null takes it away. */
export interface ImageDescription {
  readonly externalId?: string | null | undefined;
  readonly prompt?: string | null | undefined;
  readonly generator?: string | null | undefined;
  readonly owner?: UserRef | null | undefined;
  readonly collection?: string | null | undefined;
}

/** What was read from the bytes of a picture that the store has kept. */
export interface StoredPicture {
  /** Hexadecimal. */
  readonly sha256: string;
  /** jpeg, png, webp or avif. */
  readonly format: string;
  readonly byteLength: number;
  /** Pixels, upright. */
  readonly width: number;
  readonly height: number;
}

/** Throws an ItemError that names the field where a text is too long or empty. */
export function checkDescription(description: ImageDescription): void {
  checkText('externalId', description.externalId, MAX_NAME, true);
  checkText('prompt', description.prompt, MAX_PROMPT);
  checkText('generator', description.generator, MAX_NAME);
  checkText('collection', description.collection, MAX_COLLECTION, true);
}

/**
 * Makes a stored picture an image of the tenant and queues its encoding, in one transaction. The same bytes of the
 * same owner are the same image: it is answered as it is, its description unchanged; one that FAILED is tried again.
 * Throws an ItemError: NOT_FOUND for an unknown owner, CONFLICT for an externalId of another image,
 * LIMIT_REACHED where the tenant has as many as it may have, and what `checkDescription` and `queueEncoding` throw.
 *
 * @param keepBytes puts the bytes where they must be; called while nobody erases them, and before the row is written.
 *   Left out where nothing is stored
 */
export async function registerImage(
  platform: EncodingQueue & { readonly database: Database },
  picture: StoredPicture,
  description: ImageDescription,
  keepBytes: () => Promise<void> = async () => {},
): Promise<{ image: Image; created: boolean }> {
  checkDescription(description);
  const tenantId = currentTenant();
  const { externalId = null, prompt = null, generator = null, collection = null } = description;
  return platform.database.$transaction(async (transaction) => {
    await lockFile(transaction, picture.sha256);
    await keepBytes();
    const ownerId = description.owner ? await resolveOwner(transaction, description.owner) : null;
    const same = { sha256: picture.sha256, ownerId };
    const known = await transaction.image.findFirst({ where: same });
    if (known?.status === 'FAILED') return { image: await tryAgain(transaction, platform, known), created: false };
    if (known) return { image: known, created: false };
    if (externalId !== null && (await transaction.image.findFirst({ where: { externalId } }))) {
      throw externalIdTaken(externalId);
    }
    if ((await platform.quotas.roomFor(transaction, 'images', 1)) === 0) {
      const message = 'The tenant has as many images as it may have (Tenant.limits.maxImages): no more are taken in.';
      throw new ItemError([], 'LIMIT_REACHED', message);
    }
    // Another request may be registering the same picture or name at this moment: then nothing is inserted here.
    const image: Image = {
      ...{ tenantId, id: newId(), ...picture, ownerId },
      ...{ externalId, prompt: prompt === '' ? null : prompt, generator, collection },
      ...{ status: 'PENDING', statusReason: null, createdAt: new Date() },
    };
    const { count } = await transaction.image.createMany({ data: [image], skipDuplicates: true });
    if (count === 0) {
      const theirs = await transaction.image.findFirst({ where: same });
      if (theirs) return { image: theirs, created: false };
      throw externalIdTaken(externalId);
    }
    await queueEncoding(transaction, platform, [image.id]);
    return { image, created: true };
  });
}

/**
 * Until the transaction ends nobody else decides whether the tenant's file with this SHA-256 is needed: an upload that
 * needs it, or the eraser that finds no row that does.
 */
export async function lockFile(transaction: Queries, sha256: string): Promise<void> {
  const lock = createHash('sha256').update(`file ${currentTenant()} ${sha256}`).digest().readBigInt64BE();
  await transaction.$executeRaw`SELECT pg_advisory_xact_lock(${lock})`;
}

/** The reasons for which an image FAILED ask for the picture to be sent again. */
async function tryAgain(transaction: Queries, platform: EncodingQueue, image: Image): Promise<Image> {
  const pending = { status: 'PENDING', statusReason: null } as const;
  await transaction.image.updateMany({ where: { id: image.id }, data: pending });
  await queueEncoding(transaction, platform, [image.id]);
  return { ...image, ...pending };
}

async function resolveOwner(queries: Queries, ref: UserRef): Promise<string> {
  const [owner] = await resolveUsers(queries, [ref]);
  if (owner && (await holdUsers(queries, [owner.id])).has(owner.id)) return owner.id;
  throw new ItemError(['owner'], 'NOT_FOUND', 'There is no user as owner names one.');
}

export function externalIdTaken(externalId: string | null): ItemError {
  return new ItemError(['externalId'], 'CONFLICT', `externalId "${externalId}" is that of another image.`);
}

/**
 * Puts images that are PENDING on the queue to be encoded, if and when the transaction commits: those of a tenant of which
 * many wait after everybody else's. Throws OVERLOADED where as many wait as may.
 */
export async function queueEncoding(
  transaction: Queries,
  { queue, quotas }: EncodingQueue,
  imageIds: readonly string[],
): Promise<void> {
  if (imageIds.length === 0) return;
  const tenantId = currentTenant();
  const isPatient = (await quotas.pendingImages(transaction)) > FEW_PENDING;
  const jobs: { tenantId: string; imageIds: readonly string[] }[] = [];
  for (let start = 0; start < imageIds.length; start += ENCODE_AT_ONCE) {
    jobs.push({ tenantId, imageIds: imageIds.slice(start, start + ENCODE_AT_ONCE) });
  }
  await queue.send(transaction, 'encode', jobs, isPatient ? { isPatient } : {});
}

/** Images by id; ids that are none of the tenant's are left out. */
export async function imagesByIds(queries: Queries, ids: readonly string[]): Promise<Map<string, Image>> {
  const rows = await queries.image.findMany({ where: { id: { in: [...new Set(ids)] } } });
  return new Map(rows.map((row) => [row.id, row]));
}

/** Images by the tenant's own keys for them. */
export async function imagesByExternalIds(
  queries: Queries,
  externalIds: readonly string[],
): Promise<Map<string, Image>> {
  const rows = await queries.image.findMany({
    where: { externalId: { in: [...new Set(externalIds)].filter(canBeKept) } },
  });
  return new Map(rows.flatMap((row) => (row.externalId === null ? [] : [[row.externalId, row]])));
}

/** The images that the references name, in their order, in at most two queries; null for what names none. */
export async function resolveImages(queries: Queries, refs: readonly ImageRef[]): Promise<(Image | null)[]> {
  const ids = refs.map(({ id }) => (id ? idOf('Image', id) : null));
  const wanted = ids.filter((id) => id !== null);
  const externalIds = refs.flatMap(({ externalId }) => externalId ?? []);
  const byId = wanted.length > 0 ? await imagesByIds(queries, wanted) : new Map<string, Image>();
  const byExternalId =
    externalIds.length > 0 ? await imagesByExternalIds(queries, externalIds) : new Map<string, Image>();
  return refs.map(({ externalId }, i) => {
    const id = ids[i];
    if (id) return byId.get(id) ?? null;
    return (externalId && byExternalId.get(externalId)) || null;
  });
}

/** Keeps images from being deleted until the transaction ends. Returns which are still there. */
export async function holdImages(transaction: Queries, ids: readonly string[]): Promise<Set<string>> {
  const rows = await transaction.$queryRaw<{ id: string }[]>`
    SELECT id FROM images WHERE id = ANY(${[...new Set(ids)]}::uuid[]) ORDER BY id FOR KEY SHARE`;
  return new Set(rows.map(({ id }) => id));
}

/** Whether this user may see the image; null asks for the tenant's own programs, which see all. */
export function isVisible(image: Pick<Image, 'ownerId'>, userId: string | null): boolean {
  return userId === null || image.ownerId === null || image.ownerId === userId;
}

/** Throws BAD_USER_INPUT where no image can be in a collection of this name. */
export function checkCollection(collection: string | null | undefined): void {
  try {
    checkText('collection', collection, MAX_COLLECTION, true);
  } catch (cause) {
    throw cause instanceof ItemError ? new PalateError('BAD_USER_INPUT', cause.message, { cause }) : cause;
  }
}

export interface ImageFilter {
  readonly status?: ImageStatus | null | undefined;
  readonly collection?: string | null | undefined;
  /** Words of the prompt, as in a search engine: "red fox", `"red fox"`, fox -red, fox or cat. */
  readonly query?: string | null | undefined;
}

/** The tenant's images, newest first. Throws BAD_USER_INPUT for a bad `first`, cursor or collection. */
export async function pageImages(queries: Queries, filter: ImageFilter, page: PageArgs): Promise<Page<Image>> {
  checkFirst(page.first);
  checkCollection(filter.collection);
  const [, before] = fromCursor(page.after, [/^images$/, UUID_PATTERN]) ?? [];
  const conditions = before ? [...conditionsOf(filter), Prisma.sql`id < ${before}::uuid`] : conditionsOf(filter);
  const found = await queries.$queryRaw<{ id: string }[]>`
    SELECT id FROM images WHERE ${Prisma.join(conditions, ' AND ')} ORDER BY id DESC LIMIT ${page.first + 1}`;
  const rows = await imagesByIds(
    queries,
    found.map(({ id }) => id),
  );
  return toPage(
    found.flatMap(({ id }) => rows.get(id) ?? []),
    page,
    ({ id }) => toCursor('images', id),
  );
}

export async function countImages(queries: Queries, filter: ImageFilter): Promise<number> {
  const [row] = await queries.$queryRaw<[{ count: number }]>`
    SELECT count(*)::int AS count FROM images WHERE ${Prisma.join(conditionsOf(filter), ' AND ')}`;
  return row.count;
}

function conditionsOf({ status, collection, query }: ImageFilter): Prisma.Sql[] {
  // Row-level security asks for the tenant too; said here, it lets the planner begin with the tenant's index.
  const conditions = [Prisma.sql`tenant_id = ${currentTenant()}::uuid`];
  if (status) conditions.push(Prisma.sql`status = ${status}::image_status`);
  if (collection) conditions.push(Prisma.sql`collection = ${collection}`);
  if (query) {
    conditions.push(
      Prisma.sql`to_tsvector('simple', prompt) @@ websearch_to_tsquery('simple', ${query.replaceAll('\0', ' ')})`,
    );
  }
  return conditions;
}
