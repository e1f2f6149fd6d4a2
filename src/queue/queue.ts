/**
 * Work for later, kept by pg-boss in the same database: a job is sent within the caller's transaction, so it exists
 * exactly if the rows it is about do. Its tables lie in a schema of their own, outside row-level security, since one
 * worker serves all tenants (docs/decisions/0004-queue.md). It knows no job's meaning.
 */

import pg from 'pg';
import { fromPrisma, type JobResult, type JobWithMetadata, PgBoss } from 'pg-boss';
import { currentTenant, type Queries } from '../database/client.ts';
import { serviceRoleName } from '../database/serviceRole.ts';
import { withTenant } from '../database/tenantAdapter.ts';
import { type JobData, type JobName, QUEUES } from './jobs.ts';

/** Does the jobs of one tenant that were fetched together. */
export type Handler<N extends JobName> = (jobs: readonly Job<N>[], tenantId: string) => Promise<void>;

const SCHEMA = 'pgboss';
/** For fetching and settling jobs; work itself uses the database's connections. */
const CONNECTIONS = 4;
/** A new job wakes its worker; one to be tried again, or that waited for another of its tenant, is found by asking. */
const POLL_SECONDS = 1;
/** How often jobs whose process died are looked for: some 15 seconds after a kill they are done elsewhere. */
const SUPERVISE_SECONDS = 5;

/** One job, as its worker gets it. */
export interface Job<N extends JobName> {
  readonly data: JobData[N];
  /** True where the job is not tried again if it fails now. */
  readonly lastAttempt: boolean;
}

export interface WorkOptions {
  /** The most jobs handed over together; 1 if left out. */
  readonly batchSize?: number;
  /** How many batches are worked on at a time; 1 if left out. */
  readonly concurrency?: number;
}

export interface SendOptions {
  /** Seconds before which nobody takes the jobs up; none if left out. */
  readonly afterSeconds?: number;
  /** Taken up after all that are not; false if left out. */
  readonly isPatient?: boolean;
}

export interface Queue {
  /** Puts jobs on the queue if and when the transaction commits; without one, at once. */
  send<N extends JobName>(queries: Queries, name: N, jobs: readonly JobData[N][], options?: SendOptions): Promise<void>;
  /**
   * Does the jobs of one kind as they come, a batch of one tenant at a time, within its `withTenant`. If `handler`
   * throws, its jobs are tried again.
   */
  work<N extends JobName>(name: N, options: WorkOptions, handler: Handler<N>): Promise<void>;
  /** Takes up no more jobs of this kind, and waits for the one at hand. */
  leave(name: JobName): Promise<void>;
  /** Waits for the jobs at hand, at most `seconds` (20 if left out), then lets go; what is left is done elsewhere. */
  stop(seconds?: number): Promise<void>;
}

/**
 * Installs or upgrades pg-boss's tables and the queues, as the owner, and lets the service's role use them. Runs
 * after `prepareDatabase`.
 */
export async function prepareQueue(ownerUrl: string): Promise<void> {
  const boss = new PgBoss({ connectionString: ownerUrl, schema: SCHEMA, max: 1, supervise: false, schedule: false });
  boss.on('error', () => {}); // what start() cannot do, it throws
  await boss.start();
  for (const [name, options] of Object.entries(QUEUES)) {
    const { policy, ...changeable } = options;
    await boss.createQueue(name, options);
    await boss.updateQueue(name, changeable);
  }
  await boss.stop({ graceful: true });

  const owner = new pg.Client({ connectionString: ownerUrl });
  await owner.connect();
  await grantQueue(owner);
  await owner.end();
}

/** Lets the service's role of the owner's database use the tables. */
export async function grantQueue(owner: pg.Client): Promise<void> {
  const role = pg.escapeIdentifier(serviceRoleName(owner.database ?? ''));
  await owner.query(`
    GRANT USAGE ON SCHEMA ${SCHEMA} TO ${role};
    GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ${SCHEMA} TO ${role};
    GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA ${SCHEMA} TO ${role};`);
}

/**
 * Connects to the queue as the service's role.
 * @param onError told of what goes wrong outside of any caller, such as a lost connection that is being mended
 */
