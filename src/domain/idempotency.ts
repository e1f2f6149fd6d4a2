/**
 * Doing a request once, however often it is sent. What it answered is kept under the caller's key in the same
 * transaction as the work, as ids and errors, so that neither can be there without the other; nothing is left behind
 * by a process that dies.
 */
import { createHash } from 'node:crypto';
import { currentPerson, currentTenant, NO_TENANT, type Prisma, type Queries } from '../database/client.ts';
import { checkText, ItemError, MAX_NAME, type UserError } from './userErrors.ts';
import { holdUsers } from './users.ts';

/** How long an answer is kept. */
const KEPT_MS = 24 * 60 * 60 * 1000;
/** Old answers that one new one sweeps away: more than one, so that they grow fewer. */
const SWEPT_AT_ONCE = 10;

export interface OnceRequest {
  /** The mutation's name: keys of one are not those of another. */
  readonly operation: string;
  readonly key: string;
  /** What was asked, without the key: the same request is the same JSON. */
  readonly request: unknown;
}

/** What is kept of an answer. */
export interface KeptAnswer {
  /** Of the rows that it holds, in their order; null where an item was wrong. */
  readonly ids: readonly (string | null)[];
  readonly userErrors: readonly UserError[];
}

/** How an answer is taken apart, and put together again from the rows that are still there. */
export interface Keeping<T> {
  keep(answer: T): KeptAnswer & { readonly userIds: readonly string[] };
  recall(kept: KeptAnswer): Promise<T>;
}

/**
 * Runs `work`, or answers what it answered before. Only within a transaction. Keys of one person are not those of
 * another, nor of the tenant's own programs.
 * Throws an ItemError: CONFLICT where the key was sent with another request within the last 24 hours, IN_PROGRESS
 * where the first is still running, TOO_LARGE or INVALID for a key that cannot be kept.
 */
export async function once<T>(
  transaction: Queries,
  { operation, key, request }: OnceRequest,
  now: Date,
  work: () => Promise<T>,
  { keep, recall }: Keeping<T>,
): Promise<T> {
  checkText('idempotencyKey', key, MAX_NAME, true);
  const person = currentPerson();
  if (person !== null && !(await holdUsers(transaction, [person])).has(person)) {
    throw new ItemError([], 'NOT_FOUND', 'The person who asks has been deleted.'); // nothing is kept of them
  }
  const place = { tenantId: currentTenant(), asker: person ?? NO_TENANT, operation, key };
  const requestSha256 = Uint8Array.from(createHash('sha256').update(canonical(request)).digest());
  await takeTurn(transaction, Object.values(place).join(' '), key);

  const earlier = await transaction.idempotencyKey.findFirst({ where: place });
  if (earlier && now.getTime() - earlier.createdAt.getTime() < KEPT_MS) {
    if (Buffer.compare(earlier.requestSha256, requestSha256) === 0) {
      const ids = earlier.ids.map((id) => (id === NO_TENANT ? null : id));
      return recall({ ids, userErrors: earlier.userErrors as unknown as UserError[] });
    }
    throw new ItemError(
      ['idempotencyKey'],
      'CONFLICT',
      `idempotencyKey "${key}" was sent with another request less than 24 hours ago: use a new key for a new request.`,
    );
  }
  const answer = await work();
  const { ids, userErrors, userIds } = keep(answer);
  const row = {
    requestSha256,
    ids: ids.map((id) => id ?? NO_TENANT),
    userErrors: userErrors as unknown as Prisma.InputJsonValue,
    userIds: [...new Set(userIds)],
    createdAt: now,
  };
  await transaction.idempotencyKey.upsert({
    where: { tenantId_asker_operation_key: place },
    create: { ...place, ...row },
    update: row,
  });
  await sweepAnswers(transaction, now, SWEPT_AT_ONCE);
  return answer;
}

/** Held until the transaction ends, by commit, by failure or by death. */
async function takeTurn(transaction: Queries, place: string, key: string): Promise<void> {
  const lock = createHash('sha256').update(place).digest().readBigInt64BE();
  const [turn] = await transaction.$queryRaw<[{ taken: boolean }]>`SELECT pg_try_advisory_xact_lock(${lock}) AS taken`;
  if (turn.taken) return;
  throw new ItemError(
    ['idempotencyKey'],
    'IN_PROGRESS',
    `The request first sent with idempotencyKey "${key}" is still running: send it again shortly.`,
  );
}

/** Forgets answers that are too old to be asked for, at most so many. Index: idempotency_keys_tenant_id_created_at_idx. */
export async function sweepAnswers(queries: Queries, now: Date, atMost: number): Promise<number> {
  return queries.$executeRaw`
    DELETE FROM idempotency_keys WHERE (asker, operation, key) IN (
      SELECT asker, operation, key FROM idempotency_keys WHERE created_at <= ${new Date(now.getTime() - KEPT_MS)}
      ORDER BY created_at LIMIT ${atMost} FOR UPDATE SKIP LOCKED
    )`;
}

/** JSON with every object's fields in order: how a client spells a request makes no other request of it. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, field: unknown) => {
    if (field === null || typeof field !== 'object' || Array.isArray(field)) return field;
    return Object.fromEntries(Object.entries(field).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}
