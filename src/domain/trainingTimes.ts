/**
 * When a tenant trains by itself: at the times of its schedule, and after so many new judgements. Checked as an ADMIN
 * says it, and looked at every minute by a worker (src/workers/trainingClock.ts). Never while one waits or runs.
 */
import { CronExpressionParser } from 'cron-parser';
import { currentTenant, NO_TENANT, type Queries, withOperator, withTenant } from '../database/client.ts';
import type { Tenant } from '../database/generated/client.ts';
import { openJob, takeTrainingTurn } from './trainingChanges.ts';
import { requestTraining, type TrainingRequests } from './trainingJobs.ts';
import { checkText, ItemError } from './userErrors.ts';

/** The longest schedule, in characters: as much as the row holds. */
const MAX_SCHEDULE = 100;
const CRON_FIELDS = 5;
/** So many of its times are looked at to see how near they lie. */
const TIMES_SEEN = 50;
const LEAST_APART_MS = 60 * 60 * 1000;
const LEAST_JUDGEMENTS = 100;
const MAX_JUDGEMENTS = 2_147_483_647;

/** Left out, each stays as it is; null takes it away. */
export interface TrainingTimesChange {
  readonly trainingSchedule?: string | null | undefined;
  readonly trainAfterJudgements?: number | null | undefined;
}

/** The columns of the tenant's row that change. Throws an ItemError, INVALID or TOO_LARGE. */
export function toTrainingTimes(
  { trainingSchedule, trainAfterJudgements }: TrainingTimesChange,
  now: Date,
): Partial<Pick<Tenant, 'trainingSchedule' | 'trainingDueAt' | 'trainAfterJudgements'>> {
  checkText('trainingSchedule', trainingSchedule, MAX_SCHEDULE, true);
  if (typeof trainAfterJudgements === 'number') checkJudgements(trainAfterJudgements);
  return {
    ...(trainingSchedule === undefined
      ? {}
      : { trainingSchedule, trainingDueAt: trainingSchedule === null ? null : firstTime(trainingSchedule, now) }),
    ...(trainAfterJudgements === undefined ? {} : { trainAfterJudgements }),
  };
}

function checkJudgements(count: number): void {
  if (count >= LEAST_JUDGEMENTS && count <= MAX_JUDGEMENTS) return;
  const message = `trainAfterJudgements is ${count}; it must be a whole number from ${LEAST_JUDGEMENTS} to ${MAX_JUDGEMENTS}.`;
  throw new ItemError(['trainAfterJudgements'], 'INVALID', message);
}

/** When a schedule is due first. Throws an ItemError, INVALID, for what is none, never comes, or comes too often. */
function firstTime(schedule: string, now: Date): Date {
  const invalid = (why: string) =>
    new ItemError(['trainingSchedule'], 'INVALID', `trainingSchedule is "${schedule}": ${why}`);
  const fields = schedule.trim().split(/\s+/).length;
  if (fields !== CRON_FIELDS) {
    throw invalid(`it has ${fields} fields; cron has 5: minute, hour, day, month, weekday, such as 0 3 * * 1.`);
  }
  let times: Date[];
  try {
    times = nextTimes(schedule, now, TIMES_SEEN);
  } catch (error) {
    throw invalid(`it is no time of cron (${(error as Error).message}).`);
  }
  const gaps = times.slice(1).map((time, i) => time.getTime() - times[i]!.getTime());
  if (Math.min(...gaps) < LEAST_APART_MS) throw invalid('it comes more often than once an hour.');
  return times[0]!;
}

function nextTimes(schedule: string, after: Date, count: number): Date[] {
  const times = CronExpressionParser.parse(schedule, { currentDate: after, tz: 'UTC' });
  return Array.from({ length: count }, () => times.next().toDate());
}

/** Tenants that ever train by themselves. */
export function selfTrainingTenants({ database }: Pick<TrainingRequests, 'database'>): Promise<string[]> {
  return withOperator(async () => {
    const rows = await database.tenant.findMany({
      where: {
        id: { not: NO_TENANT },
        suspendedAt: null,
        OR: [{ trainingSchedule: { not: null } }, { trainAfterJudgements: { not: null } }],
      },
      select: { id: true },
    });
    return rows.map(({ id }) => id);
  });
}

/** Asks for a training of the tenant where one is due; twice at a time, it asks once. Returns whether it did. */
export function trainIfDue(platform: TrainingRequests, tenantId: string): Promise<boolean> {
  const { database, now } = platform;
  return withTenant(tenantId, () =>
    database.$transaction(async (transaction) => {
      await takeTrainingTurn(transaction);
      const tenant = await transaction.tenant.findFirst({ where: { id: tenantId, suspendedAt: null } });
      if (!tenant) return false;
      const scheduled = await passTime(transaction, tenant, now());
      if (await openJob(transaction)) return false;
      const requestedBy = scheduled ? 'schedule' : await enoughNew(transaction, tenant);
      if (requestedBy === null) return false;
      await requestTraining(transaction, platform, { requestedBy });
      return true;
    }),
  );
}

/** Whether the schedule is due; its next time is then noted. Of times that nobody worked through, one is made up for. */
async function passTime(transaction: Queries, tenant: Tenant, now: Date): Promise<boolean> {
  const { id, trainingSchedule, trainingDueAt } = tenant;
  if (trainingSchedule === null || trainingDueAt === null || trainingDueAt > now) return false;
  const [next] = nextTimes(trainingSchedule, now, 1);
  await transaction.tenant.updateMany({ where: { id }, data: { trainingDueAt: next! } });
  return true;
}

/**
 * Who asks, where enough has been judged since a training was last asked for; null where it has not. Judgements are
 * counted by their ids, which rise with time; one of an image that the person had judged before counts as old. Index:
 * feedback_pkey.
 */
async function enoughNew(transaction: Queries, { trainAfterJudgements: least }: Tenant): Promise<string | null> {
  if (least === null) return null;
  const last = await transaction.trainingJob.findFirst({ orderBy: { id: 'desc' }, select: { id: true } });
  const [counted] = await transaction.$queryRaw<[{ count: number }]>`
    SELECT count(*)::int AS count FROM feedback
    WHERE tenant_id = ${currentTenant()}::uuid AND id > ${last?.id ?? NO_TENANT}::uuid AND sentiment <> 'SKIP'`;
  return counted.count < least ? null : `${counted.count.toLocaleString('en')} new judgements`;
}
