/**
 * What trainings that have ended leave in the database, and for how long: curves are thinned to what is ever shown of
 * them at a time, and jobs that made no version go. Versions stay, and with them the jobs that say where they came from.
 */
import { currentTenant, Prisma, type Queries } from '../database/client.ts';
import { MAX_POINTS, thinned } from './trainingJobs.ts';

/** Whoever watches a training to its end has read its curve by then. */
const WHOLE_MS = 24 * 60 * 60 * 1000;
const KEPT_MS = 90 * 24 * 60 * 60 * 1000;

/**
 * Forgets trainings of the session's tenant that ended long ago without a version, at most so many, but for the newest:
 * what was judged since is counted from it (trainingTimes.ts).
 */
export function sweepTrainingJobs(queries: Queries, now: Date, atMost: number): Promise<number> {
  const tenantId = Prisma.sql`${currentTenant()}::uuid`;
  return queries.$executeRaw`
    DELETE FROM training_jobs WHERE tenant_id = ${tenantId} AND id IN (
      SELECT id FROM training_jobs
      WHERE tenant_id = ${tenantId} AND model_id IS NULL AND finished_at <= ${new Date(now.getTime() - KEPT_MS)}
        AND id <> (SELECT id FROM training_jobs WHERE tenant_id = ${tenantId} ORDER BY id DESC LIMIT 1)
      LIMIT ${atMost}
    )`;
}

/** Thins the curves of trainings of the session's tenant that have ended, of at most so many. Returns of how many. */
export async function thinCurves(queries: Queries, now: Date, atMost: number): Promise<number> {
  const tenantId = Prisma.sql`${currentTenant()}::uuid`;
  const jobs = await queries.$queryRaw<{ id: string }[]>`
    SELECT id FROM training_jobs AS job
    WHERE tenant_id = ${tenantId} AND finished_at <= ${new Date(now.getTime() - WHOLE_MS)} AND EXISTS (
      SELECT FROM training_losses WHERE tenant_id = ${tenantId} AND job_id = job.id OFFSET ${MAX_POINTS}
    )
    LIMIT ${atMost}`;
  for (const { id: jobId } of jobs) {
    const curve = await queries.trainingLoss.findMany({ where: { jobId }, orderBy: { step: 'asc' } });
    const kept = thinned(curve, MAX_POINTS).map(({ step }) => step);
    await queries.trainingLoss.deleteMany({ where: { jobId, step: { notIn: kept } } });
  }
  return jobs.length;
}
