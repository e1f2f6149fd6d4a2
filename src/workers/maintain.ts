/**
 * What time makes superfluous goes: at the start and once an hour, in one process of the installation at a time, tenant
 * by tenant. Nothing waits for it, and what one round does not reach the next one does.
 */
import pg from 'pg';
import { NO_TENANT, withOperator, withTenant } from '../database/client.ts';
import { dropOldAddresses } from '../domain/auditLog.ts';
import { requestMissingExemplars } from '../domain/exemplars.ts';
import { sweepExposures } from '../domain/exposures.ts';
import { sweepAnswers } from '../domain/idempotency.ts';
import type { Platform } from '../domain/platform.ts';
import { dropPrepared, mendActive } from '../domain/preparing.ts';
import { sweepLists } from '../domain/recommendations.ts';
import { offerBaseModel } from '../domain/registry.ts';
import { retryPromotions } from '../domain/selfPromotion.ts';
import { eraseOrphans, eraseStrayFolders, eraseStrayWeights, retryErasing } from '../domain/storedFiles.ts';
import { readTenant } from '../domain/tenants.ts';
import { requeueTrainings } from '../domain/trainingChanges.ts';
import { sweepTrainingJobs, thinCurves } from '../domain/trainingRemains.ts';
import { takeOutStrayJobs } from '../queue/queue.ts';

/** As much of a logger as this needs. */
export interface MaintenanceLog {
  error(details: object, message: string): void;
}

const EVERY_MS = 60 * 60 * 1000;
/** Rows of one statement, so that none is long. */
const ROWS_AT_ONCE = 1_000;
/** A lease is of one minute; kept so long, no clock that is behind takes it for the running one. */
const LEASE_KEPT_MS = 60 * 60 * 1000;
/** The folders of stored files are gone through once a day: each hour those whose turn it is. */
const HOURS_A_DAY = 24;
/** Held by the process that maintains: "main". */
const LOCK = 0x6d61696e;

export interface Maintenance {
  /** Resolves when what is at hand has ended; the rest is left to the next round. */
  stop(): Promise<void>;
}

/**
 * Begins at once, and again every hour until it is stopped.
 * @param url the database, for the connection that holds the lock
 */
export function startMaintenance(platform: Platform, url: string, log: MaintenanceLog): Maintenance {
  const stopping = new AbortController();
  const onError = (tenantId: string | null) => (error: unknown) =>
    log.error({ err: error, tenant: tenantId }, 'the maintenance failed; it is tried again within the hour');
  let rounds = Promise.resolve();
  const begin = (): void => {
    rounds = rounds.then(() => maintain(platform, url, onError, stopping.signal)).then(() => {}, onError(null));
  };
  begin();
  const timer = setInterval(begin, EVERY_MS).unref();
  return {
    async stop() {
      clearInterval(timer);
      stopping.abort();
      await rounds;
    },
  };
}

/**
 * One round over all tenants. Returns false where another process is at it.
 * @param onError told of what went wrong with one tenant; the others get their turn all the same
 */
export async function maintain(
  platform: Platform,
  url: string,
  onError: (tenantId: string) => (error: unknown) => void,
  stop?: AbortSignal,
): Promise<boolean> {
  const holder = new pg.Client({ connectionString: url, application_name: 'palate-maintain' });
  holder.on('error', () => {}); // two rounds beside each other do no harm
  await holder.connect();
  try {
    const { rows } = await holder.query<{ taken: boolean }>('SELECT pg_try_advisory_lock($1) AS taken', [LOCK]);
    if (!rows[0]?.taken) return false;
    for (const files of [platform.pictures, platform.weights]) await files.sweep();
    await withOperator(async () => {
      await takeOutStrayJobs(platform.database);
      await eraseStrayFolders(platform);
    });
    for (const tenantId of await tenantIds(platform)) {
      if (stop?.aborted) break;
      await withTenant(tenantId, () => maintainTenant(platform, stop)).catch(onError(tenantId));
    }
    return true;
  } finally {
    await holder.end().catch(() => {});
  }
}

/** Every tenant, the operators' own rows among them. */
async function tenantIds({ database }: Platform): Promise<string[]> {
  const rows = await withOperator(async () => database.tenant.findMany({ select: { id: true } }));
  return [...new Set([NO_TENANT, ...rows.map(({ id }) => id)])];
}

async function maintainTenant(platform: Platform, stop?: AbortSignal): Promise<void> {
  const { database } = platform;
  const now = platform.now();
  await dropOldAddresses(database, now);
  await untilFew(() => sweepAnswers(database, now, ROWS_AT_ONCE), stop);
  await untilFew(() => sweepLists(database, now, ROWS_AT_ONCE), stop);
  await untilFew(() => sweepExposures(database, now, ROWS_AT_ONCE), stop);
  await untilFew(() => sweepTrainingJobs(database, now, ROWS_AT_ONCE), stop);
  await untilFew(() => thinCurves(database, now, ROWS_AT_ONCE), stop);
  await database.pointLease.deleteMany({ where: { windowStart: { lt: new Date(now.getTime() - LEASE_KEPT_MS) } } });
  await retryErasing(platform);
  await requeueTrainings(database, platform.queue);
  await retryPromotions(platform);
  await requestMissingExemplars(platform);
  await maintainModels(platform, stop);
  for (const folder of inTurn(platform.pictures.folders, now)) {
    if (stop?.aborted) return;
    await eraseOrphans(platform, folder, now);
  }
  for (const folder of inTurn(platform.weights.folders, now)) {
    if (stop?.aborted) return;
    await eraseStrayWeights(platform, folder, now);
  }
}

/** Those whose hour it is. */
const inTurn = (folders: readonly string[], now: Date): string[] =>
  folders.filter((_, i) => i % HOURS_A_DAY === now.getUTCHours());

/**
 * A newer base model than the tenant's is offered to it, but not by a process that was running before the tenant was
 * made: the model that it ships may be the older one.
 */
async function maintainModels(platform: Platform, stop?: AbortSignal): Promise<void> {
  const { database, queue, baseModel, startedAt } = platform;
  const tenant = await readTenant(database);
  if (!tenant || tenant.id === NO_TENANT) return;
  if (tenant.createdAt < startedAt) await offerBaseModel(platform, baseModel);
  await mendActive(database, queue);
  await untilFew(() => dropPrepared(database, ROWS_AT_ONCE), stop);
}

/** Sweeps until fewer are left than one statement takes. */
async function untilFew(sweep: () => Promise<number>, stop?: AbortSignal): Promise<void> {
  while (!stop?.aborted && (await sweep()) >= ROWS_AT_ONCE);
}
