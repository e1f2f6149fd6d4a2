/** Mutations and lists over HTTP: the right items are applied beside the wrong ones, and pages hold together. */
import { type TestService, type TestTenant, testService } from './service.ts';

let service: TestService;
let tenant: TestTenant;
let user: string;
let images: string[];

beforeAll(async () => {
  service = await testService();
});
afterAll(() => service.close());
beforeEach(async () => {
  tenant = await service.tenant();
  [user] = (await tenant.people('ada')) as [string];
  images = [];
  for (const colour of ['#ff0000', '#00ff00', '#0000ff']) images.push(await tenant.upload(colour));
});

const submit = async (items: object[], idempotencyKey?: string) => {
  const { data, errors } = await tenant.ask(
    `mutation ($input: SubmitFeedbackInput!) {
      submitFeedback(input: $input) {
        feedback { id sentiment weight comment judgedAt createdAt user { id } image { id } }
        userErrors { field code message }
      }
    }`,
    { input: { items, ...(idempotencyKey ? { idempotencyKey } : {}) } },
  );
  return errors.length > 0 ? { errors } : data.submitFeedback;
};
const like = (image: number, more: object = {}) => ({
  user: { id: user },
  image: { id: images[image] },
  sentiment: 'LIKE',
  ...more,
});

describe('submitFeedback', () => {
  it('keeps the right judgements beside the wrong ones, in their places', async () => {
    const { feedback, userErrors } = await submit([
      like(0, { weight: 0 }),
      like(1, { weight: 2.5, comment: 'warm', judgedAt: '2026-01-01T10:00:00+02:00' }),
      like(2, { judgedAt: '2026-01-01T12:05:01Z' }),
      like(0, { user: { externalId: 'nobody' } }),
    ]);
    expect(feedback).toEqual([
      null,
      {
        id: expect.any(String),
        sentiment: 'LIKE',
        weight: 2.5,
        comment: 'warm',
        judgedAt: '2026-01-01T08:00:00.000Z',
        createdAt: expect.any(String),
        user: { id: user },
        image: { id: images[1] },
      },
      null,
      null,
    ]);
    expect(userErrors).toEqual([
      { field: ['items', '0', 'weight'], code: 'INVALID', message: 'weight is 0; it must be above 0 and at most 10.' },
      { field: ['items', '2', 'judgedAt'], code: 'INVALID', message: expect.stringContaining('five minutes ahead') },
      { field: ['items', '3', 'user'], code: 'NOT_FOUND', message: 'There is no user as user names one.' },
    ]);
  });

  it.each([-1, 10.5])('refuses a weight of %d', async (weight) => {
    const { feedback, userErrors } = await submit([like(0, { weight })]);
    expect(feedback).toEqual([null]);
    expect(userErrors).toEqual([
      {
        field: ['items', '0', 'weight'],
        code: 'INVALID',
        message: `weight is ${weight}; it must be above 0 and at most 10.`,
      },
    ]);
  });

  it('refuses a weight that is no number before anything is kept', async () => {
    const { errors } = await submit([like(1), like(0, { weight: 'NaN' })]);
    expect(errors).toMatchObject([{ extensions: { code: 'BAD_USER_INPUT' } }]);
    expect(errors[0].message).toContain('Float cannot represent non numeric value: "NaN"');
    const { data } = await tenant.ask('{ users { nodes { feedback { totalCount } } } }');
    expect(data.users.nodes).toEqual([{ feedback: { totalCount: 0 } }]);
  });

  it('refuses 501 judgements as a whole', async () => {
    const { feedback, userErrors } = await submit(Array.from({ length: 501 }, () => like(0)));
    expect(feedback.every((one: unknown) => one === null)).toBe(true);
    expect(userErrors).toMatchObject([{ field: ['items'], code: 'TOO_LARGE' }]);
  });

  it('asks for exactly one way to name a user', async () => {
    const { errors } = await submit([like(0, { user: { id: user, externalId: 'ada' } })]);
    expect(errors).toMatchObject([{ extensions: { code: 'BAD_USER_INPUT' } }]);
  });

  it('answers the same for the same idempotency key, and CONFLICT for it with other items', async () => {
    const first = await submit([like(0)], 'key-1');
    expect(await submit([like(0)], 'key-1')).toEqual(first);
    expect((await submit([like(1)], 'key-1')).userErrors).toMatchObject([
      { field: ['idempotencyKey'], code: 'CONFLICT' },
    ]);
  });

  it('is taken back by retractFeedback, once', async () => {
    const { feedback } = await submit([like(0)]);
    const retract = () =>
      tenant.ask(
        'mutation ($ids: [ID!]!) { retractFeedback(input: { ids: $ids }) { retractedIds userErrors { code } } }',
        { ids: [feedback[0].id] },
      );
    expect((await retract()).data.retractFeedback).toEqual({ retractedIds: [feedback[0].id], userErrors: [] });
    expect((await retract()).data.retractFeedback).toEqual({ retractedIds: [], userErrors: [{ code: 'NOT_FOUND' }] });
  });
});

