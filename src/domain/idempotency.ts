/**
 * Doing a request once, however often it is sent. The answer is kept under the caller's key in the same transaction
 * as the work, so that neither can be there without the other; nothing is left behind by a process that dies.
 */
import { createHash } from 'node:crypto';
import { currentTenant, type Prisma, type Queries } from '../database/client.ts';
import { checkText, ItemError, MAX_NAME } from './userErrors.ts';

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

/**
 * Runs `work`, whose answer must survive JSON, or answers what it answered before. Only within a transaction.
 * Throws an ItemError: CONFLICT where the key was sent with another request within the last 24 hours, IN_PROGRESS
 * where the first is still running, TOO_LARGE or INVALID for a key that cannot be kept.
 */
export async function once<T>(
  transaction: Queries,
  { operation, key, request }: OnceRequest,
  now: Date,
  work: () => Promise<T>,
): Promise<T> {
  checkText('idempotencyKey', key, MAX_NAME, true);
  const tenantId = currentTenant();
  const requestSha256 = Uint8Array.from(createHash('sha256').update(canonical(request)).digest());
  await takeTurn(transaction, tenantId, operation, key);

  const place = { tenantId, operation, key };
  const earlier = await transaction.idempotencyKey.findFirst({ where: place });
  if (earlier && now.getTime() - earlier.createdAt.getTime() < KEPT_MS) {
    if (Buffer.compare(earlier.requestSha256, requestSha256) === 0) return earlier.answer as T;
    throw new ItemError(
      ['idempotencyKey'],
      'CONFLICT',
      `idempotencyKey "${key}" was sent with another request less than 24 hours ago: use a new key for a new request.`,
    );
  }
  const answer = await work();
  const row = { requestSha256, answer: answer as Prisma.InputJsonValue, createdAt: now };
  await transaction.idempotencyKey.upsert({
    where: { tenantId_operation_key: place },
    create: { ...place, ...row },
    update: row,
  });
  await sweep(transaction, new Date(now.getTime() - KEPT_MS));
  return answer;
}

/** Held until the transaction ends, by commit, by failure or by death. */
async function takeTurn(transaction: Queries, tenantId: string, operation: string, key: string): Promise<void> {
  const lock = createHash('sha256').update(`${tenantId} ${operation} ${key}`).digest().readBigInt64BE();
  const [turn] = await transaction.$queryRaw<[{ taken: boolean }]>`SELECT pg_try_advisory_xact_lock(${lock}) AS taken`;
  if (turn.taken) return;
  throw new ItemError(
    ['idempotencyKey'],
    'IN_PROGRESS',
    `The request first sent with idempotencyKey "${key}" is still running: send it again shortly.`,
  );
}

/** Index: idempotency_keys_tenant_id_created_at_idx. */
async function sweep(transaction: Queries, before: Date): Promise<void> {
  await transaction.$executeRaw`
    DELETE FROM idempotency_keys WHERE (operation, key) IN (
      SELECT operation, key FROM idempotency_keys WHERE created_at <= ${before}
      ORDER BY created_at LIMIT ${SWEPT_AT_ONCE} FOR UPDATE SKIP LOCKED
    )`;
}

/** JSON with every object's fields in order: how a client spells a request makes no other request of it. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, field: unknown) => {
    if (field === null || typeof field !== 'object' || Array.isArray(field)) return field;
    return Object.fromEntries(Object.entries(field).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}
