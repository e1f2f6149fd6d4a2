/**
 * Comparisons: of images shown together, one was chosen. They are kept beside the feedback and change none of it.
 */
import { currentTenant, type Queries } from '../database/client.ts';
import type { Comparison as ComparisonRow } from '../database/generated/client.ts';
import { type Keeping, once } from './idempotency.ts';
import { newId } from './ids.ts';
import { holdImages, type ImageRef, isVisible, resolveImages } from './images.ts';
import { checkJudgedAt, type FeedbackPlatform } from './submitFeedback.ts';
import { ItemError, type UserError } from './userErrors.ts';
import { holdUsers, resolveUsers, type UserRef } from './users.ts';

/** The most images that one was chosen over: more are never seen at once. */
const MAX_OTHERS = 100;

export interface Comparison extends ComparisonRow {
  /** The images it was chosen over, in the order given. */
  readonly otherIds: readonly string[];
}

export interface ComparisonInput {
  readonly user: UserRef;
  readonly chosen: ImageRef;
  readonly others: readonly ImageRef[];
  /** Now, if left out; at most five minutes ahead. */
  readonly judgedAt?: Date | null | undefined;
  readonly idempotencyKey?: string | null | undefined;
}

/** Keeps a comparison, or says what is wrong with it. */
export async function submitComparison(
  platform: FeedbackPlatform,
  input: ComparisonInput,
): Promise<{ comparison: Comparison | null; userErrors: UserError[] }> {
  const { idempotencyKey: key, ...request } = input;
  const now = platform.now();
  try {
    const comparison = await platform.database.$transaction((transaction) => {
      const work = (): Promise<Comparison | null> => keepComparison(transaction, request, now);
      if (key === null || key === undefined) return work();
      return once(transaction, { operation: 'submitComparison', key, request }, now, work, keeping(transaction));
    });
    return { comparison, userErrors: [] };
  } catch (error) {
    if (error instanceof ItemError) return { comparison: null, userErrors: [error.toUserError()] };
    throw error;
  }
}

/** One that was taken back since is answered with null. */
function keeping(transaction: Queries): Keeping<Comparison | null> {
  return {
    keep: (comparison) => ({
      ids: [comparison?.id ?? null],
      userErrors: [],
      userIds: comparison ? [comparison.userId] : [],
    }),
    recall: async ({ ids: [id] }) => (id && (await comparisonsByIds(transaction, [id])).get(id)) || null,
  };
}

async function keepComparison(
  transaction: Queries,
  { user: userRef, chosen: chosenRef, others: otherRefs, judgedAt: given }: Omit<ComparisonInput, 'idempotencyKey'>,
  now: Date,
): Promise<Comparison> {
  if (otherRefs.length === 0) throw new ItemError(['others'], 'INVALID', 'others is empty; name at least one image.');
  if (otherRefs.length > MAX_OTHERS) {
    const message = `others has ${otherRefs.length} images; at most ${MAX_OTHERS} are taken.`;
    throw new ItemError(['others'], 'TOO_LARGE', message);
  }
  const judgedAt = given ?? now;
  checkJudgedAt(judgedAt, now);
  const [user] = await resolveUsers(transaction, [userRef]);
  if (!user || !(await holdUsers(transaction, [user.id])).has(user.id))
    throw new ItemError(['user'], 'NOT_FOUND', 'There is no user as user names one.');
  const images = await resolveImages(transaction, [chosenRef, ...otherRefs]);
  const held = await holdImages(
    transaction,
    images.flatMap((image) => image?.id ?? []),
  );
  const ids: string[] = [];
  for (const [i, image] of images.entries()) {
    const field = i === 0 ? ['chosen'] : ['others', String(i - 1)];
    if (!image || !held.has(image.id) || !isVisible(image, user.id)) {
      throw new ItemError(field, 'NOT_FOUND', `There is no image as ${field[0]} names one.`);
    }
    if (ids.includes(image.id)) throw new ItemError(field, 'INVALID', 'This image is given more than once.');
    ids.push(image.id);
  }
  const [chosenId = '', ...otherIds] = ids;
  const tenantId = currentTenant();
  const row = await transaction.comparison.create({
    data: { tenantId, id: newId(), userId: user.id, chosenId, judgedAt },
  });
  await transaction.comparisonOther.createMany({
    data: otherIds.map((imageId, position) => ({ tenantId, comparisonId: row.id, position, imageId })),
  });
  return { ...row, otherIds };
}

/** Comparisons by id, with their images' ids; ids that are none of the tenant's are left out. */
export async function comparisonsByIds(queries: Queries, ids: readonly string[]): Promise<Map<string, Comparison>> {
  const rows = await queries.comparison.findMany({
    where: { id: { in: [...new Set(ids)] } },
    include: { others: { orderBy: { position: 'asc' } } },
  });
  return new Map(
    rows.map(({ others, ...row }) => [row.id, { ...row, otherIds: others.map(({ imageId }) => imageId) }]),
  );
}
