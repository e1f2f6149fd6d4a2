/** Feedback: taken in by the hundreds, the good beside the bad, once however often it is sent. */
import { Prisma } from '../../src/database/client.ts';
import type { Image, User } from '../../src/database/generated/client.ts';
import { countFeedback, feedbackForUsers, readHistories } from '../../src/domain/feedback.ts';
import { toGlobalId } from '../../src/domain/ids.ts';
import { registerImage } from '../../src/domain/images.ts';
import { toCursor } from '../../src/domain/pages.ts';
import { type FeedbackItem, retractFeedback, submitFeedback } from '../../src/domain/submitFeedback.ts';
import { upsertUsers } from '../../src/domain/users.ts';
import { newTenant, TEST_MODEL, type TestDatabase, testDatabase } from '../support/database.ts';

let test: TestDatabase;
let tenant: Awaited<ReturnType<typeof newTenant>>;
let ada: User;
let bob: User;
let images: Image[];

beforeAll(async () => {
  test = await testDatabase();
});
afterAll(() => test.close());
beforeEach(async () => {
  test.time = new Date('2026-01-01T12:00:00.000Z');
  tenant = await newTenant(test.database);
  [ada, bob] = (await tenant.run(() => upsertUsers(test, [{ externalId: 'ada' }, { externalId: 'bob' }]))).users as [
    User,
    User,
  ];
  images = [];
  for (let i = 0; i < 4; i++) images.push(await register(`image ${i}`));
});

let pictures = 0;
async function register(externalId: string, owner?: { externalId: string }): Promise<Image> {
  const sha256 = (pictures++).toString(16).padStart(64, '0');
  const picture = { sha256, format: 'png', byteLength: 1, width: 1, height: 1 };
  return (await tenant.run(() => registerImage(test, picture, { externalId, owner }))).image;
}

const submit = (items: FeedbackItem[], idempotencyKey?: string) =>
  tenant.run(() => submitFeedback(test, { items, idempotencyKey }));
const like = (image: number, more: Partial<FeedbackItem> = {}): FeedbackItem => ({
  user: { externalId: 'ada' },
  image: { externalId: `image ${image}` },
  sentiment: 'LIKE',
  ...more,
});
const version = async (user: User) =>
  (await tenant.run(() => test.database.user.findFirstOrThrow({ where: { id: user.id } }))).feedbackVersion;
const count = () => tenant.run(() => test.database.feedback.count());
const at = (seconds: number) => new Date(test.time.getTime() + seconds * 1000);
const profileJobs = async () => {
  const rows = await tenant.run(
    () =>
      test.database.$queryRaw<{ data: { tenantId: string } }[]>`SELECT data FROM pgboss.job WHERE name = 'profiles'`,
  );
  return rows.filter(({ data }) => data.tenantId === tenant.id).length;
};

