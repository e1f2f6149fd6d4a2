/**
 * Who deletes images or people locks people first, then images, since that is how judgements are taken in. Encoding and
 * describing images lock them the other way round; so that the two never wait for each other in a circle, a tenant's
 * deletions and those take turns, all before they lock anything.
 */
import { createHash } from 'node:crypto';
import { currentTenant, type Queries } from '../database/client.ts';
import { ItemError } from './userErrors.ts';

/** How often a deletion begins anew where judgements come in while it looks for them. */
const ATTEMPTS = 10;
/** Of PostgreSQL's wait for a lock in a circle, as Prisma tells it. */
const DEADLOCK = 'P2034';

/** Waits until nobody else deletes, encodes or describes images of the tenant; holds until the transaction ends. */
export async function takeDeletionTurn(transaction: Queries): Promise<void> {
  await transaction.$executeRaw`SELECT pg_advisory_xact_lock(${turnOf(currentTenant())})`;
}

/** Waits until nobody deletes images or people of the tenant; any number may hold it together. */
export async function waitForDeletions(transaction: Queries): Promise<void> {
  await transaction.$executeRaw`SELECT pg_advisory_xact_lock_shared(${turnOf(currentTenant())})`;
}

const turnOf = (tenantId: string) => createHash('sha256').update(`deletions ${tenantId}`).digest().readBigInt64BE();

/** Thrown to undo a deletion that has to begin anew. */
export class BeginAnew extends Error {}

/** Runs a deletion again where it throws {@link BeginAnew}. Throws an ItemError, IN_PROGRESS, where it never gets through. */
export async function untilThrough<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof BeginAnew) && (error as { code?: string } | null)?.code !== DEADLOCK) throw error;
    }
  }
  throw new ItemError([], 'IN_PROGRESS', 'These pictures are being judged at this moment: send it again shortly.');
}
