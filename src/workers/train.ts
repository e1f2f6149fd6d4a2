/**
 * Does trainings, one at a time: snapshot → a process that trains and evaluates (training/child.ts) → candidate. The
 * database is this process's alone; the one that trains knows files. Whatever is killed, the job comes to an end: it is
 * gone on with from its checkpoint, or says why not. Knows no HTTP.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { withTenant } from '../database/client.ts';
import type { Model, TrainingJob } from '../database/generated/client.ts';
import type { ModelEvaluation } from '../domain/evaluations.ts';
import { loadWeights } from '../domain/models.ts';
import type { Platform } from '../domain/platform.ts';
import { addCandidate } from '../domain/registry.ts';
import { FINAL } from '../domain/trainingChanges.ts';
import {
  assertThere,
  CancelAsked,
  ClaimLost,
  claimTraining,
  type Ending,
  endTraining,
  giveBack,
  givenUp,
  LearnedFromErased,
  noteDataset,
  noteDeath,
  reportTraining,
  seeTraining,
  succeed,
  whyNothingNew,
} from '../domain/trainingRuns.ts';
import { ItemError } from '../domain/userErrors.ts';
import { PalateError } from '../errors.ts';
import { StoreUnreachable } from '../files/store.ts';
import { loadArtifact } from '../inference/preferenceModel.ts';
import type { ExecutionProvider } from '../inference/session.ts';
import { itemVectorSize } from '../model/architecture.ts';
import { type ModelArtifact, towerHash } from '../model/artifact.ts';
import type { BatchShape } from '../model/trainingGraph.ts';
import { writeArtifact } from '../training/artifactFiles.ts';
import type { EvaluationSummary } from '../training/feedback/apiEvaluation.ts';
import { Snapshot } from '../training/feedback/snapshot.ts';
import { learnersOf, writeFeedbackSnapshot } from './feedbackSnapshot.ts';
import { type ChildEnd, runChild } from './training/child.ts';
import { sweepFolders, TrainingFolder } from './training/folder.ts';
import { Progress } from './training/progress.ts';

/** As much of a logger as this needs. */
export interface TrainingLog {
  info(details: object, message: string): void;
  error(details: object, message: string): void;
}

export interface TrainingOptions {
  /** Folder of the trainings' files: one folder a job, as long as it lasts. */
  readonly directory: string;
  /** Of the step; another number gives other weights in the last bits. */
  readonly threads: number;
  /** What runs the steps; the processor, if left out. */
  readonly provider?: ExecutionProvider;
  readonly log: TrainingLog;
  /** Smaller than what is good for people, for tests. */
  readonly sizes?: { readonly steps: number; readonly shape: BatchShape };
  /** Beside a suite of tests the process would get no turn at its own priority. */
  readonly foreground?: boolean;
  /** Told of each process that trains. */
  onChild?(pid: number, job: TrainingJob): void;
}

export interface Trainings {
  /** Ends what runs; another worker goes on with it from its checkpoint. */
  stop(): Promise<void>;
}

/** How often what a training says is written down, and its worker seen. */
const REPORT_MS = 500;
const SEEN_MS = 2_000;
/** Another machine may have ended what was begun here. */
const SWEEP_MS = 60 * 60 * 1000;
/** Where people are erased during each of so many runs, it is given up. */
const MOST_RUNS = 3;
/** Stored files that cannot be reached are waited for, ever longer, for some ten minutes an attempt. */
const MOST_WAITS = 24;
const LONGEST_WAIT_SECONDS = 30;
/** What a disk says that cannot take more, or at all. */
const DISK_FAULTS = ['ENOSPC', 'EDQUOT', 'EROFS', 'EACCES', 'EIO'];

/** This worker is told to stop. */
class Stopping extends Error {}

