/** Comparisons are kept beside the judgements and change none of them. */
import { type ComparisonInput, comparisonsByIds, submitComparison } from '../../src/domain/comparisons.ts';
import { toGlobalId } from '../../src/domain/ids.ts';
import { registerImage } from '../../src/domain/images.ts';
import { retractFeedback, submitFeedback } from '../../src/domain/submitFeedback.ts';
import { upsertUsers } from '../../src/domain/users.ts';
import { newTenant, type TestDatabase, testDatabase } from '../support/database.ts';

let test: TestDatabase;
let tenant: Awaited<ReturnType<typeof newTenant>>;

beforeAll(async () => {
  test = await testDatabase();
});
afterAll(() => test.close());
beforeEach(async () => {
  tenant = await newTenant(test.database);
  await tenant.run(async () => {
    await upsertUsers(test, [{ externalId: 'ada' }, { externalId: 'bob' }]);
    for (const name of ['a', 'b', 'c', 'of bob']) {
      const sha256 = Buffer.from(name).toString('hex').padEnd(64, '0');
      const owner = name === 'of bob' ? { externalId: 'bob' } : null;
      await registerImage(
        test,
        { sha256, format: 'png', byteLength: 1, width: 1, height: 1 },
        { externalId: name, owner },
      );
    }
  });
});

const ref = (externalId: string) => ({ externalId });
const submit = (chosen: string, others: string[], more: Partial<ComparisonInput> = {}) =>
  tenant.run(() => submitComparison(test, { user: ref('ada'), chosen: ref(chosen), others: others.map(ref), ...more }));

describe('submitComparison', () => {
  it('keeps the chosen image and the others in their order', async () => {
    const { comparison, userErrors } = await submit('b', ['c', 'a']);
    expect(userErrors).toEqual([]);
    expect(comparison).toMatchObject({ judgedAt: test.time });
    const read = await tenant.run(() => comparisonsByIds(test.database, [comparison!.id]));
    expect(read.get(comparison!.id)).toEqual(comparison);
    const names = await tenant.run(async () => {
      const rows = await test.database.image.findMany();
      return comparison!.otherIds.map((id) => rows.find((row) => row.id === id)?.externalId);
    });
    expect(names).toEqual(['c', 'a']);
  });

  it('changes no judgement and no feedback version', async () => {
    const items = [{ user: ref('ada'), image: ref('a'), sentiment: 'LIKE' as const }];
    const judged = await tenant.run(() => submitFeedback(test, { items }));
    await submit('b', ['a']);
    const { feedback, users } = await tenant.run(async () => ({
      feedback: await test.database.feedback.findMany(),
      users: await test.database.user.findMany({ orderBy: { externalId: 'asc' } }),
    }));
    expect(feedback).toEqual(judged.feedback);
    expect(users.map(({ feedbackVersion }) => feedbackVersion)).toEqual([1, 0]);
  });

  it.each([
    ['a', [], ['others'], 'INVALID', 'others is empty; name at least one image.'],
    ['none', ['a'], ['chosen'], 'NOT_FOUND', 'There is no image as chosen names one.'],
    ['a', ['b', 'none'], ['others', '1'], 'NOT_FOUND', 'There is no image as others names one.'],
    ['a', ['of bob'], ['others', '0'], 'NOT_FOUND', 'There is no image as others names one.'],
    ['a', ['b', 'a'], ['others', '1'], 'INVALID', 'This image is given more than once.'],
    ['a', Array<string>(101).fill('b'), ['others'], 'TOO_LARGE', 'others has 101 images; at most 100 are taken.'],
  ])('refuses %s over %j', async (chosen, others, field, code, message) => {
    expect(await submit(chosen, others)).toEqual({ comparison: null, userErrors: [{ field, code, message }] });
  });

  it('answers the same idempotencyKey with the same comparison, and another request with CONFLICT', async () => {
    const first = await submit('a', ['b'], { idempotencyKey: 'k' });
    expect(await submit('a', ['b'], { idempotencyKey: 'k' })).toEqual(first);
    expect(await tenant.run(() => test.database.comparison.count())).toBe(1);
    expect((await submit('b', ['a'], { idempotencyKey: 'k' })).userErrors).toMatchObject([
      { field: ['idempotencyKey'], code: 'CONFLICT' },
    ]);
  });

  it('can be taken back', async () => {
    const { comparison } = await submit('a', ['b']);
    const id = toGlobalId('Comparison', comparison!.id);
    expect(await tenant.run(() => retractFeedback(test, [id]))).toEqual({ retractedIds: [id], userErrors: [] });
    expect(await tenant.run(() => test.database.comparisonOther.count())).toBe(0);
  });
});
