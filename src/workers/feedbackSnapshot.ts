/**
 * A tenant's feedback, as it stands at one moment, written down for training and evaluation: one reading of the database
 * in one transaction, streamed, so that memory grows with the number of judged images and not of judgements. Runs within
 * the tenant's `withTenant`.
 */
import { createHash } from 'node:crypto';
import { appendFileSync, createReadStream } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { currentTenant, type Database, Prisma, type Queries } from '../database/client.ts';
import { toItemVector } from '../domain/itemVectors.ts';
import { fromHalfFloats } from '../halfFloats.ts';
import { type PersonJudgement, partOfPerson } from '../training/feedback/people.ts';
import { type Snapshot, SnapshotWriter } from '../training/feedback/snapshot.ts';

/** The model whose item vectors are read, and the sizes of what it reads. */
export interface SnapshotModel {
  readonly towerHash: string;
  /** SHA-256 of the encoder whose embeddings baselines read. */
  readonly imageEncoder: string;
  /** Numbers in an item vector, and in an embedding of that encoder. */
  readonly itemSize: number;
  readonly featureSize: number;
}

const IMAGES_AT_ONCE = 1_000;
const JUDGEMENTS_AT_ONCE = 5_000;
const LEARNERS_AT_ONCE = 5_000;
/** Longer than a request's: ten million judgements take some minutes to be sorted and read. */
const TIMEOUT_MS = 60 * 60 * 1000;

/** Beside the snapshot, which names nobody: the ids of those who are learned from, a line each. */
const LEARNERS = 'learners.txt';

/**
 * Writes likes and dislikes of READY images, and those images' item vectors, into a folder. People and images stand in
 * the order of their ids, so that the same feedback gives the same snapshot. Throws the signal's reason where it is
 * ended.
 */
export async function writeFeedbackSnapshot(
  database: Database,
  model: SnapshotModel,
  directory: string,
  signal?: AbortSignal,
): Promise<Snapshot> {
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, LEARNERS), '');
  return database.$transaction(
    async (rows) => {
      const { towerHash: tower, itemSize, featureSize } = model;
      const writer = await SnapshotWriter.create(directory, { tower, itemSize, featureSize });
      const reading = { rows, signal };
      const numbers = await writeImages(reading, model, writer, await imagesOfHeldOut(reading));
      await writePeople(reading, writer, numbers, join(directory, LEARNERS));
      return writer.finish();
    },
    { isolationLevel: Prisma.TransactionIsolationLevel.RepeatableRead, timeout: TIMEOUT_MS },
  );
}

/** Ids of those whose judgements a training learns from, or is stopped and calibrated by, some at a time. */
export async function* learnersOf(directory: string): AsyncGenerator<string[]> {
  let ids: string[] = [];
  for await (const id of createInterface({ input: createReadStream(join(directory, LEARNERS)) })) {
    ids.push(id);
    if (ids.length < LEARNERS_AT_ONCE) continue;
    yield ids;
    ids = [];
  }
  if (ids.length > 0) yield ids;
}

/** One transaction, and what ends it. */
interface Reading {
  readonly rows: Queries;
  readonly signal: AbortSignal | undefined;
}

/** Images that people of the validation and test parts judged: what baselines are measured on. */
async function imagesOfHeldOut(reading: Reading): Promise<ReadonlySet<string>> {
  const tenantId = currentTenant();
  const images = new Set<string>();
  await readAll<{ userId: string; imageId: string }>(
    reading,
    Prisma.sql`SELECT user_id AS "userId", image_id AS "imageId" FROM feedback WHERE sentiment <> 'SKIP'`,
    ({ userId, imageId }) => {
      if (partOfPerson(tenantId, userId) !== 'train') images.add(imageId);
    },
  );
  return images;
}

