/** Exemplars, found by the model that ships among the demo's pictures; and of many images, by a small drawn model. */
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Database, withTenant } from '../../src/database/client.ts';
import { exemplarsForMany, MAX_EXEMPLARS, requestMissingExemplars } from '../../src/domain/exemplars.ts';
import { toGlobalId } from '../../src/domain/ids.ts';
import { deleteImages } from '../../src/domain/imageDeletion.ts';
import { registerImage } from '../../src/domain/images.ts';
import { updateImages } from '../../src/domain/imageUpdates.ts';
import { toItemVector } from '../../src/domain/itemVectors.ts';
import { activeRows, type Networks } from '../../src/domain/models.ts';
import type { Platform } from '../../src/domain/platform.ts';
import { upsertUsers } from '../../src/domain/users.ts';
import { DiskStore } from '../../src/files/diskStore.ts';
import { DEMO_PICTURES, gallery } from '../../src/gallery/gallery.ts';
import { renderPicture } from '../../src/gallery/picture.ts';
import {
  loadImageEncoder,
  loadTextEncoder,
  SHIPPED_IMAGE_ENCODER,
  SHIPPED_TEXT_ENCODER,
} from '../../src/inference/encoding/index.ts';
import { PreferenceModel, SHIPPED_MODEL } from '../../src/inference/preferenceModel.ts';
import type { Queue } from '../../src/queue/queue.ts';
import { encodeJobs } from '../../src/workers/encode.ts';
import { type ExemplarPlatform, findExemplars, startExemplars } from '../../src/workers/exemplars.ts';
import { newTenant, type TestDatabase, testDatabase } from '../support/database.ts';
import { encodedItems, smallArtifact } from '../support/model.ts';
import { putReadyImages, testNetworks, testPlatform } from '../support/platform.ts';

let db: TestDatabase;
let database: Database;

beforeAll(async () => {
  db = await testDatabase();
  ({ database } = db);
});
afterAll(() => db.close());

type Tenant = Awaited<ReturnType<typeof newTenant>>;

/** The exemplars of every token, as image ids. */
const shown = (tenant: Tenant, tokens: number, first = MAX_EXEMPLARS): Promise<string[][]> =>
  tenant.run(async () => {
    const { id: modelId } = await database.model.findFirstOrThrow();
    const requests = Array.from({ length: tokens }, (_, token) => ({ modelId, token, first }));
    return (await exemplarsForMany(database, requests)).map((images) => images.map(({ id }) => id));
  });

/** What they should be: every image that may be one, scored by itself before an empty history. */
const wanted = (tenant: Tenant, model: PreferenceModel, first = MAX_EXEMPLARS): Promise<string[][]> =>
  tenant.run(async () => {
    const images = await database.image.findMany({
      where: { status: 'READY', ownerId: null },
      include: { itemVectors: true },
    });
    const [state] = await model.userStates([[]]);
    const scored = await model.score(
      images.map(({ itemVectors }) => ({ state: state!, targets: [toItemVector(itemVectors[0]!.vector)] })),
    );
    const { layers, heads, tokens } = model;
    return Array.from({ length: tokens }, (_, token) =>
      images
        .map(({ id }, i) => {
          const attention = scored[i]![0]!.tokenAttention;
          let sum = 0;
          for (let head = 0; head < layers * heads; head++) sum += attention[head * tokens + token]!;
          return { id, weight: sum / (layers * heads) };
        })
        .sort((a, b) => b.weight - a.weight)
        .slice(0, first)
        .map(({ id }) => id),
    );
  });

