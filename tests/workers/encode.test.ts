/** Encoding by the queue, with real pictures, both encoders that ship, and PostgreSQL. */
import { createHash, randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { type Database, withTenant } from '../../src/database/client.ts';
import type { Image } from '../../src/database/generated/client.ts';
import { activeRows } from '../../src/domain/models.ts';
import { DiskStore } from '../../src/files/diskStore.ts';
import { fromHalfFloats, LARGEST_HALF } from '../../src/halfFloats.ts';
import {
  type ImageEncoder,
  loadImageEncoder,
  loadTextEncoder,
  SHIPPED_IMAGE_ENCODER,
  SHIPPED_TEXT_ENCODER,
  type TextEncoder,
} from '../../src/inference/encoding/index.ts';
import type { PreferenceModel } from '../../src/inference/preferenceModel.ts';
import type { Queue } from '../../src/queue/queue.ts';
import { type EncodePlatform, encodeJobs, startEncoding } from '../../src/workers/encode.ts';
import { newTenant, type TestDatabase, testDatabase } from '../support/database.ts';
import { untrainedModel } from '../support/model.ts';
import { testNetworks } from '../support/platform.ts';

let folder: string;
let db: TestDatabase;
let database: Database;
let imageEncoder: ImageEncoder;
let textEncoder: TextEncoder;
let model: PreferenceModel;
let platform: EncodePlatform;
let tenantId: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'palate-encode-test-'));
  db = await testDatabase();
  ({ database } = db);
  [imageEncoder, textEncoder] = await Promise.all([
    loadImageEncoder(SHIPPED_IMAGE_ENCODER),
    loadTextEncoder(SHIPPED_TEXT_ENCODER),
  ]);
  model = await untrainedModel({ image: imageEncoder.sha256, text: textEncoder.sha256 });
  const pictures = await DiskStore.open(join(folder, 'pictures'));
  const networks = testNetworks(model, await DiskStore.open(join(folder, 'models')));
  const queue = db.queue;
  platform = { database, activeRows: activeRows(database), networks, queue, pictures, imageEncoder, textEncoder };
});
afterAll(async () => {
  await db.close();
  await Promise.all([imageEncoder.close(), textEncoder.close()]);
  await rm(folder, { recursive: true, force: true });
});
beforeEach(async () => {
  tenantId = (await newTenant(database, model)).id;
});

const painting = (background: string): Promise<Buffer> =>
  sharp({ create: { width: 64, height: 48, channels: 3, background } })
    .jpeg()
    .toBuffer();

/** A PENDING image whose bytes are in the store. */
async function upload(bytes: Buffer, prompt: string | null = null): Promise<Image> {
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  await platform.pictures.put(tenantId, sha256, bytes);
  return withTenant(tenantId, () =>
    database.image.create({
      data: {
        tenantId,
        id: randomUUID(),
        sha256,
        format: 'jpeg',
        byteLength: bytes.length,
        width: 64,
        height: 48,
        prompt,
      },
    }),
  );
}

const inTenant = <T>(work: () => Promise<T>): Promise<T> => withTenant(tenantId, work);
const encode = (images: readonly { id: string }[], lastAttempt = false): Promise<void> =>
  inTenant(() =>
    encodeJobs(
      platform,
      images.map(({ id }) => ({ data: { tenantId, imageIds: [id] }, lastAttempt })),
      tenantId,
    ),
  );
const read = (id: string) =>
  inTenant(() =>
    database.image.findFirstOrThrow({
      where: { id },
      include: { embeddings: { orderBy: { encoder: 'asc' } }, itemVectors: true },
    }),
  );
const halves = (bytes: Uint8Array): Uint16Array => new Uint16Array(Uint8Array.from(bytes).buffer);