describe('submitFeedback', () => {
  it('keeps judgements in the order they were given, as they were given', async () => {
    const judgedAt = at(-60);
    const { feedback, userErrors } = await submit([
      like(0),
      { ...like(1, { judgedAt, comment: 'too dark', weight: 2.5 }), sentiment: 'DISLIKE' },
      like(2, { user: { id: toGlobalId('User', bob.id) }, image: { id: toGlobalId('Image', images[2]!.id) } }),
    ]);
    expect(userErrors).toEqual([]);
    expect(feedback).toMatchObject([
      { userId: ada.id, imageId: images[0]!.id, sentiment: 'LIKE', weight: 1, comment: null, judgedAt: test.time },
      { userId: ada.id, imageId: images[1]!.id, sentiment: 'DISLIKE', weight: 2.5, comment: 'too dark', judgedAt },
      { userId: bob.id, imageId: images[2]!.id, sentiment: 'LIKE' },
    ]);
    const kept = await tenant.run(() => test.database.feedback.findMany({ orderBy: { id: 'asc' } }));
    expect(feedback).toEqual(kept);
  });

  it('raises the version of each user once and queues the profiles in the same transaction', async () => {
    await submit([like(0), like(1), like(2)]);
    expect([await version(ada), await version(bob)]).toEqual([1, 0]);
    expect(await profileJobs()).toBe(1);
    await submit([like(0, { image: { externalId: 'none' } })]);
    expect(await version(ada)).toBe(1);
    expect(await profileJobs()).toBe(1);
  });

  it('lets the newest judgement of an image stand', async () => {
    const [first] = (await submit([like(0, { comment: 'red' })])).feedback;
    const [second] = (await submit([{ ...like(0), sentiment: 'DISLIKE', judgedAt: at(1) }])).feedback;
    expect(second).toEqual({ ...first, sentiment: 'DISLIKE', comment: null, judgedAt: at(1) });
    expect(await tenant.run(() => test.database.feedback.findMany())).toEqual([second]);
  });

  it('answers an older judgement that arrives late with the one that stands, and changes nothing', async () => {
    const [standing] = (await submit([like(0)])).feedback;
    const late = await submit([{ ...like(0), sentiment: 'DISLIKE', judgedAt: at(-1) }]);
    expect(late).toEqual({ feedback: [standing], userErrors: [] });
    expect(await version(ada)).toBe(1);
  });

  it('lets the newest of one list stand in all its places, the later of equally new ones', async () => {
    const { feedback } = await submit([
      { ...like(0), sentiment: 'DISLIKE', judgedAt: at(2) },
      like(0, { judgedAt: at(1) }),
      { ...like(1), sentiment: 'DISLIKE' },
      like(1),
    ]);
    expect(feedback.map((row) => row?.sentiment)).toEqual(['DISLIKE', 'DISLIKE', 'LIKE', 'LIKE']);
  });

  it('names each bad item in the order of the list and applies the rest', async () => {
    const { feedback, userErrors } = await submit([
      like(0, { user: { externalId: 'nobody' } }),
      like(0, { image: { id: 'nonsense' } }),
      like(0, { weight: 0 }),
      like(0, { weight: Number.NaN }),
      like(0, { weight: 10.5 }),
      like(0, { comment: 'c'.repeat(2001) }),
      like(0, { judgedAt: at(301) }),
      like(0, { judgedAt: new Date(Number.NaN) }),
      like(0, { judgedAt: new Date(-1) }),
      like(0, { user: { externalId: 'ada\0' } }),
      like(0, { image: { externalId: 'image 0\0' } }),
      like(3, { weight: 10, judgedAt: at(300), comment: 'c'.repeat(2000) }),
    ]);
    expect(feedback.map((row) => row?.imageId ?? null)).toEqual([...Array(11).fill(null), images[3]!.id]);
    const limits =
      "it must be after 1970 and at most five minutes ahead of the service's clock, which reads 2026-01-01T12:00:00.000Z.";
    expect(userErrors).toEqual([
      { field: ['items', '0', 'user'], code: 'NOT_FOUND', message: 'There is no user as user names one.' },
      { field: ['items', '1', 'image'], code: 'NOT_FOUND', message: 'There is no image as image names one.' },
      { field: ['items', '2', 'weight'], code: 'INVALID', message: 'weight is 0; it must be above 0 and at most 10.' },
      {
        field: ['items', '3', 'weight'],
        code: 'INVALID',
        message: 'weight is NaN; it must be above 0 and at most 10.',
      },
      {
        field: ['items', '4', 'weight'],
        code: 'INVALID',
        message: 'weight is 10.5; it must be above 0 and at most 10.',
      },
      {
        field: ['items', '5', 'comment'],
        code: 'TOO_LARGE',
        message: 'comment has 2001 characters; at most 2000 are kept.',
      },
      {
        field: ['items', '6', 'judgedAt'],
        code: 'INVALID',
        message: `judgedAt is 2026-01-01T12:05:01.000Z; ${limits}`,
      },
      { field: ['items', '7', 'judgedAt'], code: 'INVALID', message: `judgedAt is no instant; ${limits}` },
      {
        field: ['items', '8', 'judgedAt'],
        code: 'INVALID',
        message: `judgedAt is 1969-12-31T23:59:59.999Z; ${limits}`,
      },
      { field: ['items', '9', 'user'], code: 'NOT_FOUND', message: 'There is no user as user names one.' },
      { field: ['items', '10', 'image'], code: 'NOT_FOUND', message: 'There is no image as image names one.' },
    ]);
  });

  it("does not take another tenant's user or image, nor an image of another owner, for one", async () => {
    const stranger = await newTenant(test.database);
    const [eve] = (await stranger.run(() => upsertUsers(test, [{ externalId: 'eve' }]))).users;
    await register('of bob', { externalId: 'bob' });
    const { feedback, userErrors } = await submit([
      like(0, { user: { id: toGlobalId('User', eve!.id) } }),
      like(0, { image: { externalId: 'of bob' } }),
      like(0, { user: { externalId: 'bob' }, image: { externalId: 'of bob' } }),
    ]);
    expect(userErrors.map(({ field, code }) => [...field, code])).toEqual([
      ['items', '0', 'user', 'NOT_FOUND'],
      ['items', '1', 'image', 'NOT_FOUND'],
    ]);
    expect(feedback[2]).toMatchObject({ userId: bob.id });
  });

  it('takes 500 at once and no more', async () => {
    const items = Array.from({ length: 501 }, () => like(0));
    const refused = await submit(items);
    expect(refused.feedback).toEqual(items.map(() => null));
    expect(refused.userErrors).toEqual([
      {
        field: ['items'],
        code: 'TOO_LARGE',
        message: 'items has 501 items; at most 500 are taken at once. Send the rest in further requests.',
      },
    ]);
    expect((await submit(items.slice(1))).feedback).toHaveLength(500);
  });

  it('takes an empty list', async () => {
    expect(await submit([])).toEqual({ feedback: [], userErrors: [] });
  });

  it('loses nothing where many submit for the same people at once', async () => {
    const both = [like(0), like(1, { user: { externalId: 'bob' } }), like(2)];
    await Promise.all(Array.from({ length: 8 }, (_, i) => submit(i % 2 === 0 ? both : [...both].reverse())));
    expect(await count()).toBe(3);
    expect([await version(ada), await version(bob)]).toEqual([8, 8]);
  });
});

