/**
 * Finds the images that excite each preference token most (src/domain/exemplars.ts). An image is scored once, when it
 * becomes READY, and joins the kept lists where it belongs there. All images are gone through again only where too many
 * of a list have vanished. Doing a job twice, or two at a time, changes nothing. Knows no HTTP.
 */
import { currentTenant, type Database, Prisma, type Queries } from '../database/client.ts';
import { lockExemplars, MAX_EXEMPLARS } from '../domain/exemplars.ts';
import { tokenWeights } from '../domain/explanations.ts';
import { toItemVector } from '../domain/itemVectors.ts';
import { type ActiveRows, activeModel, type Networks, type ServingModel } from '../domain/models.ts';
import { alsoServable } from '../domain/preparing.ts';
import type { ItemVector } from '../inference/preferenceModel.ts';
import type { Queue } from '../queue/queue.ts';

export interface ExemplarPlatform {
  readonly database: Database;
  readonly activeRows: ActiveRows;
  readonly networks: Networks;
  readonly queue: Queue;
}

/** Jobs taken together: those of an import fill a page. */
const JOBS_AT_ONCE = 32;
/** Images read and scored at a time; between pages the others' work gets its turn at the model. */
const IMAGES_AT_ONCE = 256;
/** Kept of each token: as many as are shown, and as many more, which may vanish before all must be gone through again. */
const KEPT = 2 * MAX_EXEMPLARS;

/** An image with its attention over one token. */
interface Excited {
  readonly imageId: string;
  readonly weight: number;
}

/** Takes up `exemplars` jobs as they come, until the queue stops. */
export function startExemplars(platform: ExemplarPlatform): Promise<void> {
  return platform.queue.work('exemplars', { batchSize: JOBS_AT_ONCE }, (jobs) =>
    findExemplars(platform, [...new Set(jobs.flatMap(({ data }) => data.imageIds))]),
  );
}

/**
 * Brings the exemplars of the model that serves the session's tenant up to date, and of those kept prepared beside it.
 * @param imageIds images that became READY or lost their owner; what names none is left out
 */
export async function findExemplars(platform: ExemplarPlatform, imageIds: readonly string[]): Promise<void> {
  const serving = await activeModel(platform);
  for (const model of [serving, ...(await alsoServable(platform, serving))]) {
    await updateExemplars(platform.database, model, imageIds);
  }
}

/** Goes through all images, whatever was kept. */
export async function findAllExemplars(database: Database, model: ServingModel): Promise<void> {
  const anything = Array.from({ length: model.row.tokens }, () => Number.NEGATIVE_INFINITY);
  await keep(database, model, await mostExcited(database, model, null), anything);
}

async function updateExemplars(database: Database, model: ServingModel, imageIds: readonly string[]): Promise<void> {
  const least = leastOf(await readKept(database, model));
  await keep(database, model, await mostExcited(database, model, imageIds), least);
  const kept = await readKept(database, model);
  if (kept.some((ofToken) => ofToken.length < MAX_EXEMPLARS)) await findAllExemplars(database, model);
}

/** Of each token, what is kept, the most excited first. Index: token_exemplars_pkey. */
async function readKept(queries: Queries, { row }: ServingModel): Promise<Excited[][]> {
  const rows = await queries.tokenExemplar.findMany({ where: { modelId: row.id } });
  return Array.from({ length: row.tokens }, (_, token) =>
    rows.filter((kept) => kept.token === token).sort(mostExcitedFirst),
  );
}

/**
 * What an image must exceed to be taken in. What is kept are the best of all; which ones come next is not known, so
 * that something less than all of them may not follow. Of an empty list nothing is known.
 */
function leastOf(kept: readonly (readonly Excited[])[]): number[] {
  return kept.map((ofToken) => ofToken.at(-1)?.weight ?? Number.POSITIVE_INFINITY);
}

const mostExcitedFirst = (a: Excited, b: Excited) => b.weight - a.weight || (a.imageId < b.imageId ? -1 : 1);

interface Found {
  /** Of each token, the most excited first. */
  readonly byToken: readonly (readonly Excited[])[];
  /** When the item vectors that they were found by were written, by image id. */
  readonly writtenAt: ReadonlyMap<string, Date>;
}

/** Of these images, or of all, those that excite each token most, read a page at a time. */
async function mostExcited(
  database: Database,
  model: ServingModel,
  imageIds: readonly string[] | null,
): Promise<Found> {
  const { layers, heads, tokens } = model.network;
  let byToken: Excited[][] = Array.from({ length: tokens }, () => []);
  let writtenAt = new Map<string, Date>();
  if (imageIds?.length === 0) return { byToken, writtenAt };
  const [state] = await model.turn.userStates([[]]); // nothing judged: what is left is the image's own
  for await (const page of readVectors(database, model.row.tower, imageIds)) {
    const [scores] = await model.turn.score([{ state: state!, targets: page.map(({ vector }) => vector) }]);
    const weights = scores!.map(({ tokenAttention }) =>
      tokenWeights({ layers, heads, tokens, weights: tokenAttention }),
    );
    byToken = byToken.map((best, token) =>
      [...best, ...page.map(({ id }, i) => ({ imageId: id, weight: weights[i]![token]! }))]
        .sort(mostExcitedFirst)
        .slice(0, KEPT),
    );
    const best = new Set(byToken.flat().map(({ imageId }) => imageId));
    const read = page.map((image) => [image.id, image.writtenAt] as const);
    writtenAt = new Map([...writtenAt, ...read].filter(([id]) => best.has(id)));
    await new Promise(setImmediate);
  }
  return { byToken, writtenAt };
}