describe('submitComparison', () => {
  it('keeps what was chosen over what, and changes no judgement', async () => {
    const { data, errors } = await tenant.ask(
      `mutation ($input: SubmitComparisonInput!) {
        submitComparison(input: $input) {
          comparison { id user { externalId } chosen { id } others { id } judgedAt } userErrors { code }
        }
      }`,
      {
        input: {
          user: { externalId: 'ada' },
          chosen: { id: images[0] },
          others: [{ id: images[2] }, { id: images[1] }],
        },
      },
    );
    expect(errors).toEqual([]);
    const { comparison } = data.submitComparison;
    expect(comparison).toEqual({
      id: expect.any(String),
      user: { externalId: 'ada' },
      chosen: { id: images[0] },
      others: [{ id: images[2] }, { id: images[1] }],
      judgedAt: '2026-01-01T12:00:00.000Z',
    });
    const read = await tenant.ask(
      'query ($id: ID!, $user: ID!) { node(id: $id) { ... on Comparison { others { id } } } user(by: { id: $user }) { feedback { totalCount } } }',
      { id: comparison.id, user },
    );
    expect(read.data).toEqual({ node: { others: comparison.others }, user: { feedback: { totalCount: 0 } } });
  });
});

describe('upsertUsers and updateImages', () => {
  it('update a person by externalId', async () => {
    const { data } = await tenant.ask(
      `mutation {
        upsertUsers(input: { items: [{ externalId: "ada", displayName: "Ada" }, { externalId: "" }] }) {
          users { id displayName } userErrors { field code message }
        }
      }`,
    );
    expect(data.upsertUsers).toEqual({
      users: [{ id: user, displayName: 'Ada' }, null],
      userErrors: [
        {
          field: ['items', '1', 'externalId'],
          code: 'INVALID',
          message: 'externalId is empty; it needs at least one character.',
        },
      ],
    });
  });

  it('make an image PENDING by a new prompt, until it is encoded again', async () => {
    await tenant.encode();
    const status = async () =>
      (await tenant.ask('query ($id: ID!) { image(by: { id: $id }) { status prompt } }', { id: images[0] })).data.image;
    expect((await status()).status).toBe('READY');
    const { data } = await tenant.ask(
      `mutation ($id: ID!) {
        updateImages(input: { items: [{ id: $id, prompt: "a red field", collection: "fields" }] }) {
          images { status prompt collection } userErrors { code }
        }
      }`,
      { id: images[0] },
    );
    expect(data.updateImages).toEqual({
      images: [{ status: 'PENDING', prompt: 'a red field', collection: 'fields' }],
      userErrors: [],
    });
    await tenant.encode();
    expect(await status()).toEqual({ status: 'READY', prompt: 'a red field' });
  });
});

describe('lists', () => {
  it('of feedback are paged newest first, counted, and filtered by sentiment', async () => {
    await submit([0, 1, 2].map((i) => like(i, { judgedAt: `2026-01-01T0${i}:00:00Z` })));
    await submit([like(1, { sentiment: 'SKIP' })]);
    const page = async (first: number, after: string | null, sentiment: string | null = null) => {
      const { data, errors } = await tenant.ask(
        `query ($id: ID!, $first: Int!, $after: String, $sentiment: Sentiment) {
          user(by: { id: $id }) {
            feedback(first: $first, after: $after, sentiment: $sentiment) {
              totalCount nodes { image { id } } pageInfo { hasNextPage hasPreviousPage endCursor }
            }
          }
        }`,
        { id: user, first, after, sentiment },
      );
      expect(errors).toEqual([]);
      return data.user.feedback;
    };
    const first = await page(2, null);
    expect(first).toMatchObject({
      totalCount: 3,
      nodes: [{ image: { id: images[1] } }, { image: { id: images[2] } }],
      pageInfo: { hasNextPage: true, hasPreviousPage: false },
    });
    expect(await page(2, first.pageInfo.endCursor)).toMatchObject({
      nodes: [{ image: { id: images[0] } }],
      pageInfo: { hasNextPage: false, hasPreviousPage: true },
    });
    expect(await page(9, null, 'LIKE')).toMatchObject({ totalCount: 2 });
  });

  it('of users and images are paged to their end, each once', async () => {
    await tenant.people('bob', 'cleo', 'dora');
    for (const [list, count] of [
      ['users', 4],
      ['images', 3],
    ] as const) {
      const seen: string[] = [];
      let after: string | null = null;
      do {
        const { data }: { data: Record<string, { nodes: { id: string }[]; pageInfo: Record<string, never> }> } =
          await tenant.ask(
            `query ($after: String) { ${list}(first: 2, after: $after) { nodes { id } pageInfo { hasNextPage endCursor } } }`,
            { after },
          );
        seen.push(...data[list]!.nodes.map(({ id }) => id));
        after = data[list]!.pageInfo['hasNextPage'] ? data[list]!.pageInfo['endCursor']! : null;
      } while (after);
      expect(new Set(seen).size).toBe(count);
      expect(seen).toHaveLength(count);
    }
  });

  it('of images are searched by prompt, status and collection', async () => {
    await tenant.upload('#ff8800', { prompt: 'a red fox in snow', collection: 'animals' });
    const { data } = await tenant.ask(
      `{ fox: images(query: "fox") { totalCount } fields: images(collection: "animals") { totalCount }
         ready: images(status: READY) { totalCount } pending: images(status: PENDING) { totalCount } }`,
    );
    expect(data).toEqual({
      fox: { totalCount: 1 },
      fields: { totalCount: 1 },
      ready: { totalCount: 0 },
      pending: { totalCount: 4 },
    });
  });
});
