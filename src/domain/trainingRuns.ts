/**
 * A training as its worker sees it: taken up, reported on, ended. Whoever takes a job up holds a claim on it; a worker
 * whose job was taken up by another in the meantime has lost its claim, and changes nothing more. Runs within the
 * tenant's session.
 */
import type { Database, Queries } from '../database/client.ts';
import { currentTenant } from '../database/client.ts';
import type { Model, TrainingJob } from '../database/generated/client.ts';
import type { Queue } from '../queue/queue.ts';
import { waitForDeletions } from './deletionTurns.ts';
import { changeJob, nextJob, queueNext, takeTrainingTurn } from './trainingChanges.ts';

/** A job whose process has died so often is given up. */
export const MOST_DEATHS = 3;
/** The longest reason that is kept. */
const MAX_REASON = 2_000;

export interface TrainingRunsPlatform {
  readonly database: Database;
  readonly queue: Queue;
  readonly now: () => Date;
}

/** A job in hand: the row as it was when it was taken up. */
export type Claim = Pick<TrainingJob, 'id' | 'attempt'>;

/** Another worker has the job by now, or it is gone with its tenant. */
export class ClaimLost extends Error {}
const lost = () => new ClaimLost('The training is in other hands by now.');
/** An ADMIN has asked for the job to be ended. */
export class CancelAsked extends Error {}
/** Somebody whose judgements were learned from has been erased meanwhile. */
export class LearnedFromErased extends Error {}

/**
 * Takes up the training whose turn it is: one that a dead worker has left, else the one that has waited longest. Null
 * where there is none.
 */
export function claimTraining(platform: TrainingRunsPlatform): Promise<TrainingJob | null> {
  const { database, now } = platform;
  return database.$transaction(async (transaction) => {
    await takeTrainingTurn(transaction);
    const left = await transaction.trainingJob.findFirst({ where: { status: 'RUNNING' } });
    const job = left ?? (await nextJob(transaction));
    if (!job) return null;
    if (job.cancelRequestedAt) {
      await end(transaction, platform, job, { status: 'CANCELLED' });
      return null;
    }
    const deaths = job.deaths + (left ? 1 : 0);
    if (left && deaths >= MOST_DEATHS) {
      await end(transaction, platform, job, { status: 'FAILED', reason: givenUp('its worker ended'), deaths });
      return null;
    }
    const taken = { status: 'RUNNING' as const, attempt: { increment: 1 }, deaths, seenAt: now() };
    const startedAt = job.startedAt ?? now();
    return changeJob(transaction, { id: job.id }, { ...taken, startedAt, stage: 'beginning' });
  });
}

/** @param how the process died at the last */
export const givenUp = (how: string): string =>
  `The process that trained was lost ${MOST_DEATHS} times; at the last, ${how}. It is not tried again.`;

/** The job, where it is still this worker's. */
const heldBy = ({ id, attempt }: Claim) => ({ id, attempt, status: 'RUNNING' as const });

/** What may still be done. Throws ClaimLost, or CancelAsked. */
function checkHeld(job: Pick<TrainingJob, 'cancelRequestedAt'> | null | undefined): void {
  if (!job) throw lost();
  if (job.cancelRequestedAt) throw new CancelAsked('It was cancelled.');
}

/** Says that the worker lives; no watcher is told. Throws ClaimLost, or CancelAsked. */
export async function seeTraining({ database, now }: TrainingRunsPlatform, claim: Claim): Promise<void> {
  const [job] = await database.trainingJob.updateManyAndReturn({
    where: heldBy(claim),
    data: { seenAt: now() },
    select: { cancelRequestedAt: true },
  });
  checkHeld(job);
}

export interface Loss {
  /** From 1. */
  readonly step: number;
  readonly base: number;
  readonly contrastive: number;
  readonly total: number;
  readonly validationAccuracy: number | null;
}

export interface TrainingReport {
  readonly stage: string;
  /** 0 to 1. */
  readonly progress: number;
  /** A step that is known already is left as it is: gone on from a checkpoint, it is the same. */
  readonly losses: readonly Loss[];
}

/** Writes down how it goes. Throws ClaimLost, or CancelAsked. */
export async function reportTraining(
  { database, now }: TrainingRunsPlatform,
  claim: Claim,
  { stage, progress, losses }: TrainingReport,
): Promise<void> {
  await database.$transaction(async (transaction) => {
    const { tenantId, id: jobId } = await changeHeld(transaction, claim, { stage, progress, seenAt: now() });
    const data = losses.map((loss) => ({ ...loss, tenantId, jobId }));
    await transaction.trainingLoss.createMany({ data, skipDuplicates: true });
  });
}

/** Changes a job that is held and not to be ended. Throws ClaimLost, or CancelAsked. */
async function changeHeld(
  transaction: Queries,
  claim: Claim,
  data: Parameters<typeof changeJob>[2],
): Promise<TrainingJob> {
  const job = await changeJob(transaction, { ...heldBy(claim), cancelRequestedAt: null }, data);
  if (job) return job;
  checkHeld(await transaction.trainingJob.findFirst({ where: heldBy(claim) }));
  throw lost();
}

