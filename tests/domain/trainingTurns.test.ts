/** Who trains when: tenants take turns, one training a tenant at a time, and one worker a training. */
import { NO_TENANT, withTenant } from '../../src/database/client.ts';
import { newId } from '../../src/domain/ids.ts';
import { changeJob, requeueTrainings } from '../../src/domain/trainingChanges.ts';
import { MAX_WAITING, requestTraining } from '../../src/domain/trainingJobs.ts';
import {
  assertThere,
  CancelAsked,
  ClaimLost,
  claimTraining,
  endTraining,
  giveBack,
  LearnedFromErased,
  reportTraining,
  seeTraining,
} from '../../src/domain/trainingRuns.ts';
import { openQueue, type Queue } from '../../src/queue/queue.ts';
import { newTenant, type TestDatabase, testDatabase } from '../support/database.ts';

type Tenant = Awaited<ReturnType<typeof newTenant>>;

let test: TestDatabase;
let other: Queue;
beforeAll(async () => {
  test = await testDatabase();
  other = await openQueue(test.url, () => {});
});
afterAll(async () => {
  await other.stop(1);
  await test.close();
});

const ask = ({ run }: Tenant) =>
  run(() => test.database.$transaction((rows) => requestTraining(rows, test, { requestedBy: 'a test' })));
const waiting = ({ id }: Tenant) =>
  test.database.$queryRaw<object[]>`
    SELECT name FROM pgboss.job WHERE data ->> 'tenantId' = ${id} AND state < 'active'`;
const DECLINED = { status: 'DECLINED', reason: 'nothing to learn' } as const;

describe('a claim', () => {
  let tenant: Tenant;
  beforeEach(async () => {
    tenant = await newTenant(test.database);
    await ask(tenant);
  });
  const row = () => tenant.run(() => test.database.trainingJob.findFirstOrThrow());
  const losses = [{ step: 1, base: 1, contrastive: 1, total: 2, validationAccuracy: null }];

  it('ends as cancelled where that was asked for just before it ended otherwise', async () => {
    await tenant.run(async () => {
      const job = (await claimTraining(test))!;
      await test.database.trainingJob.updateMany({ where: { id: job.id }, data: { cancelRequestedAt: new Date() } });
      await endTraining(test, job, DECLINED);
    });
    expect(await row()).toMatchObject({ status: 'CANCELLED', stage: 'cancelled', reason: null });
  });

  it('is lost to whoever takes the job up after it, and changes nothing more', async () => {
    await tenant.run(async () => {
      const one = (await claimTraining(test))!;
      const two = (await claimTraining(test))!;
      expect(two).toMatchObject({ id: one.id, attempt: 2, deaths: 1 });
      const before = await row();
      const report = { stage: 'training', progress: 0.5, losses };
      await expect(reportTraining(test, one, report)).rejects.toThrow(ClaimLost);
      await expect(seeTraining(test, one)).rejects.toThrow(ClaimLost);
      await expect(endTraining(test, one, DECLINED)).rejects.toThrow(ClaimLost);
      await expect(giveBack(test, one)).rejects.toThrow(ClaimLost);
      expect(await row()).toEqual(before);
      expect(await test.database.trainingLoss.count()).toBe(0);
      await reportTraining(test, two, report);
      await reportTraining(test, two, report); // the same steps again, as after a checkpoint
      expect(await row()).toMatchObject({ status: 'RUNNING', stage: 'training', progress: 0.5 });
      expect(await test.database.trainingLoss.count()).toBe(1);
    });
  });

  it('of two that come at once is one after the other, and only the later stands', async () => {
    await tenant.run(async () => {
      const claims = await Promise.all([claimTraining(test), claimTraining(test)]);
      expect(claims.map((job) => job?.attempt).sort()).toEqual([1, 2]);
      expect(await row()).toMatchObject({ status: 'RUNNING', attempt: 2 });
    });
  });

  it('is given up with why, when its worker has died for the third time', async () => {
    await tenant.run(async () => {
      for (let death = 0; death < 3; death++) expect(await claimTraining(test)).toMatchObject({ deaths: death });
      expect(await claimTraining(test)).toBeNull();
      expect(await row()).toMatchObject({ status: 'FAILED', deaths: 3, finishedAt: expect.any(Date) });
      expect((await row()).reason).toMatch(/was lost 3 times; .* not tried again/);
    });
  });

  it('that is given back is no death, and is taken up again before what came later', async () => {
    const later = await ask(tenant);
    await tenant.run(async () => {
      for (let time = 0; time < 4; time++) await giveBack(test, (await claimTraining(test))!);
      const job = (await claimTraining(test))!;
      expect(job).toMatchObject({ attempt: 5, deaths: 0 });
      expect(job.id < later.id).toBe(true);
    });
  });

  it('finds out that it is to end, whatever it does next', async () => {
    await tenant.run(async () => {
      const job = (await claimTraining(test))!;
      const cancelRequestedAt = test.time;
      await test.database.$transaction((rows) => changeJob(rows, { id: job.id }, { cancelRequestedAt }));
      await expect(seeTraining(test, job)).rejects.toThrow(CancelAsked);
      await expect(reportTraining(test, job, { stage: 'x', progress: 0, losses })).rejects.toThrow(CancelAsked);
      expect(await claimTraining(test)).toBeNull(); // its worker has died: it ends here
      expect(await row()).toMatchObject({ status: 'CANCELLED', stage: 'cancelled' });
    });
  });

  it('raises the revision and tells of every change', async () => {
    const revisions = [(await row()).revision];
    await tenant.run(async () => {
      const job = (await claimTraining(test))!;
      revisions.push((await row()).revision);
      await seeTraining(test, job);
      revisions.push((await row()).revision);
      await endTraining(test, job, DECLINED);
      revisions.push((await row()).revision);
    });
    expect(revisions).toEqual([0, 1, 1, 2]);
  });
});

