/**
 * Trainings in processes of their own: what they come to, whatever ends them on the way. Each is as small as a training
 * can be; a process takes some seconds to start.
 */
import { existsSync } from 'node:fs';
import { mkdir, readdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { NO_TENANT } from '../../src/database/client.ts';
import type { TrainingJob } from '../../src/database/generated/client.ts';
import { deleteUser } from '../../src/domain/erasure.ts';
import { evaluationOf } from '../../src/domain/evaluations.ts';
import { newId, toGlobalId } from '../../src/domain/ids.ts';
import { loadWeights } from '../../src/domain/models.ts';
import type { Platform } from '../../src/domain/platform.ts';
import { deleteTenant } from '../../src/domain/tenantDeletion.ts';
import { hasEnded } from '../../src/domain/trainingChanges.ts';
import { cancelTraining, requestTraining } from '../../src/domain/trainingJobs.ts';
import { lockVersions } from '../../src/domain/versionTurns.ts';
import { StoreUnreachable } from '../../src/files/store.ts';
import { PreferenceModel } from '../../src/inference/preferenceModel.ts';
import { parameterLayout } from '../../src/model/parameters.ts';
import { openQueue, type Queue } from '../../src/queue/queue.ts';
import { startTrainings, type Trainings } from '../../src/workers/train.ts';
import { newTenant, type TestDatabase, testDatabase } from '../support/database.ts';
import { testPlatform } from '../support/platform.ts';
import { PARENT_TO_TRAIN, SMALL_TRAINING, type TestTenant, tenantToTrain } from '../support/trainingTenant.ts';

const CALLER = {
  credential: {
    ...{ role: 'ADMIN' as const, id: '', actor: 'a test', userId: null },
    pointsPerMinute: null,
    expiresAt: null,
  },
  ...{ address: null, requestId: 'test' },
};
const callerOf = ({ id }: TestTenant) => ({
  ...CALLER,
  credential: { ...CALLER.credential, tenant: { id, pointsPerMinute: 1 } },
});

let db: TestDatabase;
let base: PreferenceModel;
let platform: Platform;
let directory: string;
let close: () => Promise<void>;
let owner: pg.Client;
let trainings: Trainings;
/** Processes that were started, with their jobs. */
let children: { pid: number; jobId: string }[] = [];

const log = { info: () => {}, error: () => {} };
const startWorker = (queue: Queue): Promise<Trainings> => {
  const onChild = (pid: number, job: TrainingJob) => void children.push({ pid, jobId: job.id });
  const options = { directory, threads: 1, log, sizes: SMALL_TRAINING, foreground: true, onChild };
  return startTrainings({ ...platform, queue }, options);
};
const work = async () => {
  trainings = await startWorker(platform.queue);
};

beforeAll(async () => {
  db = await testDatabase();
  base = await PreferenceModel.open(PARENT_TO_TRAIN);
  const opened = await testPlatform(db, base);
  ({ platform, close } = opened);
  directory = join(opened.folder, 'training');
  owner = new pg.Client({ connectionString: db.ownerUrl });
  await owner.connect();
  await owner.query(`INSERT INTO tenants (tenant_id, name) VALUES ($1, 'operators')`, [NO_TENANT]);
  await work();
});
afterAll(async () => {
  await trainings.stop();
  await owner.end();
  await db.close();
  await base.close();
  await close();
});
beforeEach(() => {
  children = [];
});

const ask = ({ run }: TestTenant, wish: { seed?: number; promoteIfBetter?: boolean } = {}) =>
  run(() => db.database.$transaction((rows) => requestTraining(rows, platform, { requestedBy: 'a test', ...wish })));
const read = ({ run }: TestTenant, { id }: { id: string }) =>
  run(() =>
    db.database.trainingJob.findFirst({
      where: { id },
      include: { losses: { orderBy: { step: 'asc' } }, model: true },
    }),
  );
type Seen = NonNullable<Awaited<ReturnType<typeof read>>>;

async function until(tenant: TestTenant, job: { id: string }, seen: (job: Seen) => boolean): Promise<Seen> {
  for (;;) {
    const found = await read(tenant, job);
    if (found && seen(found)) return found;
    if (found && hasEnded(found)) throw new Error(`It ended before: ${found.status} ${found.reason}`);
    await delay(30);
  }
}
const untilEnded = (tenant: TestTenant, job: { id: string }) => until(tenant, job, hasEnded);

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

/** The folder of the tenant is empty, and no process is left: what a job leaves is its row. */
async function expectNothingLeft({ id }: TestTenant): Promise<void> {
  for (const deadline = Date.now() + 10_000; Date.now() < deadline; await delay(30)) {
    if ((await readdir(join(directory, id)).catch(() => [])).length === 0) break;
  }
  expect(await readdir(join(directory, id)).catch(() => [])).toEqual([]);
  expect(children.filter(({ pid }) => isAlive(pid))).toEqual([]);
}

/** So that what was learned already is new again, and weights that no step has bettered are no other version's. */
async function forgetCandidates({ id }: TestTenant): Promise<void> {
  await owner.query('UPDATE training_jobs SET model_id = NULL WHERE tenant_id = $1', [id]);
  await owner.query('DELETE FROM models WHERE tenant_id = $1 AND version > 0', [id]);
}

/** Everybody likes one image more, which they had not judged. */
async function judgeMore({ id: tenantId, run }: TestTenant): Promise<void> {
  await run(async () => {
    const people = await db.database.user.findMany({ include: { feedback: { select: { imageId: true } } } });
    const images = await db.database.image.findMany({ select: { id: true } });
    const data = people.map(({ id: userId, feedback }) => ({
      ...{ tenantId, userId, id: newId(), sentiment: 'LIKE' as const, weight: 1, judgedAt: new Date() },
      imageId: images.find(({ id }) => !feedback.some(({ imageId }) => imageId === id))!.id,
    }));
    await db.database.feedback.createMany({ data });
  });
}

const cancel = (tenant: TestTenant, { id }: { id: string }) =>
  tenant.run(() => cancelTraining(platform, callerOf(tenant), toGlobalId('TrainingJob', id)));

describe('a training', () => {
  let tenant: TestTenant;
  let whole: Seen;

  it('comes to a candidate that was evaluated beside the model it went on from', async () => {
    tenant = await tenantToTrain(db.database, base);
    whole = await untilEnded(tenant, await ask(tenant, { seed: 5 }));
    expect(whole).toMatchObject({
      status: 'SUCCEEDED',
      progress: 1,
      stage: 'done',
      reason: null,
      attempt: 1,
      deaths: 0,
    });
    const model = whole.model!;
    const active = await tenant.run(() => db.database.model.findFirstOrThrow({ where: { status: 'ACTIVE' } }));
    expect(model).toMatchObject({ version: 1, status: 'CANDIDATE', parentId: active.id, seed: 5 });
    expect(model.datasetSha256).toBe(whole.datasetSha256);
    expect(evaluationOf(model)).toMatchObject({ users: 12, against: { modelId: active.id } });
    expect(whole.losses.map(({ step }) => step)).toEqual(Array.from({ length: 60 }, (_, i) => i + 1));
    // The steps moved what is kept: the prior alone would leave the tokens as they were.
    const { manifest, parameters } = await tenant.run(() => loadWeights(platform, model.sha256));
    const { start, end } = parameterLayout(manifest.architecture).range('tokens');
    expect(parameters.subarray(start, end)).not.toEqual(PARENT_TO_TRAIN.parameters.subarray(start, end));
    const measured = whole.losses.filter(({ validationAccuracy }) => validationAccuracy !== null);
    expect(measured.map(({ step }) => step)).toEqual([50, 60]);
    await tenant.run(async () => {
      // All but those who are only measured on.
      expect(await db.database.trainingPerson.count({ where: { modelId: model.id } })).toBe(68);
    });
    await expectNothingLeft(tenant);
  });

  it('is declined where nothing is new, without a process', async () => {
    const same = await untilEnded(tenant, await ask(tenant, { seed: 5 }));
    expect(same.status).toBe('DECLINED');
    expect(same.reason).toMatch(/nothing new: version 1, a candidate, has learned from the same feedback/);
    const chosen = await untilEnded(tenant, await ask(tenant));
    expect(chosen.status).toBe('DECLINED');
    expect(children).toEqual([]);
    await expectNothingLeft(tenant);
  });

  it('is one worker’s of two, and the other’s where the queue takes the first for dead', async () => {
    await forgetCandidates(tenant);
    const queue = await openQueue(db.url, () => {});
    const other = await startWorker(queue);
    const job = await tenant.run(() =>
      db.database.$transaction(async (rows) => {
        const asked = await requestTraining(rows, platform, { requestedBy: 'a test', seed: 5 });
        // Of a former version of Palate: what the queue carries, and a checkpoint.
        await rows.$executeRaw`UPDATE pgboss.job SET data = data - 'jobId' WHERE singleton_key = ${tenant.id}`;
        await mkdir(join(directory, tenant.id, asked.id), { recursive: true });
        await writeFile(join(directory, tenant.id, asked.id, 'checkpoint.0'), '{"format":"palate-checkpoint-1"}\n');
        return asked;
      }),
    );
    await until(tenant, job, ({ losses }) => losses.length > 0);
    expect(children).toHaveLength(1);
    await tenant.run(
      () => db.database.$executeRaw`
        UPDATE pgboss.job SET state = 'retry', start_after = now() WHERE singleton_key = ${tenant.id} AND state = 'active'`,
    );
    const ended = await untilEnded(tenant, job);
    await other.stop();
    await queue.stop(1);
    expect(ended).toMatchObject({ status: 'SUCCEEDED', attempt: 2, deaths: 1 });
    expect(ended.model!.sha256).toBe(whole.model!.sha256);
    expect(children).toHaveLength(2);
    expect(await tenant.run(() => db.database.model.count({ where: { status: 'CANDIDATE' } }))).toBe(1);
    await expectNothingLeft(tenant);
  });

  it('goes on to the same bytes, where its worker stops, its process is killed and its files cannot be reached, whatever is judged meanwhile', async () => {
    await forgetCandidates(tenant);
    const job = await ask(tenant, { seed: 5 });
    await until(tenant, job, ({ losses }) => losses.length > 50);
    await trainings.stop();
    expect(await read(tenant, job)).toMatchObject({ status: 'QUEUED', stage: 'waiting', deaths: 0 });
    expect(children.filter(({ pid }) => isAlive(pid))).toEqual([]);
    // As if it had been killed before it wrote these down.
    await tenant.run(() => db.database.trainingLoss.deleteMany({ where: { jobId: job.id, step: { gt: 40 } } }));
    await judgeMore(tenant);
    await work();
    await until(tenant, job, ({ stage }) => stage === 'evaluating');
    process.kill(children[1]!.pid, 'SIGKILL');
    let puts = 0;
    const { weights } = platform;
    const put = weights.put.bind(weights);
    weights.put = async (...args) => {
      if (puts++ === 0) throw new StoreUnreachable('for a moment');
      await put(...args);
    };
    const again = await untilEnded(tenant, job);
    expect(again).toMatchObject({ status: 'SUCCEEDED', deaths: 1, attempt: 2 });
    expect(children).toHaveLength(3);
    weights.put = put;
    expect(puts).toBe(2);
    expect(again.model!.sha256).toBe(whole.model!.sha256);
    expect(again.datasetSha256).toBe(whole.datasetSha256);
    const curve = ({ losses }: Seen) => losses.map(({ jobId: _, ...loss }) => loss);
    expect(curve(again)).toEqual(curve(whole));
    await expectNothingLeft(tenant);
  });

  it('is given up, with why, where its process dies for the third time', async () => {
    const job = await ask(tenant, { seed: 6 });
    for (let death = 1; death <= 3; death++) {
      while (children.length < death) await delay(10);
      process.kill(children[death - 1]!.pid, 'SIGKILL');
    }
    const { status, reason } = await untilEnded(tenant, job);
    expect(status).toBe('FAILED');
    expect(reason).toBe(
      'The process that trained was lost 3 times; at the last, ended by SIGKILL. It is not tried again.',
    );
    await expectNothingLeft(tenant);
  });

  it('is cancelled while it trains, and while it is evaluated', async () => {
    await forgetCandidates(tenant);
    for (const stage of ['training', 'evaluating']) {
      const job = await ask(tenant, { seed: 7 });
      await until(tenant, job, (seen) => seen.stage === stage);
      expect((await cancel(tenant, job)).userErrors).toEqual([]);
      expect(await untilEnded(tenant, job)).toMatchObject({ status: 'CANCELLED', stage: 'cancelled', modelId: null });
      await expectNothingLeft(tenant);
    }
  });

  it('is cancelled while it reads the feedback, before there is a process', async () => {
    await owner.query('BEGIN');
    await owner.query('LOCK TABLE item_vectors'); // the reading waits
    const job = await ask(tenant, { seed: 7 });
    const rowVersion = async () =>
      (await owner.query<{ xmin: string }>('SELECT xmin::text FROM training_jobs WHERE id = $1', [job.id])).rows[0]!
        .xmin;
    await until(tenant, job, ({ stage }) => stage === 'reading the feedback');
    await cancel(tenant, job);
    const written = await rowVersion();
    while ((await rowVersion()) === written) await delay(30); // until the worker has seen it
    await owner.query('ROLLBACK');
    expect(await untilEnded(tenant, job)).toMatchObject({ status: 'CANCELLED', modelId: null });
    expect(children).toEqual([]);
    await expectNothingLeft(tenant);
  });

  it('is cancelled as its candidate is added, of which nothing stays', async () => {
    await forgetCandidates(tenant);
    const files = async () => {
      const names: string[] = [];
      for await (const name of platform.weights.list(tenant.id)) names.push(name);
      return names;
    };
    const before = await files();
    let release = () => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    const held = tenant.run(() =>
      db.database.$transaction(
        async (rows) => {
          await lockVersions(rows); // the adding waits
          await released;
        },
        { timeout: 60_000 },
      ),
    );
    const job = await ask(tenant, { seed: 7 });
    await until(tenant, job, ({ stage }) => stage === 'adding the candidate');
    await cancel(tenant, job);
    release();
    await held;
    expect(await untilEnded(tenant, job)).toMatchObject({ status: 'CANCELLED', modelId: null });
    expect(await tenant.run(() => db.database.model.count({ where: { status: 'CANDIDATE' } }))).toBe(0);
    expect(await files()).toEqual(before);
    await expectNothingLeft(tenant);
  });

  it('says so where the disk is full', async () => {
    const job = await tenant.run(() =>
      db.database.$transaction(async (rows) => {
        const asked = await requestTraining(rows, platform, { requestedBy: 'a test', seed: 9 });
        const folder = join(directory, tenant.id, asked.id);
        await mkdir(folder, { recursive: true });
        // A device that is always full, where the checkpoint is to be written.
        await symlink('/dev/full', join(folder, `checkpoint.1.partial`));
        return asked;
      }),
    );
    expect(await untilEnded(tenant, job)).toMatchObject({ status: 'FAILED', reason: expect.stringMatching(/ENOSPC/) });
    await expectNothingLeft(tenant);
  });

  it('learns from nobody who is erased while it runs, were it half of all: it begins anew', async () => {
    await forgetCandidates(tenant);
    const people = await tenant.run(() => db.database.user.findMany({ orderBy: { id: 'asc' }, select: { id: true } }));
    const erased = people.map(({ id }) => id).filter((_, place) => place % 2 === 0); // half of each part
    const job = await ask(tenant, { seed: 10 });
    const seen = await until(tenant, job, ({ losses }) => losses.length > 0);
    for (const id of erased) {
      await tenant.run(() => deleteUser(platform, callerOf(tenant), toGlobalId('User', id)));
    }
    const ended = await untilEnded(tenant, job);
    expect(ended.status).toBe('SUCCEEDED');
    expect(ended.datasetSha256).not.toBe(seen.datasetSha256);
    expect(children).toHaveLength(2);
    await tenant.run(async () => {
      const learned = await db.database.trainingPerson.findMany({ where: { modelId: ended.modelId! } });
      expect(learned).toHaveLength(34);
      expect(learned.filter(({ userId }) => erased.includes(userId))).toEqual([]);
    });
    await expectNothingLeft(tenant);
  });

  it('ends with its tenant', async () => {
    const job = await ask(tenant, { seed: 11 });
    await until(tenant, job, ({ stage }) => stage === 'training');
    const { name } = await tenant.run(() => db.database.tenant.findFirstOrThrow());
    await deleteTenant(platform, callerOf(tenant), toGlobalId('Tenant', tenant.id), name);
    expect(await read(tenant, job)).toBeNull();
    await expectNothingLeft(tenant);
  });
});

it('is declined where there is too little feedback, in the words of the training', async () => {
  const tenant = await newTenant(db.database, base);
  const { status, reason, modelId } = await untilEnded(tenant, await ask(tenant));
  expect({ status, modelId }).toEqual({ status: 'DECLINED', modelId: null });
  expect(reason).toMatch(/too little feedback to learn from: training needs 500 likes and dislikes/);
  await expectNothingLeft(tenant);
});

it('sweeps what trainings that have ended elsewhere have left, and nothing else', async () => {
  const tenant = await newTenant(db.database, base);
  await trainings.stop();
  const job = await ask(tenant);
  const left = [
    join(
      directory,
      tenant.id,
      job.id.replace(/.$/, (digit) => (digit === '0' ? '1' : '0')),
    ),
  ];
  const kept = [join(directory, tenant.id, job.id), join(directory, 'of somebody else')];
  for (const folder of [...left, ...kept]) await mkdir(folder, { recursive: true });
  await work();
  expect(left.map((folder) => existsSync(folder))).toEqual([false]);
  expect(existsSync(kept[1]!)).toBe(true);
  await untilEnded(tenant, job);
});