it('makes a picture and its prompt ready: both embeddings, and the item vector the model gives for them', async () => {
  const bytes = await painting('#aa3311');
  const image = await upload(bytes, 'a red field');
  await encode([image]);
  const { status, statusReason, embeddings, itemVectors } = await read(image.id);
  expect([status, statusReason]).toEqual(['READY', null]);
  const of = (encoder: string) => fromHalfFloats(halves(embeddings.find((row) => row.encoder === encoder)!.vector));
  const pixels = of(imageEncoder.sha256);
  const words = of(textEncoder.sha256);
  expect([pixels.length, words.length]).toEqual([1664, 384]);
  const [direct] = await imageEncoder.encode([bytes]);
  expect(Math.max(...pixels.map((value, i) => Math.abs(value - direct![i]!)))).toBeLessThan(0.01);
  const [expected] = await model.itemVectors([{ image: pixels, text: words }]);
  expect(itemVectors.map(({ tower }) => tower)).toEqual([model.towerHash]);
  expect(halves(itemVectors[0]!.vector)).toEqual(expected);
});

it('keeps no prompt embedding for a picture without one', async () => {
  const image = await upload(await painting('#00ff00'));
  await encode([image]);
  const { status, embeddings } = await read(image.id);
  expect([status, embeddings.map(({ encoder }) => encoder)]).toEqual(['READY', [imageEncoder.sha256]]);
});

it('takes up what is sent with the transaction that made the images, many at a time', async () => {
  const images = await Promise.all(
    [...Array(40).keys()].map(async (i) => upload(await painting(`rgb(${i * 6},90,30)`), `field ${i}`)),
  );
  const batches: number[] = [];
  let started: Promise<void> | undefined;
  const done = new Promise<void>((resolve) => {
    const counting: Pick<Queue, 'work'> = {
      work: (name, options, handler) =>
        db.queue.work(name, options, async (jobs, tenant) => {
          await handler(jobs, tenant);
          batches.push(jobs.length);
          if (batches.reduce((sum, size) => sum + size, 0) === images.length) resolve();
        }),
    };
    started = startEncoding({ ...platform, queue: { ...db.queue, ...counting } });
  });
  await started;
  const jobs = images.map(({ id }) => ({ tenantId, imageIds: [id] }));
  await inTenant(() => database.$transaction((rows) => db.queue.send(rows, 'encode', jobs)));
  await done;
  expect(Math.max(...batches)).toBeGreaterThan(1);
  const rows = await Promise.all(images.map(({ id }) => read(id)));
  expect(rows.every(({ status }) => status === 'READY')).toBe(true);
  expect(rows.map(({ itemVectors }) => itemVectors.length)).toEqual(images.map(() => 1));
});

it('says why a picture is FAILED and makes the others of its batch ready', async () => {
  const whole = await painting('#0000ff');
  const images = [
    await upload(whole),
    await upload(Buffer.from('no picture')),
    await upload(whole.subarray(0, whole.length / 2)),
  ];
  await encode(images);
  const rows = await Promise.all(images.map(({ id }) => read(id)));
  expect(rows.map(({ status, statusReason }) => [status, statusReason])).toEqual([
    ['READY', null],
    ['FAILED', 'its bytes cannot be decoded'],
    ['FAILED', 'its bytes cannot be decoded'],
  ]);
  expect(rows[1]!.embeddings).toEqual([]);
});

it('says so when the bytes of a picture are gone', async () => {
  const image = await upload(await painting('#999999'));
  await platform.pictures.remove(tenantId, image.sha256);
  await encode([image]);
  expect(await read(image.id)).toMatchObject({
    status: 'FAILED',
    statusReason: 'its bytes are missing; upload it again',
  });
});

it('does the same job twice without a change, and one image named twice once', async () => {
  const image = await upload(await painting('#123456'), 'blue');
  await encode([image, image]);
  const first = await read(image.id);
  await encode([image]);
  const second = await read(image.id);
  expect(second.embeddings).toEqual(first.embeddings);
  expect(second.itemVectors.map(({ vector }) => vector)).toEqual(first.itemVectors.map(({ vector }) => vector));
  expect(second.status).toBe('READY');
});