describe('an idempotencyKey', () => {
  it('makes the same request answer the same and change nothing', async () => {
    const items = [like(0), like(0, { image: { externalId: 'none' } })];
    const first = await submit(items, 'once');
    await submit([{ ...like(0), sentiment: 'DISLIKE', judgedAt: at(1) }]);
    const again = await submit(items, 'once');
    expect(again.userErrors).toEqual(first.userErrors);
    expect(again.feedback.map((row) => row?.id)).toEqual(first.feedback.map((row) => row?.id));
    expect(again.feedback[0]).toMatchObject({ sentiment: 'DISLIKE', judgedAt: at(1) }); // as it stands by now
    expect(await version(ada)).toBe(2);
  });

  it('keeps ids and no content, and answers null for what was taken back since', async () => {
    const { feedback } = await submit([{ ...like(0), comment: 'the red one' }], 'kept');
    const kept = () => tenant.run(() => test.database.idempotencyKey.findFirstOrThrow({ where: { key: 'kept' } }));
    const row = await kept();
    expect(row).toMatchObject({ ids: [feedback[0]!.id], userIds: [feedback[0]!.userId], userErrors: [] });
    expect(JSON.stringify(row)).not.toContain('the red one');
    await tenant.run(() => retractFeedback(test, [toGlobalId('Feedback', feedback[0]!.id)]));
    const again = await submit([{ ...like(0), comment: 'the red one' }], 'kept');
    expect(again).toEqual({ feedback: [null], userErrors: [] });
  });

  it('is CONFLICT with another request', async () => {
    await submit([like(0)], 'taken');
    expect(await submit([like(1)], 'taken')).toEqual({
      feedback: [null],
      userErrors: [
        {
          field: ['idempotencyKey'],
          code: 'CONFLICT',
          message:
            'idempotencyKey "taken" was sent with another request less than 24 hours ago: use a new key for a new request.',
        },
      ],
    });
    expect(await count()).toBe(1);
  });

  it('is IN_PROGRESS while the first request still runs', async () => {
    await tenant
      .run(() =>
        test.database.$transaction(async (transaction) => {
          // Whoever changes a user's feedback waits for this lock, so the first request cannot end.
          await transaction.$queryRaw`SELECT id FROM users WHERE id = ${ada.id}::uuid FOR UPDATE`;
          const first = submit([like(0)], 'slow');
          await waitsForLock();
          expect(await submit([like(0)], 'slow')).toEqual({
            feedback: [null],
            userErrors: [
              {
                field: ['idempotencyKey'],
                code: 'IN_PROGRESS',
                message: 'The request first sent with idempotencyKey "slow" is still running: send it again shortly.',
              },
            ],
          });
          return { first };
        }),
      )
      .then(({ first }) => first);
    expect((await submit([like(0)], 'slow')).feedback[0]).toMatchObject({ imageId: images[0]!.id });
  });

  it('is free again after 24 hours, and swept away', async () => {
    await submit([like(0)], 'daily');
    test.time = at(24 * 60 * 60);
    expect((await submit([like(1)], 'other')).userErrors).toEqual([]);
    expect(await tenant.run(() => test.database.idempotencyKey.count())).toBe(1);
    expect((await submit([like(1)], 'daily')).userErrors).toEqual([]);
  });

  it('leaves nothing behind where the request failed', async () => {
    const broken = { ...test, queue: { ...test.queue, send: () => Promise.reject(new Error('the queue is gone')) } };
    await expect(
      tenant.run(() => submitFeedback(broken, { items: [like(0)], idempotencyKey: 'failed' })),
    ).rejects.toThrow('the queue is gone');
    expect([await count(), await version(ada)]).toEqual([0, 0]);
    expect((await submit([like(1)], 'failed')).userErrors).toEqual([]);
  });

  it.each([
    ['', 'INVALID', 'idempotencyKey is empty; it needs at least one character.'],
    ['k'.repeat(256), 'TOO_LARGE', 'idempotencyKey has 256 characters; at most 255 are kept.'],
  ])('that cannot be kept (%#) is refused', async (key, code, message) => {
    expect(await submit([like(0)], key)).toEqual({
      feedback: [null],
      userErrors: [{ field: ['idempotencyKey'], code, message }],
    });
  });
});

