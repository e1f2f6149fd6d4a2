/**
 * Who adds a version of a tenant's model, promotes one or wants one prepared does so alone, and while nobody makes images
 * READY: those that do go by the versions there are. Taken after a deletion's turn (deletionTurns.ts), before rows.
 */
import { createHash } from 'node:crypto';
import { currentTenant, type Queries } from '../database/client.ts';

/** Waits until nobody else changes which versions there are, or rests on it; holds until the transaction ends. */
export async function lockVersions(transaction: Queries): Promise<void> {
  await transaction.$executeRaw`SELECT pg_advisory_xact_lock(${turnOf(currentTenant())})`;
}

/** Waits until nobody changes which versions there are; any number may hold it together. */
export async function holdVersions(transaction: Queries): Promise<void> {
  await transaction.$executeRaw`SELECT pg_advisory_xact_lock_shared(${turnOf(currentTenant())})`;
}

const turnOf = (tenantId: string) => createHash('sha256').update(`versions ${tenantId}`).digest().readBigInt64BE();
