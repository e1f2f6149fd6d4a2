/**
 * Trainings as a tenant's ADMIN sees them: asked for, taken back, looked at. Who does them is trainingRuns.ts's, when
 * they are asked for by themselves trainingTimes.ts's.
 */
import { randomInt } from 'node:crypto';
import type { Database, Queries } from '../database/client.ts';
import type { TrainingJob, TrainingLoss, TrainingStatus } from '../database/generated/client.ts';
import { PalateError } from '../errors.ts';
import type { Queue } from '../queue/queue.ts';
import { recordEvent } from './auditLog.ts';
import type { Caller } from './credentials.ts';
import { type Keeping, once } from './idempotency.ts';
import { idOf, newId, toGlobalId } from './ids.ts';
import { checkFirst, fromCursor, type Page, type PageArgs, toCursor, toPage, UUID_PATTERN } from './pages.ts';
import { addJob, changeJob, hasEnded, takeTrainingTurn } from './trainingChanges.ts';
import { ItemError, type UserError } from './userErrors.ts';

/** The most trainings of a tenant that wait. */
export const MAX_WAITING = 20;
/** One token would weigh the same for everybody; beyond so many, none is about anything. */
const TOKENS = { least: 2, most: 64 };
/** The greatest of PostgreSQL's and GraphQL's integers. */
const MAX_SEED = 2_147_483_647;
/** The most points that one curve has. */
export const MAX_POINTS = 200;

/** What trainings are asked for with. */
export interface TrainingRequests {
  readonly database: Database;
  readonly queue: Queue;
  readonly now: () => Date;
}

export interface TrainingWish {
  /** As many as the model that serves, if left out. */
  readonly preferenceTokenCount?: number | null | undefined;
  /** Chosen, if left out. */
  readonly seed?: number | null | undefined;
  readonly promoteIfBetter?: boolean | null | undefined;
}

export interface TrainingInput extends TrainingWish {
  readonly idempotencyKey?: string | null | undefined;
}

/**
 * Puts a training behind those that the session's tenant waits for. Throws an ItemError: INVALID for a number out of its
 * range, LIMIT_REACHED where 20 wait already, and what `once` throws.
 */
export async function startTraining(
  platform: TrainingRequests,
  caller: Caller,
  { idempotencyKey, ...wish }: TrainingInput,
): Promise<TrainingJob> {
  checkWish(wish);
  const { database, now } = platform;
  return database.$transaction(async (transaction) => {
    const work = async () => {
      const job = await requestTraining(transaction, platform, { ...wish, requestedBy: caller.credential.actor });
      await recordEvent(transaction, caller, now(), eventOf('startTraining', job));
      return job;
    };
    if (idempotencyKey === null || idempotencyKey === undefined) return work();
    const request = { operation: 'startTraining', key: idempotencyKey, request: wish };
    return once(transaction, request, now(), work, keeping(transaction));
  });
}

const eventOf = (action: string, { id }: TrainingJob) => ({ action, subject: toGlobalId('TrainingJob', id) });

/** A job outlives every answer that is kept. */
function keeping(transaction: Queries): Keeping<TrainingJob> {
  return {
    keep: ({ id }) => ({ ids: [id], userErrors: [], userIds: [] }),
    recall: ({ ids }) => transaction.trainingJob.findFirstOrThrow({ where: { id: ids[0]! } }),
  };
}

function checkWish({ preferenceTokenCount, seed }: TrainingWish): void {
  checkNumber('preferenceTokenCount', preferenceTokenCount, TOKENS.least, TOKENS.most);
  checkNumber('seed', seed, 0, MAX_SEED);
}

function checkNumber(field: string, value: number | null | undefined, least: number, most: number): void {
  if (value === null || value === undefined || (value >= least && value <= most)) return;
  const message = `${field} is ${value}; it must be a whole number from ${least} to ${most}.`;
  throw new ItemError([field], 'INVALID', message);
}

/** Whoever asks: a program, the schedule, the count of judgements. Throws an ItemError, LIMIT_REACHED. */
export async function requestTraining(
  transaction: Queries,
  { queue, now }: Pick<TrainingRequests, 'queue' | 'now'>,
  { preferenceTokenCount, seed, promoteIfBetter, requestedBy }: TrainingWish & { readonly requestedBy: string },
): Promise<TrainingJob> {
  await takeTrainingTurn(transaction);
  if ((await transaction.trainingJob.count({ where: { status: 'QUEUED' } })) >= MAX_WAITING) {
    const message = `${MAX_WAITING} trainings wait, the most there may be: cancel one, or wait until one has ended.`;
    throw new ItemError([], 'LIMIT_REACHED', message);
  }
  return addJob(transaction, queue, {
    id: newId(),
    tokens: preferenceTokenCount ?? null,
    seed: seed ?? randomInt(MAX_SEED),
    seedChosen: seed === null || seed === undefined,
    promoteIfBetter: promoteIfBetter ?? false,
    createdAt: now(),
    requestedBy,
  });
}

export interface CancelAnswer {
  readonly job: TrainingJob | null;
  readonly userErrors: readonly UserError[];
}

/**
 * Ends a training that waits at once, and asks the worker of one that runs to end it. One that has ended stays as it is,
 * which is an error, INVALID.
 */