/** Returns the images' numbers, by id. */
async function writeImages(
  { rows, signal }: Reading,
  { towerHash, imageEncoder }: SnapshotModel,
  writer: SnapshotWriter,
  heldOut: ReadonlySet<string>,
): Promise<ReadonlyMap<string, number>> {
  const numbers = new Map<string, number>();
  const page = (after: string) => rows.$queryRaw<{ id: string; prompt: string | null; vector: Uint8Array }[]>`
    SELECT i.id, i.prompt, v.vector
      FROM images i JOIN item_vectors v ON v.image_id = i.id AND v.tower = ${towerHash}
     WHERE i.status = 'READY' AND i.id > ${after}::uuid
       AND EXISTS (SELECT FROM feedback f WHERE f.image_id = i.id AND f.sentiment <> 'SKIP')
     ORDER BY i.id LIMIT ${IMAGES_AT_ONCE}`;
  for (let images = await page(NIL); images.length > 0; images = await page(images.at(-1)!.id)) {
    signal?.throwIfAborted();
    const wanted = images.map(({ id }) => id).filter((id) => heldOut.has(id));
    const embeddings = await rows.embedding.findMany({ where: { encoder: imageEncoder, imageId: { in: wanted } } });
    const features = new Map(embeddings.map(({ imageId, vector }) => [imageId, fromHalfFloats(toItemVector(vector))]));
    for (const { id, prompt, vector } of images) {
      const own = features.get(id);
      const item = { id, vector: toItemVector(vector), prompt: promptNumber(id, prompt) };
      numbers.set(id, writer.addItem({ ...item, ...(own ? { features: own } : {}) }));
    }
  }
  return numbers;
}

/** Before every id. */
const NIL = '00000000-0000-0000-0000-000000000000';

/** 32 bits of a hash: of the prompt, or of the image where there is none. */
const promptNumber = (id: string, prompt: string | null): number =>
  createHash('sha256')
    .update(prompt === null ? `image ${id}` : `prompt ${prompt}`)
    .digest()
    .readUInt32LE();

interface JudgementRow {
  readonly userId: string;
  readonly imageId: string;
  readonly sentiment: 'LIKE' | 'DISLIKE';
  readonly weight: number;
  readonly judgedAt: Date;
  /** What others had made of the image before, weighted: a person judges an image once. */
  readonly sum: number;
  readonly count: number;
}

/** Everybody in the order of their ids, their judgements newest first. Index: images_pkey, feedback's primary key. */
const JUDGEMENTS = Prisma.sql`
  SELECT f.user_id AS "userId", f.image_id AS "imageId", f.sentiment::text AS sentiment, f.weight,
         f.judged_at AS "judgedAt",
         coalesce(sum(CASE f.sentiment WHEN 'LIKE' THEN f.weight ELSE -f.weight END) OVER before, 0) AS sum,
         coalesce(sum(f.weight) OVER before, 0) AS count
    FROM feedback f
   WHERE f.sentiment <> 'SKIP'
  WINDOW before AS (PARTITION BY f.image_id ORDER BY f.judged_at, f.id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
   ORDER BY f.user_id, f.judged_at DESC, f.id DESC`;

async function writePeople(
  reading: Reading,
  writer: SnapshotWriter,
  numbers: ReadonlyMap<string, number>,
  learnersFile: string,
): Promise<void> {
  const tenantId = currentTenant();
  let person: string | null = null;
  let judgements: PersonJudgement[] = [];
  const learners: string[] = [];
  const writeLearners = () =>
    appendFileSync(
      learnersFile,
      learners
        .splice(0)
        .map((id) => `${id}\n`)
        .join(''),
    );
  const end = () => {
    if (person === null || judgements.length === 0) return;
    const part = partOfPerson(tenantId, person);
    writer.addPerson({ id: person, part, judgements });
    judgements = [];
    if (part !== 'test') learners.push(person);
    if (learners.length >= LEARNERS_AT_ONCE) writeLearners();
  };
  await readAll<JudgementRow>(reading, JUDGEMENTS, ({ userId, imageId, sentiment, weight, judgedAt, sum, count }) => {
    if (userId !== person) end();
    person = userId;
    const image = numbers.get(imageId);
    if (image === undefined) return;
    judgements.push({ image, sentiment, weight, judgedAt: judgedAt.getTime(), popularity: { sum, count } });
  });
  end();
  writeLearners();
}

/** Reads a query's rows through a cursor, some at a time. Within a transaction; one at a time. */
async function readAll<Row>({ rows, signal }: Reading, query: Prisma.Sql, take: (row: Row) => void): Promise<void> {
  await rows.$executeRaw`DECLARE snapshot NO SCROLL CURSOR FOR ${query}`;
  const some = () => rows.$queryRawUnsafe<Row[]>(`FETCH ${JUDGEMENTS_AT_ONCE} FROM snapshot`);
  for (let got = await some(); got.length > 0; got = await some()) {
    signal?.throwIfAborted();
    for (const row of got) take(row);
  }
  await rows.$executeRaw`CLOSE snapshot`;
}
