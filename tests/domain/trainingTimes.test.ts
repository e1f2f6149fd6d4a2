/** Trainings that nobody asks for by hand: at the times of a schedule, and after so many new judgements, once. */
import { newId } from '../../src/domain/ids.ts';
import { requestTraining } from '../../src/domain/trainingJobs.ts';
import { selfTrainingTenants, toTrainingTimes, trainIfDue } from '../../src/domain/trainingTimes.ts';
import { askForDue } from '../../src/workers/trainingClock.ts';
import { newTenant, type TestDatabase, testDatabase } from '../support/database.ts';

type Tenant = Awaited<ReturnType<typeof newTenant>>;

let test: TestDatabase;
let tenant: Tenant;
beforeAll(async () => {
  test = await testDatabase();
});
afterAll(() => test.close());
beforeEach(async () => {
  test.time = new Date('2026-01-01T12:00:00.000Z'); // a Thursday
  tenant = await newTenant(test.database);
});

const set = (change: Parameters<typeof toTrainingTimes>[0]) =>
  tenant.run(() =>
    test.database.tenant.updateMany({ where: { id: tenant.id }, data: toTrainingTimes(change, test.time) }),
  );
const at = (time: string) => {
  test.time = new Date(`2026-01-${time}:00.000Z`);
};
const due = () => trainIfDue(test, tenant.id);
const askers = () =>
  tenant.run(async () => {
    const jobs = await test.database.trainingJob.findMany({ orderBy: { id: 'asc' } });
    return jobs.map(({ requestedBy }) => requestedBy);
  });
const end = () => tenant.run(() => test.database.trainingJob.updateMany({ data: { status: 'DECLINED' } }));

async function judge(count: number): Promise<void> {
  const { id: tenantId } = tenant;
  await tenant.run(async () => {
    const image = {
      id: newId(),
      tenantId,
      sha256: newId().padEnd(64, '0'),
      format: 'png',
      byteLength: 1,
      width: 1,
      height: 1,
    };
    await test.database.image.create({ data: image });
    const users = Array.from({ length: count }, newId);
    await test.database.user.createMany({ data: users.map((id) => ({ tenantId, id, externalId: id })) });
    await test.database.feedback.createMany({
      data: users.map((userId) => ({
        ...{ tenantId, userId, id: newId(), imageId: image.id, sentiment: 'LIKE' as const, weight: 1 },
        judgedAt: test.time,
      })),
    });
  });
}

describe('a schedule', () => {
  beforeEach(() => set({ trainingSchedule: '0 3 * * *' }));

  it('asks once for each of its times, none before the first', async () => {
    expect(await due()).toBe(false);
    at('02T02:59');
    expect(await due()).toBe(false);
    at('02T03:00');
    expect(await due()).toBe(true);
    await end();
    at('02T03:01');
    expect(await due()).toBe(false);
    at('03T03:02');
    expect(await due()).toBe(true);
    expect(await askers()).toEqual(['schedule', 'schedule']);
  });

  it('makes up for one of the times at which nobody worked, and asks once for two who come together', async () => {
    at('09T17:00');
    expect((await Promise.all([due(), due()])).sort()).toEqual([false, true]);
    await end();
    expect(await due()).toBe(false);
    expect(await askers()).toEqual(['schedule']);
  });

  it('lets a time pass while a training waits or runs', async () => {
    await tenant.run(() => test.database.$transaction((rows) => requestTraining(rows, test, { requestedBy: 'a key' })));
    at('02T03:00');
    expect(await due()).toBe(false);
    await end();
    expect(await due()).toBe(false);
    expect(await askers()).toEqual(['a key']);
  });

  it('is no more where it was taken away, or the tenant suspended', async () => {
    await tenant.run(() => test.database.tenant.updateMany({ data: { suspendedAt: test.time } }));
    at('02T03:00');
    expect(await due()).toBe(false);
    expect(await selfTrainingTenants(test)).not.toContain(tenant.id);
    await tenant.run(() => test.database.tenant.updateMany({ data: { suspendedAt: null } }));
    expect(await selfTrainingTenants(test)).toContain(tenant.id);
    await set({ trainingSchedule: null });
    expect(await due()).toBe(false);
    expect(await selfTrainingTenants(test)).not.toContain(tenant.id);
  });
});

describe('so many new judgements', () => {
  beforeEach(() => set({ trainAfterJudgements: 100 }));

  it('ask for a training, and are counted from the last one on, whatever it came to', async () => {
    await judge(99);
    expect(await due()).toBe(false);
    await judge(1);
    expect(await due()).toBe(true);
    expect(await due()).toBe(false); // it waits
    await end();
    expect(await due()).toBe(false);
    await judge(1_234);
    expect(await due()).toBe(true);
    expect(await askers()).toEqual(['100 new judgements', '1,234 new judgements']);
  });
});

it('is looked at by one process at a time, tenant by tenant, whatever goes wrong with one', async () => {
  await set({ trainingSchedule: '0 3 * * *' });
  const spoilt = await newTenant(test.database);
  await spoilt.run(() =>
    test.database.tenant.updateMany({ data: { trainingSchedule: 'none', trainingDueAt: test.time } }),
  );
  at('02T03:00');
  const faults: string[] = [];
  const round = () => askForDue(test, test.url, (tenantId) => () => void faults.push(tenantId));
  const rounds = await Promise.all([round(), round()]);
  expect(rounds).toContain(true);
  expect(new Set(faults)).toEqual(new Set([spoilt.id]));
  expect(await askers()).toEqual(['schedule']);
});