describe('of the demo’s pictures', () => {
  const PICTURES = 24; // more than are shown
  let folder: string;
  let model: PreferenceModel;
  let tenant: Tenant;
  let close: () => Promise<unknown>;
  const jobs: string[][] = [];
  let networks: Networks;
  const platform = () => ({ database, activeRows: activeRows(database), networks, queue: db.queue });

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'palate-exemplars-'));
    const [pictures, imageEncoder, textEncoder] = await Promise.all([
      DiskStore.open(join(folder, 'pictures')),
      loadImageEncoder(SHIPPED_IMAGE_ENCODER),
      loadTextEncoder(SHIPPED_TEXT_ENCODER),
    ]);
    model = await PreferenceModel.load(SHIPPED_MODEL);
    networks = testNetworks(model, await DiskStore.open(join(folder, 'models')));
    close = () => Promise.all([model, imageEncoder, textEncoder].map((network) => network.close()));
    tenant = await newTenant(database, model);
    const quick = gallery(DEMO_PICTURES).filter(({ attributes }) => ['flat', 'neon'].includes(attributes.style));
    const rendered: { prompt: string; bytes: Buffer }[] = [];
    for (const it of quick.slice(0, PICTURES)) rendered.push({ prompt: it.prompt, bytes: await renderPicture(it) });
    await tenant.run(async () => {
      const ids: string[] = [];
      for (const { bytes, prompt } of rendered) {
        const sha256 = createHash('sha256').update(bytes).digest('hex');
        await pictures.put(tenant.id, sha256, bytes);
        const stored = { sha256, format: 'jpeg', byteLength: bytes.length, width: 512, height: 512 };
        ids.push((await registerImage({ ...platform(), quotas: db.quotas }, stored, { prompt })).image.id);
      }
      const job = { data: { tenantId: tenant.id, imageIds: ids }, lastAttempt: true };
      const heard: Queue = {
        ...db.queue,
        async send(queries, name, data, options) {
          if (name === 'exemplars') jobs.push(...data.map((one) => ('imageIds' in one ? [...one.imageIds] : [])));
          return db.queue.send(queries, name, data, options);
        },
      };
      await encodeJobs({ ...platform(), queue: heard, pictures, imageEncoder, textEncoder }, [job], tenant.id);
    });
  });
  afterAll(async () => {
    await close();
    await rm(folder, { recursive: true });
  });

  it('are asked for with the images that became READY, each once', async () => {
    const ids = await tenant.run(() => database.image.findMany({ where: { status: 'READY' }, select: { id: true } }));
    expect(jobs.flat().sort()).toEqual(ids.map(({ id }) => id).sort());
    expect(jobs.length).toBeLessThan(PICTURES / 10);
    expect(await shown(tenant, model.tokens)).toEqual(Array(model.tokens).fill([]));
  });

  it('are those that excite each token most, whether the images come together or bit by bit', async () => {
    for (const imageIds of jobs) await tenant.run(() => findExemplars(platform(), imageIds));
    const found = await shown(tenant, model.tokens);
    expect(found).toEqual(await wanted(tenant, model));
    expect(found.every((ids) => ids.length === MAX_EXEMPLARS)).toBe(true);
    expect(new Set(found.map(([first]) => first)).size).toBeGreaterThan(1); // tokens stand for different things
    await tenant.run(() => findExemplars(platform(), jobs.flat()));
    expect(await shown(tenant, model.tokens)).toEqual(found);
  });

  it('are taken up from the queue', async () => {
    await tenant.run(() => database.tokenExemplar.deleteMany());
    let failed: unknown = null;
    const done = new Promise<void>((resolve) => {
      const counting: Pick<Queue, 'work'> = {
        work: (name, options, handler) =>
          db.queue.work(name, options, async (taken, id) => {
            await handler(taken, id).catch((error: unknown) => {
              failed = error;
            });
            resolve();
          }),
      };
      void startExemplars({ ...platform(), queue: { ...db.queue, ...counting } });
    });
    await tenant.run(() => requestMissingExemplars(platform()));
    await done;
    expect(failed).toBeNull();
    expect(await shown(tenant, model.tokens)).toEqual(await wanted(tenant, model));
  });
});