/** Takes up trainings as they come, until it is stopped. */
export async function startTrainings(platform: Platform, options: TrainingOptions): Promise<Trainings> {
  const stopping = new AbortController();
  const sweep = () => sweepTrainings(platform, options.directory);
  await sweep();
  const onError = (error: unknown) => options.log.error({ err: error }, 'folders of trainings were not swept');
  const timer = setInterval(() => void sweep().catch(onError), SWEEP_MS).unref();
  await platform.queue.work('train', {}, (_, tenantId) => trainNext(platform, options, tenantId, stopping.signal));
  return {
    async stop() {
      clearInterval(timer);
      stopping.abort(new Stopping('This worker stops.'));
      await platform.queue.leave('train');
    },
  };
}

/** Removes what trainings that have ended, here or elsewhere, have left on this machine. */
export function sweepTrainings(platform: Platform, directory: string): Promise<void> {
  return sweepFolders(directory, (tenantId, jobIds) => withTenant(tenantId, () => endedOf(platform, jobIds)));
}

/** Those of the session's tenant's jobs that have ended, or are gone. */
async function endedOf({ database }: Platform, jobIds: readonly string[]): Promise<string[]> {
  const open = await database.trainingJob.findMany({
    where: { id: { in: [...jobIds] }, status: { notIn: [...FINAL] } },
    select: { id: true },
  });
  return jobIds.filter((id) => !open.some((job) => job.id === id));
}

/** Takes the tenant's turn. Throws where the job is to be gone on with: the queue then keeps the tenant's place. */
async function trainNext(
  platform: Platform,
  options: TrainingOptions,
  tenantId: string,
  stop: AbortSignal,
): Promise<void> {
  stop.throwIfAborted();
  const job = await claimTraining(platform);
  if (!job) return;
  const { log } = options;
  const about = { tenant: tenantId, job: job.id, attempt: job.attempt };
  log.info(about, 'a training begins');
  const run = new Run(platform, options, job, stop);
  try {
    const ended = await run.toItsEnd(tenantId);
    log.info({ ...about, ended }, 'a training has ended');
  } catch (error) {
    if (!(error instanceof ClaimLost)) throw error;
    log.info(about, 'a training is in other hands, or gone with its tenant');
  }
}

/** One attempt at a job. */
class Run {
  readonly #platform: Platform;
  readonly #options: TrainingOptions;
  readonly #job: TrainingJob;
  readonly #progress: Progress;
  /** Ends the attempt, with why. */
  readonly #ending = new AbortController();
  readonly #stop: AbortSignal;
  /** Writes down how it goes, until the attempt has ended. */
  #reporting: Promise<void> = Promise.resolve();

  constructor(platform: Platform, options: TrainingOptions, job: TrainingJob, stop: AbortSignal) {
    this.#platform = platform;
    this.#options = options;
    this.#job = job;
    this.#progress = new Progress(job.progress);
    this.#stop = stop;
  }