/** Notes what it learns from. Of other feedback than before, what was lost before says nothing any more. */
export async function noteDataset(
  { database }: TrainingRunsPlatform,
  claim: Claim,
  datasetSha256: string,
): Promise<void> {
  await database.$transaction(async (transaction) => {
    const job = await transaction.trainingJob.findFirst({ where: heldBy(claim) });
    checkHeld(job);
    if (job?.datasetSha256 === datasetSha256) return;
    await transaction.trainingLoss.deleteMany({ where: { jobId: claim.id } });
    await changeJob(transaction, heldBy(claim), { datasetSha256 });
  });
}

/** What a job ends as, but for a success. */
export type Ending =
  | { readonly status: 'DECLINED' | 'FAILED'; readonly reason: string; readonly deaths?: number }
  | { readonly status: 'CANCELLED' };

/**
 * Ends the job without a model, as cancelled where that was asked for meanwhile; the tenant's next one takes its place in
 * the queue. Throws ClaimLost.
 */
export async function endTraining(platform: TrainingRunsPlatform, claim: Claim, ending: Ending): Promise<void> {
  await platform.database.$transaction(async (transaction) => {
    await takeTrainingTurn(transaction);
    const asked = await transaction.trainingJob.count({
      where: { ...heldBy(claim), cancelRequestedAt: { not: null } },
    });
    const last: Ending = asked > 0 ? { status: 'CANCELLED' } : ending;
    await end(transaction, platform, { ...claim, status: 'RUNNING' }, last);
  });
}

const LAST_STAGES = { DECLINED: 'declined', FAILED: 'failed', CANCELLED: 'cancelled' } as const;

async function end(
  transaction: Queries,
  { queue, now }: TrainingRunsPlatform,
  { id, attempt, status: before }: Pick<TrainingJob, 'id' | 'attempt' | 'status'>,
  { status, ...more }: Ending,
): Promise<void> {
  const reason = 'reason' in more ? [...more.reason].slice(0, MAX_REASON).join('') : null;
  const data = { ...more, status, reason, stage: LAST_STAGES[status], finishedAt: now() };
  const job = await changeJob(transaction, { id, attempt, status: before }, data);
  if (!job) throw lost();
  await queueNext(transaction, queue);
}

/**
 * Ends the job with the version it has made, in the transaction that adds the version. Throws ClaimLost, CancelAsked, or
 * LearnedFromErased: whoever is erased from now on finds themself among those the version learned from.
 */
export async function succeed(
  transaction: Queries,
  { queue, now }: TrainingRunsPlatform,
  claim: Claim,
  model: Model,
  learners: AsyncIterable<readonly string[]>,
): Promise<void> {
  await waitForDeletions(transaction);
  await assertThere(transaction, learners);
  await takeTrainingTurn(transaction);
  const done = { status: 'SUCCEEDED' as const, progress: 1, stage: 'done', finishedAt: now(), modelId: model.id };
  const job = await changeHeld(transaction, claim, done);
  if (job.promoteIfBetter) await queue.send(transaction, 'promote', [{ tenantId: currentTenant(), jobId: job.id }]);
  await queueNext(transaction, queue);
}

/** Throws LearnedFromErased where one of these people is not there any more. */
export async function assertThere(queries: Queries, people: AsyncIterable<readonly string[]>): Promise<void> {
  for await (const ids of people) {
    const there = await queries.user.count({ where: { id: { in: [...ids] } } });
    if (there < ids.length) throw new LearnedFromErased(`${ids.length - there} of the people learned from are erased.`);
  }
}

/** Notes that the training's process has died. Returns whether the job may be tried again. Throws ClaimLost. */
export async function noteDeath({ database }: TrainingRunsPlatform, claim: Claim): Promise<boolean> {
  const [job] = await database.trainingJob.updateManyAndReturn({
    where: heldBy(claim),
    data: { deaths: { increment: 1 } },
    select: { deaths: true },
  });
  if (!job) throw lost();
  return job.deaths < MOST_DEATHS;
}

/** Lets go of the job, to be gone on with by whoever has the tenant's turn next. Throws ClaimLost. */
export async function giveBack({ database }: TrainingRunsPlatform, claim: Claim): Promise<void> {
  await database.$transaction(async (transaction) => {
    await takeTrainingTurn(transaction);
    const job = await changeJob(transaction, heldBy(claim), { status: 'QUEUED', stage: 'waiting' });
    if (!job) throw lost();
  });
}

/** Why there is nothing to learn from this feedback that a version has not learned already; null where there is. */
export async function whyNothingNew(
  queries: Queries,
  active: Model,
  { seed, seedChosen, tokens }: Pick<TrainingJob, 'seed' | 'seedChosen' | 'tokens'>,
  datasetSha256: string,
): Promise<string | null> {
  const same = await queries.model.findFirst({
    where: {
      datasetSha256,
      tokens: tokens ?? active.tokens,
      ...(seedChosen ? {} : { seed }),
      OR: [{ id: active.id }, { parentId: active.id, status: 'CANDIDATE' }],
    },
    orderBy: { version: 'desc' },
  });
  if (!same) return null;
  const what = same.id === active.id ? 'the model that serves' : 'a candidate';
  const seeds = seedChosen ? 'Give a seed to train on it once more.' : 'Give another seed to train on it once more.';
  return `There is nothing new: version ${same.version}, ${what}, has learned from the same feedback. ${seeds}`;
}
