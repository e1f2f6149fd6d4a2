/** Images: the same picture is stored once, its description can change, and an owner's are the owner's alone. */
import { withPerson } from '../../src/database/client.ts';
import type { User } from '../../src/database/generated/client.ts';
import { newId, toGlobalId } from '../../src/domain/ids.ts';
import {
  countImages,
  type ImageDescription,
  pageImages,
  registerImage,
  resolveImages,
} from '../../src/domain/images.ts';
import { type UpdateImageItem, updateImages } from '../../src/domain/imageUpdates.ts';
import { Quotas } from '../../src/domain/quotas.ts';
import { submitFeedback } from '../../src/domain/submitFeedback.ts';
import { upsertUsers } from '../../src/domain/users.ts';
import { newTenant, TEST_MODEL, type TestDatabase, testDatabase } from '../support/database.ts';

let test: TestDatabase;
let tenant: Awaited<ReturnType<typeof newTenant>>;
let ada: User;

beforeAll(async () => {
  test = await testDatabase();
});
afterAll(() => test.close());
beforeEach(async () => {
  tenant = await newTenant(test.database);
  const { users } = await tenant.run(() => upsertUsers(test, [{ externalId: 'ada' }, { externalId: 'bob' }]));
  ada = users[0]!;
});

const picture = (content: string) => ({
  sha256: Buffer.from(content).toString('hex').padEnd(64, '0'),
  ...{ format: 'png', byteLength: 7, width: 3, height: 2 },
});
const register = (content: string, description: ImageDescription = {}) =>
  tenant.run(() => registerImage(test, picture(content), description));
const update = (items: UpdateImageItem[]) => tenant.run(() => updateImages(test, items));
const idOfImage = async (content: string, description: ImageDescription = {}) =>
  toGlobalId('Image', (await register(content, description)).image.id);
const encodeJobs = async () => {
  const rows = await tenant.run(
    () => test.database.$queryRaw<{ data: { tenantId: string; imageIds: string[] } }[]>`
      SELECT data FROM pgboss.job WHERE name = 'encode' ORDER BY created_on`,
  );
  return rows.flatMap(({ data }) => (data.tenantId === tenant.id ? data.imageIds : []));
};

describe('registerImage', () => {
  it('keeps a picture with its description, PENDING, and queues its encoding', async () => {
    const description = {
      externalId: 'x',
      prompt: 'a fox',
      generator: 'g',
      collection: 'c',
      owner: { externalId: 'ada' },
    };
    const { image, created } = await register('fox', description);
    expect(created).toBe(true);
    expect(image).toMatchObject({
      ...{ externalId: 'x', prompt: 'a fox', generator: 'g', collection: 'c', ownerId: ada.id },
      ...{ status: 'PENDING', format: 'png', byteLength: 7, width: 3, height: 2 },
    });
    expect(await encodeJobs()).toEqual([image.id]);
  });

  it('answers the same bytes with the same image, as it is, once an owner', async () => {
    const first = await register('same', { prompt: 'first' });
    expect(await register('same', { prompt: 'second' })).toEqual({ image: first.image, created: false });
    const owned = await register('same', { owner: { externalId: 'ada' } });
    expect(owned.created).toBe(true);
    expect((await register('same', { owner: { id: toGlobalId('User', ada.id) } })).image.id).toBe(owned.image.id);
    const stranger = await newTenant(test.database);
    const theirs = await stranger.run(() => registerImage(test, picture('same'), {}));
    expect(theirs).toMatchObject({ created: true, image: { tenantId: stranger.id } });
  });

  it('tries a picture that FAILED again when its bytes are sent again', async () => {
    const { image } = await register('broken');
    await tenant.run(() =>
      test.database.image.updateMany({ where: { id: image.id }, data: { status: 'FAILED', statusReason: 'Lost.' } }),
    );
    const again = await register('broken');
    expect(again).toMatchObject({ created: false, image: { id: image.id, status: 'PENDING', statusReason: null } });
    expect(await encodeJobs()).toEqual([image.id, image.id]);
  });

  it('stores one picture where the same bytes arrive many times at once', async () => {
    const answers = await Promise.all(Array.from({ length: 8 }, () => register('rush')));
    expect(new Set(answers.map(({ image }) => image.id)).size).toBe(1);
    expect(answers.filter(({ created }) => created)).toHaveLength(1);
    expect(await encodeJobs()).toHaveLength(1);
  });

  it.each([
    [{ externalId: 'taken' }, 'externalId', 'CONFLICT', 'externalId "taken" is that of another image.'],
    [{ externalId: '' }, 'externalId', 'INVALID', 'externalId is empty; it needs at least one character.'],
    [{ prompt: 'p'.repeat(2001) }, 'prompt', 'TOO_LARGE', 'prompt has 2001 characters; at most 2000 are kept.'],
    [
      { collection: 'c'.repeat(101) },
      'collection',
      'TOO_LARGE',
      'collection has 101 characters; at most 100 are kept.',
    ],
    [{ owner: { externalId: 'nobody' } }, 'owner', 'NOT_FOUND', 'There is no user as owner names one.'],
  ])('refuses %j', async (description, field, code, message) => {
    await register('holder', { externalId: 'taken' });
    await expect(register('new', description)).rejects.toMatchObject({ field: [field], code, message });
  });
});