it('has one place in the queue for a tenant, however many wait, and takes a lost one anew', async () => {
  const tenant = await newTenant(test.database);
  for (let i = 0; i < 3; i++) await ask(tenant);
  expect(await tenant.run(() => waiting(tenant))).toEqual([{ name: 'train' }]);
  await tenant.run(async () => {
    await test.database.$executeRaw`DELETE FROM pgboss.job`;
    await requeueTrainings(test.database, test.queue);
    await requeueTrainings(test.database, test.queue);
    expect(await waiting(tenant)).toEqual([{ name: 'train' }]);
  });
});

it('lets twenty wait and no more', async () => {
  const tenant = await newTenant(test.database);
  for (let i = 0; i < MAX_WAITING; i++) await ask(tenant);
  await expect(ask(tenant)).rejects.toThrow(/^20 trainings wait/);
});

it('finds who was erased among those who were learned from', async () => {
  const { run, id: tenantId } = await newTenant(test.database);
  await run(async () => {
    const ids = Array.from({ length: 3 }, newId);
    await test.database.user.createMany({ data: ids.map((id) => ({ tenantId, id, externalId: id })) });
    const people = async function* () {
      yield ids.slice(0, 2);
      yield ids.slice(2);
    };
    await assertThere(test.database, people());
    await test.database.user.deleteMany({ where: { id: ids[2]! } });
    await expect(assertThere(test.database, people())).rejects.toThrow(LearnedFromErased);
  });
});

// The last: from here on both queues have workers.
it('gives every tenant a turn before anybody has a second one, on fewer workers than tenants', async () => {
  await withTenant(NO_TENANT, () => test.database.$executeRaw`DELETE FROM pgboss.job`);
  const tenants = await Promise.all(Array.from({ length: 5 }, () => newTenant(test.database)));
  const [greedy] = tenants as [Tenant];
  for (let i = 0; i < 4; i++) await ask(greedy);
  for (const tenant of tenants.slice(1)) await ask(tenant);

  const order: string[] = [];
  let running = 0;
  let most = 0;
  const busy = new Set<string>();
  let done: () => void;
  const all = new Promise<void>((resolve) => {
    done = resolve;
  });
  const work = async (tenantId: string) => {
    const job = await claimTraining(test);
    if (!job) return;
    expect(busy.has(tenantId)).toBe(false);
    busy.add(tenantId);
    order.push(tenantId);
    most = Math.max(most, ++running);
    await new Promise((resolve) => setTimeout(resolve, 100));
    running--;
    busy.delete(tenantId);
    await endTraining(test, job, DECLINED);
    if (order.length === 8) done();
  };
  for (const queue of [test.queue, other]) await queue.work('train', {}, (_, tenantId) => work(tenantId));
  await all;
  // Two that look at once may pass over a place that the other has just locked: nobody waits for more than one such turn.
  for (const { id } of tenants) expect(order.indexOf(id)).toBeLessThanOrEqual(5);
  expect(order.slice(6)).toEqual([greedy.id, greedy.id]);
  expect(most).toBe(2);
}, 60_000);