/** Resolves when some query of this database waits for a row. */
async function waitsForLock(): Promise<void> {
  for (;;) {
    const [row] = await tenant.run(
      () => test.database.$queryRaw<[{ waiting: boolean }]>`
        SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND locktype IN ('transactionid', 'tuple')) AS waiting`,
    );
    if (row.waiting) return;
  }
}

describe('feedbackForUsers', () => {
  it('pages through each of many users in one query, newest judgement first', async () => {
    await submit([0, 1, 2, 3].map((i) => like(i, { judgedAt: at(i - 10) })));
    await submit([like(1, { user: { externalId: 'bob' } })]);
    const args = { first: 3 };
    const pages = await tenant.run(() => feedbackForUsers(test.database, [ada.id, bob.id], args));
    const imagesOf = (id: string) =>
      pages.get(id)!.nodes.map(({ imageId }) => images.findIndex((image) => image.id === imageId));
    expect([imagesOf(ada.id), imagesOf(bob.id)]).toEqual([[3, 2, 1], [1]]);
    expect(pages.get(bob.id)!.pageInfo.hasNextPage).toBe(false);

    const after = pages.get(ada.id)!.pageInfo.endCursor;
    const next = await tenant.run(() => feedbackForUsers(test.database, [ada.id], { first: 3, after }));
    expect(next.get(ada.id)!.nodes.map(({ imageId }) => imageId)).toEqual([images[0]!.id]);
    expect(next.get(ada.id)!.pageInfo).toMatchObject({ hasNextPage: false, hasPreviousPage: true });
  });

  it.each(['9999-99-99T99:99:99.999Z', '2026-02-30T00:00:00.000Z', '0000-01-01T00:00:00.000Z', 'yesterday'])(
    'refuses a cursor of the instant %s, which there never was',
    async (instant) => {
      const after = toCursor(instant, ada.id);
      await expect(
        tenant.run(() => feedbackForUsers(test.database, [ada.id], { first: 1, after })),
      ).rejects.toMatchObject({
        code: 'BAD_USER_INPUT',
        message: expect.stringContaining('which is no cursor of this list'),
      });
    },
  );

  it('keeps to one sentiment where it is asked for, and counts it', async () => {
    await submit([like(0), { ...like(1), sentiment: 'DISLIKE' }, { ...like(2), sentiment: 'SKIP' }]);
    const pages = await tenant.run(() => feedbackForUsers(test.database, [ada.id], { first: 9, sentiment: 'SKIP' }));
    expect(pages.get(ada.id)!.nodes.map(({ imageId }) => imageId)).toEqual([images[2]!.id]);
    const all = await tenant.run(() => countFeedback(test.database, [ada.id, bob.id]));
    expect([...all.values()]).toEqual([3, 0]);
    const likes = await tenant.run(() => countFeedback(test.database, [ada.id], 'LIKE'));
    expect(likes.get(ada.id)).toBe(1);
  });
});