describe('of many images', () => {
  const IMAGES = 700; // more than two pages
  let model: PreferenceModel;
  let platform: ExemplarPlatform;
  let removing: Platform;
  let close: () => Promise<void>;
  let tenant: Tenant;
  let ids: string[];
  let scored: number;

  beforeAll(async () => {
    model = await PreferenceModel.open(smallArtifact());
    ({ platform: removing, close } = await testPlatform(db, model));
    const score = model.score.bind(model);
    model.score = (requests) => {
      scored += requests.reduce((sum, { targets }) => sum + targets.length, 0);
      return score(requests);
    };
    platform = { database, activeRows: removing.activeRows, networks: removing.networks, queue: db.queue };
  });
  afterAll(async () => {
    await model.close();
    await close();
  });
  beforeEach(async () => {
    tenant = await newTenant(database, model);
    ids = [];
    scored = 0;
  });

  /** So many more images that are READY. */
  const add = async (count: number, seed: string, ownerId: string | null = null): Promise<string[]> => {
    const vectors = await model.itemVectors(encodedItems(seed, count));
    const place = { tenantId: tenant.id, tower: model.towerHash, ownerId };
    const added = await tenant.run(() => putReadyImages(database, place, vectors));
    ids.push(...added);
    return added;
  };
  const find = (imageIds: readonly string[]) => tenant.run(() => findExemplars(platform, imageIds));
  const expectRight = async () => expect(await shown(tenant, model.tokens)).toEqual(await wanted(tenant, model));
  const owned = async (imageIds: readonly string[], externalId: string | null) => {
    const items = imageIds.map((id) => ({
      id: toGlobalId('Image', id),
      owner: externalId === null ? null : { externalId },
    }));
    const { userErrors } = await tenant.run(() => updateImages({ ...platform, quotas: db.quotas }, items));
    expect(userErrors).toEqual([]);
  };
  const makeAda = () => tenant.run(() => upsertUsers(db, [{ externalId: 'ada' }]));

  it('are found in one go, and with further images by scoring those alone', async () => {
    await add(IMAGES, 'first');
    await find([]);
    expect(scored).toBe(IMAGES);
    await expectRight();
    scored = 0;
    const more = await add(100, 'more');
    await find(more);
    expect(scored).toBe(100);
    await expectRight();
    const rows = await tenant.run(() => database.tokenExemplar.count());
    expect(rows).toBe(model.tokens * 2 * MAX_EXEMPLARS); // bounded
  });

  it('grow with the first images, one at a time', async () => {
    for (let i = 0; i < 25; i++) {
      await find(await add(1, `image ${i}`));
      await expectRight();
    }
  });

  it('never are owned: not before the worker runs, and not after', async () => {
    await makeAda();
    const { id: ada } = await tenant.run(() => database.user.findFirstOrThrow());
    await add(60, 'open');
    const hers = await add(60, 'hers', ada);
    await find(ids);
    await expectRight();
    const [best] = await shown(tenant, model.tokens);
    await owned(best!.slice(0, 5), 'ada');
    const left = await shown(tenant, model.tokens);
    expect(left.flat().filter((id) => best!.slice(0, 5).includes(id) || hers.includes(id))).toEqual([]);
    expect(left[0]!.slice(0, 15)).toEqual(best!.slice(5));
    await find(ids);
    await expectRight();
    await owned(best!.slice(0, 5), null);
    await find(best!.slice(0, 5));
    expect((await shown(tenant, model.tokens))[0]).toEqual(best);
  });

  it('are not taken in where an image was given away while it was being scored', async () => {
    await makeAda();
    const [first] = (await add(30, 'raced')) as [string];
    const { score } = model;
    model.score = async (requests) => {
      const scores = await score(requests);
      await owned([first], 'ada');
      return scores;
    };
    await find([]);
    model.score = score;
    const rows = await tenant.run(() => database.tokenExemplar.findMany());
    expect(rows.some(({ imageId }) => imageId === first)).toBe(false);
    expect(rows.length).toBeGreaterThan(0);
  });

  it('are right after many looked for them at once while pictures were given away, taken back and deleted', async () => {
    await makeAda();
    await add(120, 'races');
    await find([]);
    const [best] = await shown(tenant, model.tokens);
    const [given, gone] = [best!.slice(0, 8), best!.slice(8, 12)];
    const turns = [
      () => find(ids.slice(0, 60)),
      () => find([]),
      () => owned([...given].reverse(), 'ada'),
      () => owned(given, null),
      () =>
        tenant.run(() =>
          deleteImages(
            removing,
            gone.splice(0, 1).map((id) => toGlobalId('Image', id)),
          ),
        ),
    ];
    for (let round = 0; round < 4; round++) await Promise.all(turns.map((turn) => turn()));
    await owned(given, null);
    await find(given);
    await expectRight();
  });

  it('are gone through again where too many have vanished, and not before', async () => {
    await add(200, 'vanishing');
    await find([]);
    const [best] = await shown(tenant, model.tokens);
    const [ours, theirs] = [best!.slice(0, 10), best!.slice(10)];
    const drop = (gone: readonly string[]) =>
      tenant.run(() => database.image.deleteMany({ where: { id: { in: [...gone] } } }));
    await drop(ours);
    scored = 0;
    await find([]);
    expect(scored).toBe(0);
    await expectRight();
    await drop(theirs);
    await drop((await shown(tenant, model.tokens))[0]!.slice(0, 1));
    scored = 0;
    await find([]);
    expect(scored).toBe(200 - 21);
    await expectRight();
  });

  it('are gone through again rather than filled up with what is not known to follow', async () => {
    await add(200, 'holes');
    await find([]);
    const dropShown = async (count: number) => {
      const [best] = await shown(tenant, model.tokens);
      await tenant.run(() => database.image.deleteMany({ where: { id: { in: best!.slice(0, count) } } }));
    };
    await dropShown(15);
    await find(await add(50, 'after the holes'));
    await dropShown(20);
    await find([]);
    await expectRight();
  });

  it('are asked for by the maintenance where a model has none though there are images, and else not', async () => {
    const sent = async () => {
      const rows = await database.$queryRaw<{ count: number }[]>`
        SELECT count(*)::int AS count FROM pgboss.job WHERE name = 'exemplars' AND singleton_key = ${tenant.id}`;
      return rows[0]!.count;
    };
    const request = () => withTenant(tenant.id, () => requestMissingExemplars(platform));
    await request();
    expect(await tenant.run(sent)).toBe(0);
    await add(3, 'old');
    await request();
    expect(await tenant.run(sent)).toBe(1);
    await find([]);
    await request();
    expect(await tenant.run(sent)).toBe(1);
  });
});