it('reads the picture once: with its embedding kept, its bytes are asked for no more', async () => {
  const image = await upload(await painting('#654321'));
  await encode([image]);
  await platform.pictures.remove(tenantId, image.sha256);
  await encode([image]);
  expect(await read(image.id)).toMatchObject({ status: 'READY' });
});

it('encodes a new prompt where the embedding of the old one was taken away', async () => {
  const image = await upload(await painting('#808000'), 'old words');
  await encode([image]);
  const before = await read(image.id);
  await inTenant(async () => {
    await database.image.update({
      where: { tenantId_id: { tenantId, id: image.id } },
      data: { prompt: 'a castle at night' },
    });
    await database.embedding.deleteMany({ where: { imageId: image.id, encoder: textEncoder.sha256 } });
  });
  await encode([image]);
  const after = await read(image.id);
  expect(after.embeddings).toHaveLength(2);
  expect(after.itemVectors[0]!.vector).not.toEqual(before.itemVectors[0]!.vector);
});

it('does not write what a prompt said that was changed while it was being read', async () => {
  const image = await upload(await painting('#800080'), 'first words');
  const during: TextEncoder = {
    ...textEncoder,
    encode: async (texts) => {
      await inTenant(() => database.image.updateMany({ data: { prompt: 'second words' } }));
      return textEncoder.encode(texts);
    },
  };
  await inTenant(() =>
    encodeJobs(
      { ...platform, textEncoder: during },
      [{ data: { tenantId, imageIds: [image.id] }, lastAttempt: false }],
      tenantId,
    ),
  );
  expect(await read(image.id)).toMatchObject({ status: 'PENDING', embeddings: [], itemVectors: [] });
  await encode([image]);
  expect(await read(image.id)).toMatchObject({ status: 'READY' });
});

it('does not mind an image that was deleted before its turn, or during it', async () => {
  const [gone, going, staying] = await Promise.all(
    ['#010101', '#020202', '#030303'].map(async (c) => upload(await painting(c))),
  );
  await inTenant(() => database.image.deleteMany({ where: { id: gone!.id } }));
  const during: ImageEncoder = {
    ...imageEncoder,
    encode: async (files) => {
      await inTenant(() => database.image.deleteMany({ where: { id: going!.id } }));
      return imageEncoder.encode(files);
    },
  };
  const job = { data: { tenantId, imageIds: [gone!.id, going!.id, staying!.id] }, lastAttempt: false };
  await inTenant(() => encodeJobs({ ...platform, imageEncoder: during }, [job], tenantId));
  expect(await inTenant(() => database.image.findMany({ select: { id: true, status: true } }))).toEqual([
    { id: staying!.id, status: 'READY' },
  ]);
});

it("does not touch another tenant's image, though its id is named", async () => {
  const image = await upload(await painting('#111111'));
  const other = (await newTenant(database, model)).id;
  await withTenant(other, () =>
    encodeJobs(platform, [{ data: { tenantId: other, imageIds: [image.id] }, lastAttempt: true }], other),
  );
  expect(await read(image.id)).toMatchObject({ status: 'PENDING' });
});

it('makes stale what was known of people who had judged the picture before', async () => {
  const image = await upload(await painting('#222222'));
  const [judge, stranger] = [randomUUID(), randomUUID()];
  await inTenant(async () => {
    await database.user.createMany({ data: [judge, stranger].map((id) => ({ tenantId, id, externalId: id })) });
    await database.feedback.create({
      data: {
        tenantId,
        id: randomUUID(),
        userId: judge,
        imageId: image.id,
        sentiment: 'LIKE',
        weight: 1,
        judgedAt: new Date(),
      },
    });
  });
  await encode([image]);
  const versions = await inTenant(() => database.user.findMany({ select: { id: true, feedbackVersion: true } }));
  expect(new Map(versions.map(({ id, feedbackVersion }) => [id, feedbackVersion]))).toEqual(
    new Map([
      [judge, 1],
      [stranger, 0],
    ]),
  );
});

