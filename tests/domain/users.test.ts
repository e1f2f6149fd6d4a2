/** Users: made and changed by the tenant's own keys, and read a page or many at a time. */
import { toGlobalId } from '../../src/domain/ids.ts';
import { pageImages, registerImage } from '../../src/domain/images.ts';
import { countUsers, pageUsers, resolveUsers, upsertUsers, usersByIds } from '../../src/domain/users.ts';
import { newTenant, type TestDatabase, testDatabase } from '../support/database.ts';

let test: TestDatabase;
let tenant: Awaited<ReturnType<typeof newTenant>>;

beforeAll(async () => {
  test = await testDatabase();
});
beforeEach(async () => {
  tenant = await newTenant(test.database);
});
afterAll(() => test.close());

const upsert = (items: Parameters<typeof upsertUsers>[1]) => tenant.run(() => upsertUsers(test, items));

describe('upsertUsers', () => {
  it('creates users, then finds them again by externalId', async () => {
    const first = await upsert([{ externalId: 'ada', displayName: 'Ada' }, { externalId: 'bob' }]);
    expect(first.userErrors).toEqual([]);
    expect(first.users).toMatchObject([
      { externalId: 'ada', displayName: 'Ada', feedbackVersion: 0 },
      { externalId: 'bob', displayName: null },
    ]);
    const second = await upsert([{ externalId: 'bob' }, { externalId: 'ada' }]);
    expect(second.users.map((user) => user?.id)).toEqual([first.users[1]?.id, first.users[0]?.id]);
  });

  it('leaves a name that is left out and takes away one that is null', async () => {
    await upsert([
      { externalId: 'ada', displayName: 'Ada' },
      { externalId: 'bob', displayName: 'Bob' },
    ]);
    const { users } = await upsert([{ externalId: 'ada' }, { externalId: 'bob', displayName: null }]);
    expect(users.map((user) => user?.displayName)).toEqual(['Ada', null]);
  });

  it('takes the later place of an externalId given twice', async () => {
    const { users } = await upsert([
      { externalId: 'ada', displayName: 'A' },
      { externalId: 'ada', displayName: 'B' },
    ]);
    expect(users.map((user) => user?.displayName)).toEqual(['B', 'B']);
    expect(users[0]?.id).toBe(users[1]?.id);
  });

  it('names each bad item and applies the rest', async () => {
    const { users, userErrors } = await upsert([
      { externalId: '' },
      { externalId: 'x'.repeat(256) },
      { externalId: 'good', displayName: 'n'.repeat(300) },
      { externalId: 'nul\0' },
      { externalId: '😀'.repeat(255) },
      { externalId: '\ud83d' },
    ]);
    expect(users.map((user) => user?.externalId ?? null)).toEqual([null, null, null, null, '😀'.repeat(255), null]);
    expect(userErrors).toEqual([
      {
        field: ['items', '0', 'externalId'],
        code: 'INVALID',
        message: 'externalId is empty; it needs at least one character.',
      },
      {
        field: ['items', '1', 'externalId'],
        code: 'TOO_LARGE',
        message: 'externalId has 256 characters; at most 255 are kept.',
      },
      {
        field: ['items', '2', 'displayName'],
        code: 'TOO_LARGE',
        message: 'displayName has 300 characters; at most 255 are kept.',
      },
      {
        field: ['items', '3', 'externalId'],
        code: 'INVALID',
        message: 'externalId holds a NUL character; leave it out.',
      },
      {
        ...{ field: ['items', '5', 'externalId'], code: 'INVALID' },
        message: 'externalId holds half of a surrogate pair; send well-formed Unicode.',
      },
    ]);
  });

  it('takes 500 at once and no more', async () => {
    const items = Array.from({ length: 501 }, (_, i) => ({ externalId: `user ${i}` }));
    const { users, userErrors } = await upsert(items);
    expect(users).toEqual(items.map(() => null));
    expect(userErrors).toEqual([
      {
        field: ['items'],
        code: 'TOO_LARGE',
        message: 'items has 501 items; at most 500 are taken at once. Send the rest in further requests.',
      },
    ]);
    expect((await upsert(items.slice(1))).users.every((user) => user !== null)).toBe(true);
    expect(await tenant.run(() => countUsers(test.database))).toBe(500);
  });

  it('can be sent twice at the same moment', async () => {
    const items = Array.from({ length: 200 }, (_, i) => ({ externalId: `user ${i}`, displayName: `${i}` }));
    const both = await Promise.all([upsert(items), upsert([...items].reverse())]);
    expect(both[0].users.map((user) => user?.id)).toEqual(both[1].users.map((user) => user?.id).reverse());
  });
});

