/**
 * How many images and users a tenant may have, and how many of its images may wait to be encoded. Far from the limit a
 * count of a while ago is good enough, and adding costs nothing; near it, rows are counted while nobody else of the tenant
 * adds any, so that it is never passed. Those that wait are counted as each is added, by nobody in turn: what is in flight
 * at one moment may pass the limit together.
 */
import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { currentTenant, Prisma, type Queries } from '../database/client.ts';
import { PalateError } from '../errors.ts';

export type Counted = 'images' | 'users';

/** A count is good for this long. */
const COUNT_GOOD_MS = 10_000;
/** More than all replicas together add to a tenant within that time: pictures come one a request, people by the 500. */
const MARGIN: Readonly<Record<Counted, number>> = { images: 20_000, users: 100_000 };
/** Where as many images wait as may, the next is refused unseen for so long: a client is told to come again then. */
const FULL_MS = 1_000;
/** Tenants whose counts are kept. */
const MOST_TENANTS = 10_000;

/** Counts of a while ago, by tenant and what was counted. */
export class Quotas {
  readonly #counts = new LRUCache<string, number>({ max: MOST_TENANTS, ttl: COUNT_GOOD_MS });
  /** Tenants of which as many images waited as may, a moment ago. */
  readonly #full = new LRUCache<string, true>({ max: MOST_TENANTS, ttl: FULL_MS });
  readonly #maxPendingImages: number;

  /** @param maxPendingImages images of one tenant that may wait to be encoded */
  constructor(maxPendingImages: number) {
    this.#maxPendingImages = maxPendingImages;
  }

  /** How many of `wanted` new rows the tenant of the session has room for. Only within the transaction that adds them. */
  async roomFor(transaction: Queries, counted: Counted, wanted: number): Promise<number> {
    if (wanted === 0) return 0;
    const tenantId = currentTenant();
    const { maxImages, maxUsers } = await transaction.tenant.findFirstOrThrow({
      where: { id: tenantId },
      select: { maxImages: true, maxUsers: true },
    });
    const most = counted === 'images' ? maxImages : maxUsers;
    const key = `${tenantId} ${counted}`;
    const known = this.#counts.get(key);
    if (known !== undefined && known + MARGIN[counted] < most) return wanted;

    await takeTurn(transaction, key);
    const count = await (counted === 'images' ? transaction.image.count() : transaction.user.count());
    this.#counts.set(key, count);
    return Math.max(0, Math.min(wanted, most - count));
  }

  /**
   * How many images of the session's tenant wait to be encoded, those included that the transaction has added. Throws
   * OVERLOADED where they are more than may. Index: images_tenant_id_status_id_idx.
   */
  async pendingImages(transaction: Queries): Promise<number> {
    const tenantId = currentTenant();
    const waiting = Prisma.sql`
      SELECT FROM images WHERE tenant_id = ${tenantId}::uuid AND status = 'PENDING' LIMIT ${this.#maxPendingImages + 1}`;
    const [row] = await transaction.$queryRaw<
      [{ count: number }]
    >`SELECT count(*)::int AS count FROM (${waiting}) AS w`;
    if (row.count <= this.#maxPendingImages) return row.count;
    this.#full.set(tenantId, true);
    throw this.#tooManyPending();
  }

  /** Throws OVERLOADED where `pendingImages` did a moment ago: before a picture is read, let alone stored. */
  checkPendingImages(tenantId: string): void {
    if (this.#full.has(tenantId)) throw this.#tooManyPending();
  }

  #tooManyPending(): PalateError {
    const message = `${this.#maxPendingImages} images of this tenant wait to be encoded, as many as may: ask again in a moment.`;
    return new PalateError('OVERLOADED', message);
  }

  /** Counts anew the next time: the tenant holds less than it did. */
  forget(tenantId: string): void {
    for (const counted of ['images', 'users'] as const) this.#counts.delete(`${tenantId} ${counted}`);
  }
}

/** Held until the transaction ends, so that the next one counts what this one added. */
async function takeTurn(transaction: Queries, key: string): Promise<void> {
  const lock = createHash('sha256').update(`quota ${key}`).digest().readBigInt64BE();
  await transaction.$executeRaw`SELECT pg_advisory_xact_lock(${lock})`;
}