describe('images that wait to be encoded', () => {
  const MOST = 2;
  const OVERLOADED = {
    code: 'OVERLOADED',
    message: '2 images of this tenant wait to be encoded, as many as may: ask again in a moment.',
  };

  it('are as many as may, a tenant, and more when some have been', async () => {
    const narrow = { ...test, quotas: new Quotas(MOST) };
    const take = (content: string) => tenant.run(() => registerImage(narrow, picture(content), {}));
    const { image } = await take('one');
    await take('two');
    await expect(take('three')).rejects.toMatchObject(OVERLOADED);
    expect(await encodeJobs()).toHaveLength(MOST);
    expect((await take('two')).created).toBe(false);
    const items = [{ id: toGlobalId('Image', image.id), prompt: 'said again' }];
    await tenant.run(() => updateImages(narrow, items)); // it waits already
    expect(() => narrow.quotas.checkPendingImages(tenant.id)).toThrow(expect.objectContaining(OVERLOADED));

    const stranger = await newTenant(test.database);
    narrow.quotas.checkPendingImages(stranger.id);
    await stranger.run(() => registerImage(narrow, picture('three'), {}));

    await tenant.run(() => test.database.image.updateMany({ where: { id: image.id }, data: { status: 'READY' } }));
    expect((await take('three')).created).toBe(true);
    await expect(tenant.run(() => updateImages(narrow, [{ ...items[0]!, prompt: 'anew' }]))).rejects.toMatchObject(
      OVERLOADED,
    );
  });

  it('wait after those of tenants of which few do, where they are many', async () => {
    const ids = Array.from({ length: 256 }, newId);
    const row = { ...{ tenantId: tenant.id, ownerId: null, format: 'png' }, byteLength: 1, width: 1, height: 1 };
    const priorities = async () => {
      const rows = await tenant.run(
        () => test.database.$queryRaw<{ priority: number }[]>`
          SELECT priority FROM pgboss.job WHERE name = 'encode' AND singleton_key = ${tenant.id} ORDER BY created_on`,
      );
      return rows.map(({ priority }) => priority);
    };
    await register('first');
    await tenant.run(() =>
      test.database.image.createMany({
        data: ids.map((id) => ({ ...row, id, sha256: id.replaceAll('-', '').repeat(2) })),
      }),
    );
    await register('last');
    expect(await priorities()).toEqual([0, -1]);
  });
});

describe('updateImages', () => {
  it('changes what is given, takes away what is null, and leaves the rest', async () => {
    const id = await idOfImage('a', { prompt: 'a fox', generator: 'g', collection: 'c', externalId: 'x' });
    const { images, userErrors } = await update([
      { id, generator: 'h', collection: null, owner: { externalId: 'ada' } },
    ]);
    expect(userErrors).toEqual([]);
    expect(images).toMatchObject([
      { prompt: 'a fox', generator: 'h', collection: null, externalId: 'x', ownerId: ada.id },
    ]);
    expect((await update([{ id, owner: null }])).images[0]?.ownerId).toBeNull();
    expect(await tenant.run(() => test.database.image.findFirst())).toMatchObject({ generator: 'h', ownerId: null });
  });

  it('sends an image with a new prompt to be encoded again, and makes stale what rests on it', async () => {
    const { image } = await register('a', { prompt: 'a fox', externalId: 'x' });
    const id = toGlobalId('Image', image.id);
    await tenant.run(async () => {
      await test.database.image.updateMany({ data: { status: 'READY' } });
      const row = { tenantId: tenant.id, imageId: image.id, vector: new Uint8Array(2) };
      const { imageEncoder, textEncoder } = TEST_MODEL;
      await test.database.embedding.createMany({
        data: [imageEncoder, textEncoder].map((encoder) => ({ ...row, encoder })),
      });
      await submitFeedback(test, { items: [{ user: { externalId: 'ada' }, image: { id }, sentiment: 'LIKE' }] });
    });
    const versionOf = async () =>
      (await tenant.run(() => test.database.user.findFirstOrThrow({ where: { id: ada.id } }))).feedbackVersion;

    expect((await update([{ id, prompt: 'a fox', generator: 'new' }])).images[0]?.status).toBe('READY');
    expect([await versionOf(), await encodeJobs()]).toEqual([1, [image.id]]);

    expect((await update([{ id, prompt: 'a cat' }])).images[0]).toMatchObject({ status: 'PENDING', prompt: 'a cat' });
    expect([await versionOf(), await encodeJobs()]).toEqual([2, [image.id, image.id]]);
    const left = await tenant.run(() => test.database.embedding.findMany());
    expect(left.map(({ encoder }) => encoder)).toEqual([TEST_MODEL.imageEncoder]);
  });

  it('names each bad item and applies the rest', async () => {
    const ids = [await idOfImage('a'), await idOfImage('b', { externalId: 'b' }), await idOfImage('c')];
    await register('a', { owner: { externalId: 'ada' } });
    const { images, userErrors } = await update([
      { id: 'nonsense', prompt: 'x' },
      { id: ids[2]!, prompt: 'kept' },
      { id: ids[2]!, prompt: 'twice' },
      { id: ids[0]!, externalId: 'b' },
      { id: ids[0]!, owner: { externalId: 'nobody' } },
      { id: ids[0]!, owner: { externalId: 'ada' } },
      { id: ids[0]!, generator: 'g'.repeat(256) },
      { id: ids[0]!, externalId: 'b\0' },
      { id: ids[0]!, owner: { externalId: 'ada\0' } },
    ]);
    expect(images.map((image) => image?.prompt ?? null)).toEqual([null, 'kept', ...Array(7).fill(null)]);
    expect(userErrors).toEqual([
      { field: ['items', '0', 'id'], code: 'NOT_FOUND', message: 'There is no image with this id.' },
      { field: ['items', '2', 'id'], code: 'INVALID', message: 'This image stands in the list already.' },
      { field: ['items', '3', 'externalId'], code: 'CONFLICT', message: 'externalId "b" is that of another image.' },
      { field: ['items', '4', 'owner'], code: 'NOT_FOUND', message: 'There is no user as owner names one.' },
      {
        ...{ field: ['items', '5', 'owner'], code: 'CONFLICT' },
        message: 'The same picture is stored for this owner already, as another image.',
      },
      {
        field: ['items', '6', 'generator'],
        code: 'TOO_LARGE',
        message: 'generator has 256 characters; at most 255 are kept.',
      },
      {
        field: ['items', '7', 'externalId'],
        code: 'INVALID',
        message: 'externalId holds a NUL character; leave it out.',
      },
      { field: ['items', '8', 'owner'], code: 'NOT_FOUND', message: 'There is no user as owner names one.' },
    ]);
  });
});

