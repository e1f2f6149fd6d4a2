/**
 * How a training's row changes, and whose turn is next. Every change goes through here: it raises the row's revision and
 * tells who watches, in the transaction that makes it.
 *
 * A tenant has one place in the queue, however many trainings it waits for. The place is taken anew, behind everybody
 * else's, when one of them has ended: so tenants take turns.
 */
import { createHash } from 'node:crypto';
import { currentTenant, type Prisma, type Queries } from '../database/client.ts';
import type { TrainingJob } from '../database/generated/client.ts';
import { notify } from '../database/notifications.ts';
import { hasJob, type Queue } from '../queue/queue.ts';

/** On which every change is told, as `tenant id:job id`. */
export const TRAINING_CHANNEL = 'palate_training';

/** The states that a job stays in. */
export const FINAL = ['SUCCEEDED', 'DECLINED', 'FAILED', 'CANCELLED'] as const;
const OPEN = ['QUEUED', 'RUNNING'] as const;

export const hasEnded = ({ status }: Pick<TrainingJob, 'status'>): boolean =>
  (FINAL as readonly string[]).includes(status);

/** Waits until nobody else decides which of the tenant's trainings is next; holds until the transaction ends. */
export async function takeTrainingTurn(transaction: Queries): Promise<void> {
  const turn = createHash('sha256').update(`trainings ${currentTenant()}`).digest().readBigInt64BE();
  await transaction.$executeRaw`SELECT pg_advisory_xact_lock(${turn})`;
}

/** Writes a new job, which waits. After {@link takeTrainingTurn}. */
export async function addJob(
  transaction: Queries,
  queue: Queue,
  data: Omit<Prisma.TrainingJobUncheckedCreateInput, 'tenantId' | 'stage'>,
): Promise<TrainingJob> {
  const job = await transaction.trainingJob.create({ data: { ...data, tenantId: currentTenant(), stage: 'waiting' } });
  await tell(transaction, job.id);
  await queueNext(transaction, queue);
  return job;
}

/** Changes the one job that `where` names; null where there is none such any more. */
export async function changeJob(
  transaction: Queries,
  where: Prisma.TrainingJobWhereInput & { readonly id: string },
  data: Prisma.TrainingJobUncheckedUpdateManyInput,
): Promise<TrainingJob | null> {
  const [job] = await transaction.trainingJob.updateManyAndReturn({
    where,
    data: { ...data, revision: { increment: 1 } },
  });
  if (job) await tell(transaction, job.id);
  return job ?? null;
}

async function tell(transaction: Queries, jobId: string): Promise<void> {
  await notify(transaction, TRAINING_CHANNEL, `${currentTenant()}:${jobId}`);
}

/** Takes the tenant's place in the queue where one waits, none runs and no place is taken. After {@link takeTrainingTurn}. */
export async function queueNext(transaction: Queries, queue: Queue): Promise<void> {
  const running = await transaction.trainingJob.findFirst({ where: { status: 'RUNNING' }, select: { id: true } });
  if (running) return; // when it ends, the next one's place is taken
  const next = await nextJob(transaction);
  if (!next || (await hasJob(transaction, 'train', { waiting: true }))) return;
  await queue.send(transaction, 'train', [{ tenantId: currentTenant(), jobId: next.id }]);
}

/** The job that has waited longest. */
export function nextJob(queries: Queries): Promise<TrainingJob | null> {
  return queries.trainingJob.findFirst({ where: { status: 'QUEUED' }, orderBy: { id: 'asc' } });
}

/** The job that waits or runs, if there is any. */
export function openJob(queries: Queries): Promise<TrainingJob | null> {
  return queries.trainingJob.findFirst({ where: { status: { in: [...OPEN] } } });
}

/**
 * Takes the place in the queue that trainings of the session's tenant wait for and have lost, such as with a database
 * that was brought back from a backup. Where a worker has died, the queue finds another by itself.
 */
export async function requeueTrainings(database: { $transaction: TransactionOf }, queue: Queue): Promise<void> {
  await database.$transaction(async (transaction) => {
    await takeTrainingTurn(transaction);
    const open = await openJob(transaction);
    if (!open || (await hasJob(transaction, 'train'))) return;
    await queue.send(transaction, 'train', [{ tenantId: currentTenant(), jobId: open.id }]);
  });
}

type TransactionOf = <T>(work: (transaction: Queries) => Promise<T>) => Promise<T>;