describe('where the fault is not the picture', () => {
  const broken = (): EncodePlatform => ({
    ...platform,
    imageEncoder: { ...imageEncoder, encode: () => Promise.reject(new Error('the thread has died')) },
  });
  const attempt = (parts: EncodePlatform, image: Image, lastAttempt: boolean) =>
    inTenant(() => encodeJobs(parts, [{ data: { tenantId, imageIds: [image.id] }, lastAttempt }], tenantId));

  it('leaves the image PENDING and throws, so that the queue tries again', async () => {
    const image = await upload(await painting('#333333'));
    await expect(attempt(broken(), image, false)).rejects.toThrow('the thread has died');
    expect(await read(image.id)).toMatchObject({ status: 'PENDING' });
    await attempt(platform, image, false);
    expect(await read(image.id)).toMatchObject({ status: 'READY' });
  });

  it('gives up after the last attempt, in words that name no secret, and mends it when asked again', async () => {
    const image = await upload(await painting('#444444'));
    await expect(attempt(broken(), image, true)).rejects.toThrow('the thread has died');
    expect(await read(image.id)).toMatchObject({
      status: 'FAILED',
      statusReason: 'it could not be encoded for a reason of the service; upload it again, or ask who runs the service',
    });
    await attempt(platform, image, false);
    expect(await read(image.id)).toMatchObject({ status: 'READY', statusReason: null });
  });

  it('refuses to mix encoders: the model names the one it was trained on', async () => {
    const image = await upload(await painting('#555555'));
    const parts = { ...platform, imageEncoder: { ...imageEncoder, sha256: 'f'.repeat(64) } };
    await expect(attempt(parts, image, false)).rejects.toMatchObject({
      code: 'NOT_READY',
      message: `Model version 0 reads the image encoder ${imageEncoder.sha256}; this worker has ${'f'.repeat(64)}.`,
    });
  });
});

describe('an encoder that goes astray', () => {
  /** The encoder that ships, with one number of its first embedding changed. */
  const astray = (value: number): EncodePlatform => ({
    ...platform,
    imageEncoder: {
      ...imageEncoder,
      async encode(pictures) {
        const embeddings = await imageEncoder.encode(pictures);
        embeddings[0]![7] = value;
        return embeddings;
      },
    },
  });
  const encodeBy = (by: EncodePlatform, images: readonly { id: string }[]) => {
    const job = { data: { tenantId, imageIds: images.map(({ id }) => id) }, lastAttempt: false };
    return inTenant(() => encodeJobs(by, [job], tenantId));
  };

  it('makes a picture FAILED where it gives no number, and no other', async () => {
    const images = [await upload(await painting('#123456')), await upload(await painting('#654321'))];
    await encodeBy(astray(Number.NaN), images);
    const rows = await Promise.all(images.map(({ id }) => read(id)));
    expect(rows.map(({ status }) => status).sort()).toEqual(['FAILED', 'READY']);
    expect(rows.find(({ status }) => status === 'FAILED')).toMatchObject({
      ...{ statusReason: 'its encoder gave what is no number', embeddings: [], itemVectors: [] },
    });
  });

  it('keeps what is beyond half floats as the largest of them', async () => {
    const image = await upload(await painting('#abcdef'));
    await encodeBy(astray(Number.POSITIVE_INFINITY), [image]);
    const { status, embeddings, itemVectors } = await read(image.id);
    expect([status, fromHalfFloats(halves(embeddings[0]!.vector))[7]]).toEqual(['READY', LARGEST_HALF]);
    expect(fromHalfFloats(halves(itemVectors[0]!.vector)).every(Number.isFinite)).toBe(true);
  });
});
