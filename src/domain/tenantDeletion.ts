/**
 * Deleting a tenant with all that is its own. However large it is, no transaction is long: rows go in batches, the
 * tenant's own row last, so that a deletion that was cut short can be asked for again and goes on.
 */
import { currentTenant, type Database, NO_TENANT, Prisma, withTenant } from '../database/client.ts';
import { takeOutTenant } from '../queue/queue.ts';
import { recordEvent } from './auditLog.ts';
import type { Caller } from './credentials.ts';
import { untilThrough } from './deletionTurns.ts';
import { forget, tellOfKeys, tellReplicas } from './forgetting.ts';
import { toGlobalId } from './ids.ts';
import type { Platform } from './platform.ts';
import { eraseFiles } from './storedFiles.ts';
import { noTenant, readTenant, tenantIdOf } from './tenants.ts';
import { ItemError } from './userErrors.ts';

/** Rows a transaction: well below a second. */
const ROWS_AT_ONCE = 5_000;
/** The job that erases the files where this process dies first; while it lives it does so itself. */
const FALLBACK_SECONDS = 60;

/**
 * What grows with a tenant, what hangs on a row before that row. The rest is little, or may only be added to by the
 * service (audit_events, erasures): it goes with the tenant's own row.
 */
const TABLES = [
  ...['token_exemplars', 'item_vectors', 'embeddings', 'recommendation_lists', 'training_people', 'profiles'],
  ...['exposures', 'training_losses'],
  ...['feedback', 'comparison_others', 'comparisons', 'images', 'users', 'idempotency_keys', 'point_leases'],
  ...['audit_addresses', 'files_to_erase'],
];

/**
 * Deletes a tenant: suspended first, so that no request gets in. Throws an ItemError: NOT_FOUND, or INVALID where
 * `confirmName` is not the tenant's name.
 */
export async function deleteTenant(
  platform: Platform,
  caller: Caller,
  globalId: string,
  confirmName: string,
): Promise<{ deletedId: string }> {
  const { database, now } = platform;
  const id = tenantIdOf(globalId);
  const deletedId = toGlobalId('Tenant', id);
  await withTenant(id, () => suspend(platform, confirmName));
  // In the operators' own log: the tenant's goes with it. Before it begins, since it cannot be taken back then.
  await withTenant(NO_TENANT, () =>
    database.$transaction((transaction) =>
      recordEvent(transaction, caller, now(), { action: 'deleteTenant', subject: deletedId }),
    ),
  );
  await withTenant(id, async () => {
    for (const table of TABLES) await emptyTable(database, table);
    await deleteRow(platform);
    // A request that came before the suspension may have stored a file or sent a job up to here.
    await eraseFiles(platform);
  });
  return { deletedId };
}

async function suspend({ database, knownKeys, now }: Platform, confirmName: string): Promise<void> {
  const tenant = await readTenant(database);
  if (!tenant) throw noTenant();
  if (tenant.name !== confirmName) {
    const message = `confirmName is "${confirmName}"; it must be the tenant's name, as Tenant.name shows it.`;
    throw new ItemError(['confirmName'], 'INVALID', message);
  }
  if (tenant.suspendedAt) return;
  await database.$transaction(async (transaction) => {
    await transaction.tenant.updateMany({ where: { id: tenant.id }, data: { suspendedAt: now() } });
    await tellOfKeys(transaction, tenant.id);
  });
  knownKeys.forgetTenant(tenant.id);
}

async function emptyTable(database: Database, table: string): Promise<void> {
  const name = Prisma.raw(table);
  const deleteSome = () =>
    database.$transaction(
      (transaction) => transaction.$executeRaw`
        DELETE FROM ${name} WHERE ctid = ANY(ARRAY(
          SELECT ctid FROM ${name} WHERE tenant_id = ${currentTenant()}::uuid LIMIT ${ROWS_AT_ONCE}
        ))`,
    );
  while ((await untilThrough(deleteSome)) === ROWS_AT_ONCE);
}

/** The tenant's row and what is left behind it, the jobs, and what the replicas remember, together. */
async function deleteRow(platform: Platform): Promise<void> {
  const { database, queue } = platform;
  const tenantId = currentTenant();
  const forgotten = { tenantId, wholeTenant: true, userIds: [], imageIds: [], changedUserIds: [] };
  await untilThrough(() =>
    database.$transaction(async (transaction) => {
      await transaction.$executeRaw`DELETE FROM tenants WHERE tenant_id = ${tenantId}::uuid`;
      await takeOutTenant(transaction);
      await queue.send(transaction, 'erase', [{ tenantId }], { afterSeconds: FALLBACK_SECONDS });
      await tellReplicas(transaction, forgotten);
    }),
  );
  forget(platform, forgotten);
}