describe('readHistories', () => {
  const ready = (image: Image, value: number) =>
    tenant.run(async () => {
      await test.database.image.updateMany({ where: { id: image.id }, data: { status: 'READY' } });
      const vector = new Uint8Array(new Uint16Array([value, value]).buffer);
      const { towerHash: tower } = TEST_MODEL;
      await test.database.itemVector.create({ data: { tenantId: tenant.id, tower, imageId: image.id, vector } });
    });
  const read = () => tenant.run(() => readHistories(test.database, TEST_MODEL.towerHash, [ada.id, bob.id]));

  it('reads likes and dislikes of READY images with their vectors, newest first', async () => {
    for (const i of [0, 1, 2]) await ready(images[i]!, i + 1);
    await submit([
      like(0, { judgedAt: at(-3) }),
      { ...like(1, { judgedAt: at(-1), weight: 3 }), sentiment: 'DISLIKE' },
      { ...like(2), sentiment: 'SKIP' },
      like(3), // not READY
    ]);
    const histories = await read();
    expect([...histories.keys()]).toEqual([ada.id]);
    expect(histories.get(ada.id)).toMatchObject([
      { imageId: images[1]!.id, sentiment: 'DISLIKE', weight: 3, judgedAt: at(-1), item: new Uint16Array([2, 2]) },
      { imageId: images[0]!.id, sentiment: 'LIKE', weight: 1, judgedAt: at(-3), item: new Uint16Array([1, 1]) },
    ]);
  });

  it('reads the newest 2,048 of a user', async () => {
    await tenant.run(async () => {
      const ids = Array.from({ length: 2_100 }, (_, i) => `01900000-0000-7000-8000-${i.toString().padStart(12, '0')}`);
      const base = Prisma.sql`${tenant.id}::uuid`;
      await test.database.$executeRaw`
        INSERT INTO images (tenant_id, id, sha256, format, byte_length, width, height, status)
        SELECT ${base}, id, id::text, 'png', 1, 1, 1, 'READY' FROM unnest(${ids}::uuid[]) AS id`;
      await test.database.$executeRaw`
        INSERT INTO item_vectors (tenant_id, tower, image_id, vector)
        SELECT ${base}, ${TEST_MODEL.towerHash}, id, '\\x0000' FROM unnest(${ids}::uuid[]) AS id`;
      await test.database.$executeRaw`
        INSERT INTO feedback (tenant_id, id, user_id, image_id, sentiment, weight, judged_at)
        SELECT ${base}, id, ${ada.id}::uuid, id, 'LIKE', 1, timestamptz '2025-01-01' + n * interval '1 s'
        FROM unnest(${ids}::uuid[]) WITH ORDINALITY AS item (id, n)`;
      const history = (await readHistories(test.database, TEST_MODEL.towerHash, [ada.id])).get(ada.id)!;
      expect(history.map(({ imageId }) => imageId)).toEqual(ids.slice(52).reverse());
    });
  });
});

describe('retractFeedback', () => {
  it('takes judgements back, raises the version, and says which ids are none', async () => {
    const { feedback } = await submit([like(0), like(1)]);
    const ids = feedback.map((row) => toGlobalId('Feedback', row!.id));
    const answer = await tenant.run(() =>
      retractFeedback(test, [ids[0]!, 'nonsense', ids[0]!, toGlobalId('User', ada.id)]),
    );
    expect(answer).toEqual({
      retractedIds: [ids[0]],
      userErrors: [
        { field: ['ids', '1'], code: 'NOT_FOUND', message: 'There is no feedback and no comparison with this id.' },
        { field: ['ids', '3'], code: 'NOT_FOUND', message: 'There is no feedback and no comparison with this id.' },
      ],
    });
    expect([await count(), await version(ada), await profileJobs()]).toEqual([1, 2, 2]);
  });

  it("leaves another tenant's feedback alone", async () => {
    const { feedback } = await submit([like(0)]);
    const stranger = await newTenant(test.database);
    const ids = [toGlobalId('Feedback', feedback[0]!.id)];
    expect((await stranger.run(() => retractFeedback(test, ids))).userErrors).toMatchObject([{ code: 'NOT_FOUND' }]);
    expect(await count()).toBe(1);
  });
});
