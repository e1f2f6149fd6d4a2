/**
 * Kills workers, processes that train and the database's own at random moments while several tenants train, and says what
 * is not as it must be afterwards: every job ended, nothing left behind, one active version a tenant, none without an
 * evaluation.
 */
import { readdir, rm, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { type Database, openDatabase, prepareDatabase, withTenant } from '../../../src/database/client.ts';
import { startEmbeddedServer } from '../../../src/database/embeddedServer.ts';
import type { Model } from '../../../src/database/generated/client.ts';
import { evaluationOf } from '../../../src/domain/evaluations.ts';
import { loadWeights } from '../../../src/domain/models.ts';
import type { Platform } from '../../../src/domain/platform.ts';
import { promote } from '../../../src/domain/registry.ts';
import { eraseStrayWeights } from '../../../src/domain/storedFiles.ts';
import { openJob } from '../../../src/domain/trainingChanges.ts';
import { requestTraining } from '../../../src/domain/trainingJobs.ts';
import { ItemError } from '../../../src/domain/userErrors.ts';
import { PreferenceModel } from '../../../src/inference/preferenceModel.ts';
import { openQueue, prepareQueue } from '../../../src/queue/queue.ts';
import { Random } from '../../../src/random.ts';
import { PARENT_TO_TRAIN, tenantToTrain } from '../../../tests/support/trainingTenant.ts';
import { childrenOf, killOutright, untilGone } from '../kill/processes.ts';
import { makeDataDirectory } from '../service.ts';
import { trainingPlatform } from './platform.ts';
import { type RunningWorker, startWorker } from './workers.ts';

const WORKERS = 2;
const TENANTS = 3;
/** A training takes some seconds: a kill meets any moment of it. */
const MOMENT_MS = 6_000;
/** After the last kill everything must have ended in time. */
const END_MS = 420_000;
const LOOK_MS = 200;
/** The database is away for some seconds while it mends itself. */
const DATABASE_MS = 30_000;
/** Older than any file that the hourly maintenance spares because somebody may be at it. */
const AGED_MS = 2 * 24 * 60 * 60 * 1000;

export type Victim = 'worker' | 'training process' | 'database process';

export interface TrainingKills {
  readonly kills: Readonly<Record<Victim, number>>;
  /** Jobs by what they ended as. */
  readonly jobs: Readonly<Record<string, number>>;
  /** Processes that trained, and jobs that were taken up more than once. */
  readonly processes: number;
  readonly takenUpAgain: number;
  readonly versions: number;
  readonly promoted: number;
  /** Of versions, at the end. */
  readonly weights: number;
  /** What kills have left of weights that no version names, gone with the maintenance's sweep. */
  readonly sweptWeights: number;
  readonly faults: readonly string[];
}

export interface TrainingKillOptions {
  readonly kills: number;
  readonly seed: string;
  readonly told?: (victim: Victim, number: number) => void;
}

export async function runTrainingKills({ kills, seed, told }: TrainingKillOptions): Promise<TrainingKills> {
  const folder = await makeDataDirectory();
  const server = await startEmbeddedServer(join(folder, 'database'));
  const url = await prepareDatabase(server.url);
  await prepareQueue(server.url);
  const database = openDatabase(url, 5);
  const queue = await openQueue(url, () => {});
  const platform = await trainingPlatform({ database, queue, folder });
  const run = new KillRun(platform, database, server.url, folder, new Random(`training kills/${seed}`));
  try {
    await run.begin();
    for (let number = 1; number <= kills; number++) {
      const victim = await run.kill();
      told?.(victim, number);
    }
    return await run.end();
  } finally {
    await run.stopWorkers();
    await queue.stop(5);
    await database.$disconnect();
    await server.stop().catch(() => {}); // its connection may have died with the database
    await (await startEmbeddedServer(join(folder, 'database'))).stop();
    await rm(folder, { recursive: true, force: true });
  }
}

class KillRun {
  readonly #platform: Platform;
  readonly #database: Database;
  readonly #ownerUrl: string;
  readonly #folder: string;
  readonly #random: Random;
  readonly #kills: Record<Victim, number> = { worker: 0, 'training process': 0, 'database process': 0 };
  readonly #children: number[] = [];
  readonly #faults: string[] = [];
  #workers: RunningWorker[] = [];
  #tenants: string[] = [];

  constructor(platform: Platform, database: Database, ownerUrl: string, folder: string, random: Random) {
    this.#platform = platform;
    this.#database = database;
    this.#ownerUrl = ownerUrl;
    this.#folder = folder;
    this.#random = random;
  }

  async begin(): Promise<void> {
    const base = await PreferenceModel.open(PARENT_TO_TRAIN);
    for (let i = 0; i < TENANTS; i++) this.#tenants.push((await tenantToTrain(this.#database, base)).id);
    await base.close();
    for (let i = 0; i < WORKERS; i++) this.#workers.push(await this.#startWorker());
  }

  #startWorker(): Promise<RunningWorker> {
    return startWorker(this.#ownerUrl, this.#folder, (pid) => void this.#children.push(pid));
  }

  /** Sees that every tenant trains and serves what it learned last, kills at some moment, and puts a new worker in the place of one that was killed. */
  async kill(): Promise<Victim> {
    for (const tenantId of this.#tenants) {
      await patiently(() => this.#promoteNewest(tenantId));
      await patiently(() => this.#keepTraining(tenantId));
    }
    await delay(this.#random.between(0, MOMENT_MS));
    const victim = this.#random.choose<Victim>(['worker', 'training process', 'database process'], 1)[0]!;
    const done = await this[KILLERS[victim]]();
    if (!done) return this.kill(); // there was none at that moment
    this.#kills[victim]++;
    return victim;
  }

  async #keepTraining(tenantId: string): Promise<void> {
    await withTenant(tenantId, () =>
      this.#database.$transaction(async (rows) => {
        if (await openJob(rows)) return;
        const seed = this.#random.int(2 ** 31);
        await requestTraining(rows, this.#platform, { requestedBy: 'a run', seed, promoteIfBetter: true });
      }),
    );
  }

  /** As an ADMIN would, where it is prepared by now. */
  async #promoteNewest(tenantId: string): Promise<void> {
    await withTenant(tenantId, async () => {
      const newest = await this.#database.model.findFirst({ orderBy: { version: 'desc' } });
      if (newest?.status !== 'CANDIDATE') return;
      await promote(this.#platform, newest.id, null).catch((error: unknown) => {
        if (!(error instanceof ItemError && error.code === 'NOT_READY')) throw error;
      });
    });
  }

  async killWorker(): Promise<boolean> {
    const place = this.#random.int(WORKERS);
    const worker = this.#workers[place]!;
    const orphans = await childrenOf(worker.pid);
    killOutright([worker.pid]);
    await worker.ended;
    const trained = orphans.filter((pid) => this.#children.includes(pid));
    await untilGone(trained).catch(() => void this.#faults.push('a process outlived its worker by ten seconds'));
    this.#workers[place] = await this.#startWorker();
    return true;
  }

  async killTrainingProcess(): Promise<boolean> {
    const alive = this.#children.filter(isAlive);
    if (alive.length === 0) return false;
    killOutright(this.#random.choose(alive, 1));
    return true;
  }

  /** One killed backend takes the whole database down, which mends itself and comes back. */
  async killDatabaseProcess(): Promise<boolean> {
    const pids = await patiently(async () => {
      const client = new pg.Client({ connectionString: this.#ownerUrl });
      client.on('error', () => {}); // it goes down with the rest
      await client.connect();
      const { rows } = await client.query<{ pid: number }>(
        `SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'palate%' ORDER BY pid`,
      );
      await client.end();
      return rows.map(({ pid }) => pid);
    });
    if (pids.length === 0) return false;
    killOutright(this.#random.choose(pids, 1));
    return true;
  }

  /** Waits until every job has ended, stops the workers, and looks at what is left. */
  async end(): Promise<TrainingKills> {
    await this.#untilEnded();
    await this.stopWorkers();
    await untilGone(this.#children).catch((error: Error) => void this.#faults.push(error.message));
    const jobs: Record<string, number> = {};
    let takenUpAgain = 0;
    let versions = 0;
    let promoted = 0;
    let weights = 0;
    let sweptWeights = await this.#sweepUnfinished();
    for (const tenantId of this.#tenants) {
      await withTenant(tenantId, async () => {
        for (const { status, attempt, deaths } of await this.#database.trainingJob.findMany()) {
          jobs[status] = (jobs[status] ?? 0) + 1;
          if (attempt > 1 || deaths > 0) takenUpAgain++;
        }
        const made = await this.#checkVersions(tenantId);
        versions += made.length;
        promoted += made.filter(({ promotedAt }) => promotedAt !== null).length;
        const files = await this.#checkWeights(tenantId, made);
        weights += files.named;
        sweptWeights += files.swept;
      });
    }
    for (const [status] of Object.entries(jobs)) {
      if (['QUEUED', 'RUNNING'].includes(status)) this.#faults.push(`${jobs[status]} jobs are ${status}`);
    }
    const left = await readdir(join(this.#folder, 'training'), { recursive: true }).catch(() => []);
    if (left.length > 0) this.#faults.push(`files are left: ${left.join(', ')}`);
    return {
      ...{ kills: this.#kills, jobs, takenUpAgain, versions, promoted, weights, sweptWeights },
      ...{ processes: this.#children.length, faults: this.#faults },
    };
  }

  async #untilEnded(): Promise<void> {
    for (const deadline = Date.now() + END_MS; Date.now() < deadline; await delay(LOOK_MS)) {
      const open = await patiently(() =>
        Promise.all(this.#tenants.map((id) => withTenant(id, () => openJob(this.#database)))),
      );
      if (open.every((job) => job === null)) return;
    }
    this.#faults.push(`not every training has ended ${END_MS / 1000} seconds after the last kill`);
  }

  /** Returns the versions that trainings made. */
  async #checkVersions(tenantId: string): Promise<Model[]> {
    const models = await this.#database.model.findMany({ include: { trainedBy: true } });
    const active = models.filter(({ status }) => status === 'ACTIVE');
    if (active.length !== 1) this.#faults.push(`tenant ${tenantId} has ${active.length} active versions`);
    const made = models.filter(({ version }) => version > 0);
    for (const model of made) {
      const where = `version ${model.version} of tenant ${tenantId}`;
      if (!evaluationOf(model)) this.#faults.push(`${where} has no evaluation`);
      if (model.trainedBy?.status !== 'SUCCEEDED') this.#faults.push(`${where} is of no training that succeeded`);
      await loadWeights(this.#platform, model.sha256).catch((error: Error) => {
        this.#faults.push(`${where} cannot be loaded: ${error.message}`);
      });
    }
    const lost = await this.#database.trainingJob.count({ where: { status: 'SUCCEEDED', modelId: null } });
    if (lost > 0) this.#faults.push(`${lost} trainings of tenant ${tenantId} succeeded without a version`);
    return made;
  }

  /** As after two days: no half-written file may stay. Returns how many there were. */
  async #sweepUnfinished(): Promise<number> {
    const incoming = join(this.#folder, 'models', 'incoming');
    const names = await readdir(incoming);
    for (const name of names) await age(join(incoming, name));
    await this.#platform.weights.sweep();
    const left = await readdir(incoming);
    if (left.length > 0) this.#faults.push(`half-written files stay: ${left.join(', ')}`);
    return names.length;
  }

  /** As after two days: every file of weights must be a version's, and every version have its file. */
  async #checkWeights(tenantId: string, made: readonly Model[]): Promise<{ named: number; swept: number }> {
    const { weights } = this.#platform;
    const list = async () =>
      (await Promise.all(weights.folders.map((folder) => weights.listFolder(tenantId, folder)))).flat();
    const before = await list();
    for (const name of before) await age(join(this.#folder, 'models', tenantId, name.slice(0, 2), name));
    for (const folder of weights.folders) await eraseStrayWeights(this.#platform, folder, new Date());
    const after = await list();
    const named = new Set(made.map(({ sha256 }) => sha256));
    const strays = after.filter((name) => !named.has(name));
    if (strays.length > 0) this.#faults.push(`weights of no version of tenant ${tenantId} stay: ${strays.join(', ')}`);
    const lost = [...named].filter((name) => !after.includes(name));
    if (lost.length > 0) this.#faults.push(`weights of versions of tenant ${tenantId} are gone: ${lost.join(', ')}`);
    return { named: after.length - strays.length, swept: before.length - after.length };
  }

  async stopWorkers(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.stop()));
    this.#workers = [];
  }
}

const KILLERS = {
  worker: 'killWorker',
  'training process': 'killTrainingProcess',
  'database process': 'killDatabaseProcess',
} as const satisfies Record<Victim, keyof KillRun>;

/** As if it had been written two days ago. */
async function age(path: string): Promise<void> {
  const then = new Date(Date.now() - AGED_MS);
  await utimes(path, then, then);
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** Through the seconds in which the database mends itself. */
async function patiently<T>(work: () => Promise<T>): Promise<T> {
  for (const deadline = Date.now() + DATABASE_MS; ; await delay(LOOK_MS)) {
    try {
      return await work();
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
  }
}