describe('pageImages', () => {
  const find = async (filter: Parameters<typeof pageImages>[1]) =>
    (await tenant.run(() => pageImages(test.database, filter, { first: 100 }))).nodes.map(
      ({ externalId }) => externalId,
    );

  beforeEach(async () => {
    await register('1', { externalId: '1', prompt: 'A red fox in the snow', collection: 'animals' });
    await register('2', { externalId: '2', prompt: 'a blue cat', collection: 'animals' });
    await register('3', { externalId: '3', owner: { externalId: 'ada' } });
    await tenant.run(() => test.database.image.updateMany({ where: { externalId: '2' }, data: { status: 'READY' } }));
  });

  it('finds by status, collection and the words of the prompt, newest first', async () => {
    expect(await find({})).toEqual(['3', '2', '1']);
    expect(await find({ status: 'READY' })).toEqual(['2']);
    expect(await find({ collection: 'animals' })).toEqual(['2', '1']);
    expect(await find({ query: 'fox red' })).toEqual(['1']);
    expect(await find({ query: 'fox or cat' })).toEqual(['2', '1']);
    expect(await find({ query: '"red snow"' })).toEqual([]);
    expect(await find({ query: "'; DROP TABLE images; -- \0 (" })).toEqual([]);
    expect(await find({ query: 'cat', status: 'PENDING' })).toEqual([]);
  });

  it("shows a user the tenant's images and their own, and no other owner's", async () => {
    const bob = await tenant.run(() => test.database.user.findFirstOrThrow({ where: { externalId: 'bob' } }));
    const seenBy = (user: User) =>
      withPerson(tenant.id, user.id, async () => {
        const { nodes } = await pageImages(test.database, {}, { first: 100 });
        return [nodes.map(({ externalId }) => externalId), await countImages(test.database, {})];
      });
    expect(await seenBy(ada)).toEqual([['3', '2', '1'], 3]);
    expect(await seenBy(bob)).toEqual([['2', '1'], 2]);
  });

  it('goes on after a cursor', async () => {
    const first = await tenant.run(() => pageImages(test.database, {}, { first: 2 }));
    const after = first.pageInfo.endCursor;
    const second = await tenant.run(() => pageImages(test.database, {}, { first: 2, after }));
    expect([first, second].map(({ nodes, pageInfo }) => [nodes.length, pageInfo.hasNextPage])).toEqual([
      [2, true],
      [1, false],
    ]);
    expect(second.nodes[0]?.externalId).toBe('1');
  });
});

describe('an image', () => {
  it('is found by either way to name one; what names none is null', async () => {
    const id = await idOfImage('a', { externalId: 'x' });
    const found = await tenant.run(() =>
      resolveImages(test.database, [{ externalId: 'x' }, { id }, { id: 'none' }, { externalId: 'x\0' }, {}]),
    );
    expect(found.map((image) => image?.externalId ?? null)).toEqual(['x', 'x', null, null, null]);
  });
});