describe('a user', () => {
  it('is found by either way to name one; what names none is null', async () => {
    const [ada] = (await upsert([{ externalId: 'ada' }])).users;
    const stranger = await newTenant(test.database);
    const theirs = await stranger.run(() => upsertUsers(test, [{ externalId: 'eve' }]));
    const refs = [
      { externalId: 'ada' },
      { id: toGlobalId('User', ada!.id) },
      { id: toGlobalId('Image', ada!.id) },
      { id: 'nonsense' },
      { externalId: 'nobody' },
      { externalId: 'ada\0' },
      { id: toGlobalId('User', theirs.users[0]!.id) },
      { externalId: 'eve' },
    ];
    const found = await tenant.run(() => resolveUsers(test.database, refs));
    expect(found.map((user) => user?.externalId ?? null)).toEqual(['ada', 'ada', ...Array(6).fill(null)]);
  });

  it('of another tenant is left out of what is read by ids', async () => {
    const [ada] = (await upsert([{ externalId: 'ada' }])).users;
    const stranger = await newTenant(test.database);
    expect(await stranger.run(() => usersByIds(test.database, [ada!.id]))).toEqual(new Map());
  });
});

describe('pageUsers', () => {
  it('walks through all users once, newest first', async () => {
    await upsert(Array.from({ length: 5 }, (_, i) => ({ externalId: `${i}` })));
    const seen: string[] = [];
    let after: string | null = null;
    do {
      const page = await tenant.run(() => pageUsers(test.database, { first: 2, after }));
      seen.push(...page.nodes.map(({ externalId }) => externalId));
      expect(page.pageInfo.hasPreviousPage).toBe(after !== null);
      after = page.pageInfo.hasNextPage ? page.pageInfo.endCursor : null;
    } while (after !== null);
    expect(seen).toEqual(['4', '3', '2', '1', '0']);
  });

  it.each([0, -1, 101, 1.5, Number.NaN])('refuses first: %d', async (first) => {
    await expect(tenant.run(() => pageUsers(test.database, { first }))).rejects.toMatchObject({
      code: 'BAD_USER_INPUT',
      message: `first is ${first}; it must be a whole number from 1 to 100.`,
    });
  });

  it('refuses a cursor of the list of images, as that list does one of users', async () => {
    await upsert([{ externalId: 'ada' }]);
    const picture = { sha256: '0'.repeat(64), format: 'png', byteLength: 1, width: 1, height: 1 };
    await tenant.run(() => registerImage(test, picture, {}));
    const users = await tenant.run(() => pageUsers(test.database, { first: 1 }));
    const images = await tenant.run(() => pageImages(test.database, {}, { first: 1 }));
    const refused = { code: 'BAD_USER_INPUT', message: expect.stringContaining('which is no cursor of this list') };
    const from = (page: typeof users | typeof images) => ({ first: 1, after: page.pageInfo.endCursor });
    await expect(tenant.run(() => pageUsers(test.database, from(images)))).rejects.toMatchObject(refused);
    await expect(tenant.run(() => pageImages(test.database, {}, from(users)))).rejects.toMatchObject(refused);
  });

  it.each(['', 'nonsense', Buffer.from('["x"]').toString('base64url'), Buffer.from('[1]').toString('base64url')])(
    'refuses %j as a cursor',
    async (after) => {
      await expect(tenant.run(() => pageUsers(test.database, { first: 1, after }))).rejects.toMatchObject({
        code: 'BAD_USER_INPUT',
        message: `after is "${after}", which is no cursor of this list: pass an endCursor of it.`,
      });
    },
  );
});