export async function openQueue(url: string, onError: (error: Error) => void): Promise<Queue> {
  const boss = new PgBoss({
    connectionString: url,
    schema: SCHEMA,
    max: CONNECTIONS,
    application_name: 'palate-queue',
    migrate: false,
    createSchema: false,
    schedule: false,
    reindex: false, // only the owner may
    useListenNotify: true,
    superviseIntervalSeconds: SUPERVISE_SECONDS,
    monitorIntervalSeconds: SUPERVISE_SECONDS,
  });
  boss.on('error', onError);
  await boss.start();
  return {
    async send(queries, name, jobs, { afterSeconds = 0, isPatient = false } = {}) {
      if (jobs.length === 0) return;
      await boss.insert(
        name,
        jobs.map((data) => ({
          data,
          singletonKey: data.tenantId,
          ...(afterSeconds > 0 ? { startAfter: afterSeconds } : {}),
          ...(isPatient ? { priority: -1 } : {}),
        })),
        { db: fromPrisma(queries) },
      );
    },
    async work<N extends JobName>(name: N, options: WorkOptions, handler: Handler<N>) {
      const { batchSize = 1, concurrency = 1 } = options;
      await boss.work(
        name,
        {
          batchSize,
          localConcurrency: concurrency,
          includeMetadata: true,
          perJobResults: true,
          pollingIntervalSeconds: POLL_SECONDS,
          notifyPollingIntervalSeconds: POLL_SECONDS,
          burstWhenBatchFull: true, // more waited than fitted: no pause before the next
        },
        (jobs: JobWithMetadata<JobData[N]>[]) => doByTenant(jobs, handler),
      );
    },
    leave: (name) => boss.offWork(name, { wait: true }),
    stop: (seconds = 20) => boss.stop({ graceful: true, timeout: seconds * 1000 }),
  };
}

/** One tenant's failure is not another's: each tenant's jobs of a batch succeed or fail together. */
async function doByTenant<N extends JobName>(
  batch: readonly JobWithMetadata<JobData[N]>[],
  handler: Handler<N>,
): Promise<JobResult[]> {
  const results: JobResult[] = [];
  for (const tenantId of new Set(batch.map(({ data }) => data.tenantId))) {
    const own = batch.filter(({ data }) => data.tenantId === tenantId);
    const jobs = own.map(({ data, retryCount, retryLimit }) => ({ data, lastAttempt: retryCount >= retryLimit }));
    const outcome = await withTenant(tenantId, () => handler(jobs, tenantId)).then(
      () => ({ status: 'completed' as const }),
      (error: unknown) => ({ status: 'failed' as const, output: { message: String(error) } }),
    );
    results.push(...own.map(({ id }) => ({ id, ...outcome })));
  }
  return results;
}

/** Which jobs are looked for. */
export interface JobsSought<N extends JobName> {
  /** What they carry, among other things; whatever they do, if left out. */
  readonly carrying?: Partial<JobData[N]>;
  /** None that a worker has in hand. */
  readonly waiting?: boolean;
}

/** Whether a job of this kind of the session's tenant waits, or is in hand. */
export async function hasJob<N extends JobName>(
  queries: Queries,
  name: N,
  { carrying = {}, waiting = false }: JobsSought<N> = {},
): Promise<boolean> {
  const states = waiting ? ['created', 'retry'] : ['created', 'retry', 'active'];
  const found = await queries.$queryRaw<object[]>`
    SELECT FROM pgboss.job WHERE name = ${name} AND singleton_key = ${currentTenant()}
      AND state::text = ANY(${states}::text[]) AND data @> ${JSON.stringify(carrying)}::jsonb LIMIT 1`;
  return found.length > 0;
}

/**
 * Takes ids of images that are no more out of the session's tenant's jobs, whatever their state. A job that was about
 * nothing else goes; one that a worker has in hand stays, empty, until it is done.
 */
export async function takeOutImages(queries: Queries, imageIds: readonly string[]): Promise<void> {
  if (imageIds.length === 0) return;
  await queries.$executeRaw`
    WITH gone AS (
      DELETE FROM pgboss.job
      WHERE singleton_key = ${currentTenant()} AND data -> 'imageIds' ?| ${imageIds}::text[]
        AND data -> 'imageIds' <@ to_jsonb(${imageIds}::text[]) AND state <> 'active'
    )
    UPDATE pgboss.job SET output = NULL, data = jsonb_set(data, '{imageIds}', coalesce((
      SELECT jsonb_agg(kept.id) FROM jsonb_array_elements_text(data -> 'imageIds') AS kept (id)
      WHERE kept.id <> ALL (${imageIds}::text[])
    ), '[]'))
    WHERE singleton_key = ${currentTenant()} AND data -> 'imageIds' ?| ${imageIds}::text[]
      AND NOT (data -> 'imageIds' <@ to_jsonb(${imageIds}::text[]) AND state <> 'active')`;
}

/** Takes out the session's tenant's jobs, but for those that a worker has in hand. */
export async function takeOutTenant(queries: Queries): Promise<void> {
  await queries.$executeRaw`
    DELETE FROM pgboss.job WHERE singleton_key = ${currentTenant()} AND state <> 'active'`;
}

/** Takes out finished jobs of tenants that are no more. In an operator's session, which sees which there are. */
export async function takeOutStrayJobs(queries: Queries): Promise<void> {
  await queries.$executeRaw`
    DELETE FROM pgboss.job WHERE singleton_key IS NOT NULL AND state IN ('completed', 'cancelled', 'failed')
      AND singleton_key NOT IN (SELECT tenant_id::text FROM tenants)`;
}