export async function cancelTraining(
  { database, now }: Pick<TrainingRequests, 'database' | 'now'>,
  caller: Caller,
  globalId: string,
): Promise<CancelAnswer> {
  const id = idOf('TrainingJob', globalId);
  return database.$transaction(async (transaction) => {
    await takeTrainingTurn(transaction);
    const job = id && (await transaction.trainingJob.findFirst({ where: { id } }));
    if (!job) {
      const error = new ItemError(['id'], 'NOT_FOUND', 'There is no training with this id.');
      return { job: null, userErrors: [error.toUserError()] };
    }
    if (hasEnded(job)) {
      const message = `This training has ended: it is ${job.status}.`;
      return { job, userErrors: [new ItemError(['id'], 'INVALID', message).toUserError()] };
    }
    await recordEvent(transaction, caller, now(), eventOf('cancelTraining', job));
    if (job.cancelRequestedAt) return { job, userErrors: [] };
    const asked = { cancelRequestedAt: now(), stage: 'being cancelled' };
    const ended = { ...asked, status: 'CANCELLED' as const, stage: 'cancelled', finishedAt: now() };
    const changed = await changeJob(transaction, { id: job.id }, job.status === 'QUEUED' ? ended : asked);
    return { job: changed, userErrors: [] };
  });
}

/** Null for an id that is none of the tenant's. */
export function findTrainingJob(queries: Queries, id: string): Promise<TrainingJob | null> {
  return queries.trainingJob.findFirst({ where: { id } });
}

/** By a global id. */
export async function trainingJobOf(queries: Queries, globalId: string): Promise<TrainingJob | null> {
  const id = idOf('TrainingJob', globalId);
  return id === null ? null : findTrainingJob(queries, id);
}

/** Jobs by id; ids that are none of the tenant's are left out. */
export async function trainingJobsByIds(queries: Queries, ids: readonly string[]): Promise<Map<string, TrainingJob>> {
  const rows = await queries.trainingJob.findMany({ where: { id: { in: [...ids] } } });
  return new Map(rows.map((row) => [row.id, row]));
}

/** Jobs by the version that they made. Index: training_jobs_tenant_id_model_id_key. */
export async function trainingJobsByModels(
  queries: Queries,
  modelIds: readonly string[],
): Promise<Map<string, TrainingJob>> {
  const rows = await queries.trainingJob.findMany({ where: { modelId: { in: [...modelIds] } } });
  return new Map(rows.map((row) => [row.modelId!, row]));
}

export interface TrainingJobArgs extends PageArgs {
  readonly status?: TrainingStatus | null | undefined;
}

/** The tenant's trainings, newest first. Throws BAD_USER_INPUT for a bad `first` or cursor. */
export async function pageTrainingJobs(
  queries: Queries,
  { status, ...page }: TrainingJobArgs,
): Promise<Page<TrainingJob>> {
  checkFirst(page.first);
  const [, before] = fromCursor(page.after, [/^trainingJobs$/, UUID_PATTERN]) ?? [];
  const rows = await queries.trainingJob.findMany({
    where: { ...(before ? { id: { lt: before } } : {}), ...(status ? { status } : {}) },
    orderBy: { id: 'desc' },
    take: page.first + 1,
  });
  return toPage(rows, page, ({ id }) => toCursor('trainingJobs', id));
}

export interface LossArgs {
  /** Steps after this one. */
  readonly afterStep: number;
  /** 1 to 200. */
  readonly maxPoints: number;
}

/** Curves by job, as `thinned` leaves them. Throws BAD_USER_INPUT for numbers out of their range. */
export async function lossesForJobs(
  queries: Queries,
  jobIds: readonly string[],
  { afterStep, maxPoints }: LossArgs,
): Promise<Map<string, TrainingLoss[]>> {
  if (!(Number.isInteger(maxPoints) && maxPoints >= 1 && maxPoints <= MAX_POINTS)) {
    const message = `maxPoints is ${maxPoints}; it must be a whole number from 1 to ${MAX_POINTS}.`;
    throw new PalateError('BAD_USER_INPUT', message);
  }
  if (!(Number.isInteger(afterStep) && afterStep >= -1)) {
    throw new PalateError('BAD_USER_INPUT', `afterStep is ${afterStep}; it must be a whole number from -1.`);
  }
  const rows = await queries.trainingLoss.findMany({
    where: { jobId: { in: [...jobIds] }, step: { gt: afterStep } },
    orderBy: { step: 'asc' },
  });
  const byJob = new Map<string, TrainingLoss[]>(jobIds.map((id) => [id, []]));
  for (const row of rows) byJob.get(row.jobId)?.push(row);
  return new Map([...byJob].map(([id, points]) => [id, thinned(points, maxPoints)]));
}

/**
 * At most so many of the points, the last among them, evenly over the rest; points at which held-out people were
 * measured come before others.
 */
export function thinned(points: readonly TrainingLoss[], most: number): TrainingLoss[] {
  const last = points.length - 1;
  if (last < most) return [...points];
  const measured = [...points.keys()].filter((i) => i < last && points[i]!.validationAccuracy !== null);
  const others = [...points.keys()].filter((i) => i < last && points[i]!.validationAccuracy === null);
  const kept = evenly(measured, most - 1);
  const rest = evenly(others, most - 1 - kept.length);
  return [...kept, ...rest, last].sort((a, b) => a - b).map((i) => points[i]!);
}

function evenly(places: readonly number[], most: number): number[] {
  if (places.length <= most) return [...places];
  return Array.from({ length: most }, (_, i) => places[Math.floor(((i + 0.5) * places.length) / most)]!);
}