interface ReadVector {
  readonly id: string;
  readonly vector: ItemVector;
  readonly writtenAt: Date;
}

/** Of these images, or of all, those that may be exemplars. Indexes: images_tenant_id_status_id_idx, item_vectors_pkey. */
async function* readVectors(
  database: Database,
  tower: string,
  imageIds: readonly string[] | null,
): AsyncGenerator<ReadVector[]> {
  const asked = imageIds === null ? Prisma.empty : Prisma.sql`AND images.id = ANY(${imageIds}::uuid[])`;
  let after = Prisma.empty;
  for (;;) {
    const rows = await database.$queryRaw<{ id: string; vector: Uint8Array; writtenAt: Date }[]>`
      SELECT images.id, item_vectors.vector, item_vectors.written_at AS "writtenAt"
      FROM images JOIN item_vectors ON item_vectors.tenant_id = images.tenant_id AND item_vectors.image_id = images.id
      WHERE images.tenant_id = ${currentTenant()}::uuid AND tower = ${tower} AND status = 'READY' AND owner_id IS NULL
        ${asked} ${after}
      ORDER BY images.id LIMIT ${IMAGES_AT_ONCE}`;
    if (rows.length > 0) yield rows.map((row) => ({ ...row, vector: toItemVector(row.vector) }));
    if (rows.length < IMAGES_AT_ONCE) return;
    after = Prisma.sql`AND images.id > ${rows.at(-1)!.id}::uuid`;
  }
}

/** Takes into the kept lists what was found and exceeds the least of its token. */
async function keep(database: Database, model: ServingModel, found: Found, least: readonly number[]): Promise<void> {
  const exceeding = found.byToken.map((ofToken, token) => ofToken.filter(({ weight }) => weight > least[token]!));
  const ids = [...new Set(exceeding.flat().map(({ imageId }) => imageId))];
  if (ids.length === 0) return;
  await database.$transaction(async (rows) => {
    const unchanged = await holdUnchanged(rows, model.row.tower, ids, found.writtenAt);
    await lockExemplars(rows);
    const kept = await readKept(rows, model);
    const changes = kept.map((before, token) =>
      changesOf(
        before,
        exceeding[token]!.filter(({ imageId }) => unchanged.has(imageId)),
      ),
    );
    await writeChanges(rows, model, changes);
  });
}

/** Keeps images from being given away, described anew and deleted until the transaction ends. Returns which are as they were. */
async function holdUnchanged(
  transaction: Queries,
  tower: string,
  ids: readonly string[],
  writtenAt: ReadonlyMap<string, Date>,
): Promise<Set<string>> {
  await transaction.$queryRaw`SELECT id FROM images WHERE id = ANY(${ids}::uuid[]) ORDER BY id FOR SHARE`;
  const vectors = await transaction.itemVector.findMany({
    where: { tower, imageId: { in: [...ids] }, image: { status: 'READY', ownerId: null } },
    select: { imageId: true, writtenAt: true },
  });
  const same = vectors.filter((row) => row.writtenAt.getTime() === writtenAt.get(row.imageId)?.getTime());
  return new Set(same.map(({ imageId }) => imageId));
}

interface Changes {
  readonly gone: readonly Excited[];
  readonly added: readonly Excited[];
}

/** What becomes of one token's list, the best first, when what was found joins it. */
function changesOf(before: readonly Excited[], found: readonly Excited[]): Changes {
  const weights = new Map([...before, ...found].map(({ imageId, weight }) => [imageId, weight]));
  const after = [...weights]
    .map(([imageId, weight]) => ({ imageId, weight }))
    .sort(mostExcitedFirst)
    .slice(0, KEPT);
  const lacks = (list: readonly Excited[]) => {
    const known = new Map(list.map(({ imageId, weight }) => [imageId, weight]));
    return ({ imageId, weight }: Excited) => known.get(imageId) !== weight;
  };
  return { gone: before.filter(lacks(after)), added: after.filter(lacks(before)) };
}

async function writeChanges(rows: Queries, { row }: ServingModel, changes: readonly Changes[]): Promise<void> {
  const { tenantId, id: modelId } = row;
  for (const [token, { gone }] of changes.entries()) {
    const imageId = { in: gone.map((excited) => excited.imageId) };
    if (gone.length > 0) await rows.tokenExemplar.deleteMany({ where: { modelId, token, imageId } });
  }
  const added = changes.flatMap(({ added }, token) =>
    added.map(({ imageId, weight }) => ({ tenantId, modelId, token, imageId, weight })),
  );
  await rows.tokenExemplar.createMany({ data: added });
}