  /** What the job has ended as. Throws ClaimLost, and what lets another attempt go on. */
  async toItsEnd(tenantId: string): Promise<string> {
    const folder = await TrainingFolder.open(this.#options.directory, tenantId, this.#job);
    const onStop = () => this.#ending.abort(this.#stop.reason);
    this.#stop.addEventListener('abort', onStop, { once: true });
    this.#reporting = this.#report();
    try {
      const ending = await this.#train(folder);
      if (ending) await endTraining(this.#platform, this.#job, ending);
      await folder.remove();
      return ending?.status ?? 'SUCCEEDED';
    } catch (error) {
      return await this.#fail(error, folder);
    } finally {
      this.#stop.removeEventListener('abort', onStop);
      this.#ending.abort(new ClaimLost('It has ended.'));
      await this.#reporting;
    }
  }

  /** Ends the job by what went wrong, or throws where another attempt goes on with it. */
  async #fail(thrown: unknown, folder: TrainingFolder): Promise<string> {
    // What ends an attempt from outside is the cause of whatever else goes wrong in it.
    const error = this.#ending.signal.aborted ? this.#ending.signal.reason : thrown;
    if (error instanceof Stopping) {
      await giveBack(this.#platform, this.#job);
      throw error;
    }
    if (error instanceof ClaimLost) {
      // Whoever has the job now may share the folder, and goes on with what is in it.
      if ((await endedOf(this.#platform, [this.#job.id])).length > 0) await folder.remove();
      throw error;
    }
    const ending = endingOf(error);
    if (ending) {
      await endTraining(this.#platform, this.#job, ending);
      await folder.remove();
      return ending.status;
    }
    this.#options.log.error({ err: error, job: this.#job.id }, 'a training was cut short');
    if (await noteDeath(this.#platform, this.#job)) {
      await giveBack(this.#platform, this.#job);
      throw error;
    }
    await endTraining(this.#platform, this.#job, { status: 'FAILED', reason: givenUp(messageOf(error)) });
    await folder.remove();
    return 'FAILED';
  }

  /** What the job ends as, but for a success, which `addCandidate` writes down. */
  async #train(folder: TrainingFolder): Promise<Ending | null> {
    for (let run = 1; run <= MOST_RUNS; run++) {
      try {
        return await this.#once(folder);
      } catch (error) {
        if (!(error instanceof LearnedFromErased)) throw error;
        await folder.empty();
      }
    }
    const reason = `People who were learned from were erased during each of ${MOST_RUNS} runs: start it again when fewer are.`;
    return { status: 'FAILED', reason };
  }

  async #once(folder: TrainingFolder): Promise<Ending | null> {
    const { database } = this.#platform;
    const active = await database.model.findFirstOrThrow({ where: { status: 'ACTIVE' } });
    const parent = await this.#reaching(() => loadWeights(this.#platform, active.sha256));
    await writeArtifact(folder.parent, parent);
    const datasetSha256 = await this.#snapshot(folder, parent);
    await noteDataset(this.#platform, this.#job, datasetSha256);
    const nothingNew = await whyNothingNew(database, active, this.#job, datasetSha256);
    if (nothingNew !== null) return { status: 'DECLINED', reason: nothingNew };
    const end = await this.#inChild(folder);
    await this.#write();
    if (end.kind === 'declined') return { status: 'DECLINED', reason: end.reason };
    if (end.kind === 'failed') return { status: 'FAILED', reason: end.message };
    if (end.kind === 'died') return { status: 'FAILED', reason: givenUp(end.how) };
    return this.#add(folder, active, datasetSha256, end.evaluation);
  }

  /** Writes down what is to be learned from, unless an earlier attempt has; answers its SHA-256. */
  async #snapshot(folder: TrainingFolder, parent: ModelArtifact): Promise<string> {
    const { database } = this.#platform;
    const { signal } = this.#ending;
    this.#progress.enter('reading the feedback');
    const model = {
      towerHash: towerHash(parent),
      imageEncoder: parent.manifest.encoders.image,
      itemSize: itemVectorSize(parent.manifest.architecture),
      featureSize: parent.transforms.image.mean.length,
    };
    const kept = (await folder.hasSnapshot()) && sha256Of(folder.snapshot, model.towerHash);
    if (kept) {
      await assertThere(database, learnersOf(folder.snapshot));
      return kept;
    }
    const written = await writeFeedbackSnapshot(database, model, folder.snapshotInWork, signal);
    written.close();
    await folder.finishSnapshot();
    return written.manifest.sha256;
  }

  /** Trains until a process comes to an end of its own, or has died too often. */
  async #inChild(folder: TrainingFolder): Promise<ChildEnd> {
    const { threads, provider = 'cpu', sizes, foreground = false, onChild } = this.#options;
    const { seed, tokens } = this.#job;
    await folder.takeOverCheckpoint();
    const { snapshot, parent, checkpoint, result } = folder;
    const task = { snapshot, parent, checkpoint, result, seed, tokens, threads, provider, ...sizes };
    for (;;) {
      const end = await runChild(task, {
        ...{ foreground, signal: this.#ending.signal },
        onStart: (pid) => onChild?.(pid, this.#job),
        onMessage: (message) => this.#progress.hear(message),
      });
      if (end.kind !== 'died') return end;
      this.#options.log.error({ job: this.#job.id, how: end.how }, 'the process of a training has died');
      if (!(await noteDeath(this.#platform, this.#job))) return end;
    }
  }

  async #add(
    folder: TrainingFolder,
    active: Model,
    datasetSha256: string,
    measured: EvaluationSummary,
  ): Promise<Ending | null> {
    this.#progress.enter('adding the candidate');
    const candidate = {
      artifact: await loadArtifact(folder.result),
      parentId: active.id,
      seed: this.#job.seed,
      datasetSha256,
      evaluation: evaluationOf(measured, active.id),
    };
    this.#ending.signal.throwIfAborted();
    try {
      const people = () => learnersOf(folder.snapshot);
      await this.#reaching(() =>
        addCandidate(this.#platform, { ...candidate, peopleIds: people() }, (transaction, model) =>
          succeed(transaction, this.#platform, this.#job, model, people()),
        ),
      );
      return null;
    } catch (error) {
      if (!(error instanceof ItemError && error.code === 'CONFLICT')) throw error;
      return { status: 'DECLINED', reason: error.message };
    }
  }

  /** Hours of work are not given up for stored files that cannot be reached now. */
  async #reaching<T>(work: () => Promise<T>): Promise<T> {
    for (let waits = 0; ; waits++) {
      try {
        return await work();
      } catch (error) {
        if (!(error instanceof StoreUnreachable) || waits === MOST_WAITS) throw error;
        this.#options.log.error({ err: error, job: this.#job.id }, 'a training waits for the stored files');
        const seconds = Math.min(2 ** waits, LONGEST_WAIT_SECONDS);
        await delay(seconds * 1000, undefined, { signal: this.#ending.signal });
      }
    }
  }

  /** Writes down what has changed, if anything has. */
  async #write(): Promise<boolean> {
    const report = this.#progress.take();
    if (!report) return false;
    try {
      await reportTraining(this.#platform, this.#job, report);
      return true;
    } catch (error) {
      this.#progress.putBack(report);
      throw error;
    }
  }

  /** Writes down how it goes until the attempt has ended, and ends it where its job is not to be done any more. */
  async #report(): Promise<void> {
    const { signal } = this.#ending;
    let seen = Date.now();
    while (!signal.aborted) {
      await delay(REPORT_MS, undefined, { signal }).catch(() => {});
      if (signal.aborted) return;
      try {
        if (await this.#write()) seen = Date.now();
        if (Date.now() - seen < SEEN_MS) continue;
        await seeTraining(this.#platform, this.#job);
        seen = Date.now();
      } catch (error) {
        if (error instanceof ClaimLost || error instanceof CancelAsked) this.#ending.abort(error);
        else this.#options.log.error({ err: error, job: this.#job.id }, 'how a training goes was not written down');
      }
    }
  }
}

/** Of what goes wrong the same way however often it is tried, or is to end the job; null for what may not last. */
function endingOf(error: unknown): Ending | null {
  if (error instanceof CancelAsked) return { status: 'CANCELLED' };
  const { code = '' } = error as { code?: string };
  if (DISK_FAULTS.includes(code)) return { status: 'FAILED', reason: `The disk: ${messageOf(error)}` };
  if (error instanceof StoreUnreachable) return null;
  if (error instanceof PalateError) return { status: 'FAILED', reason: error.message };
  return null;
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** What is kept beside the version: the model it went on from is the one that served. */
function evaluationOf({ difference, ...measured }: EvaluationSummary, activeId: string): ModelEvaluation {
  return { ...measured, against: difference && { ...difference, modelId: activeId } };
}

/** The SHA-256 of a whole snapshot of this tower's vectors; null for another. */
function sha256Of(directory: string, tower: string): string | null {
  try {
    const snapshot = Snapshot.open(directory);
    snapshot.close();
    return snapshot.manifest.tower === tower ? snapshot.manifest.sha256 : null;
  } catch {
    return null;
  }
}
