/** Maintenance with the clock moved: what time makes superfluous goes, for every tenant, by one process at a time. */
import { utimes } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { NO_TENANT } from '../../src/database/client.ts';
import { newId } from '../../src/domain/ids.ts';
import { maintain, startMaintenance } from '../../src/workers/maintain.ts';
import { prepareModel } from '../../src/workers/prepare.ts';
import { type TestService, type TestTenant, testService } from '../http/service.ts';
import { newCandidate } from '../support/candidates.ts';
import { TEST_MODEL } from '../support/database.ts';

let service: TestService;
let owner: pg.Client;

beforeAll(async () => {
  service = await testService();
  owner = new pg.Client({ connectionString: service.test.ownerUrl });
  await owner.connect();
});
afterAll(async () => {
  await owner.end();
  await service.close();
});
beforeEach(() => {
  service.test.time = START;
});

const START = new Date('2026-01-01T12:00:00.000Z');
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const after = (ms: number) => new Date(START.getTime() + ms);
const onError = () => (error: unknown) => {
  throw error;
};
const round = () => maintain(service.platform, service.test.url, onError);

async function filled(): Promise<TestTenant> {
  const tenant = await service.tenant();
  const [ada] = (await tenant.people('ada')) as [string];
  const image = await tenant.upload('#ff0000');
  await tenant.encode();
  await tenant.ask(
    `mutation ($user: ID!, $image: ID!) {
      submitFeedback(input: { items: [{ user: { id: $user }, image: { id: $image }, sentiment: LIKE }], idempotencyKey: "once" }) { userErrors { code } }
    }`,
    { user: ada, image },
  );
  await tenant.ask('{ users(first: 1) { nodes { recommendations(first: 1) { nodes { value } } } } }');
  await tenant.ask('mutation { createApiKey(input: { name: "k", role: SERVICE }) { secret } }', {}, tenant.adminKey);
  const { database } = service.platform;
  await tenant.run(() =>
    database.pointLease.createMany({
      data: [{ tenantId: tenant.id, subject: newId(), windowStart: START, leased: 5, granted: 5 }],
    }),
  );
  return tenant;
}

function counts({ run }: TestTenant) {
  const { database } = service.platform;
  return run(async () => ({
    addresses: await database.auditAddress.count(),
    answers: await database.idempotencyKey.count(),
    lists: await database.recommendationList.count(),
    leases: await database.pointLease.count({ where: { windowStart: START } }),
  }));
}

it('drops each of them of every tenant when its time has come, and not before', async () => {
  const tenants = [await filled(), await filled()];
  const full = { addresses: 1, answers: 1, lists: 1, leases: expect.any(Number) };
  const expectAll = async (expected: object) => {
    for (const tenant of tenants) expect(await counts(tenant)).toEqual(expected);
  };
  expect(await round()).toBe(true);
  await expectAll(full);
  service.test.time = after(HOUR + 1);
  await round();
  await expectAll({ ...full, lists: 0, leases: 0 });
  service.test.time = after(DAY + 1);
  await round();
  await expectAll({ addresses: 1, answers: 0, lists: 0, leases: 0 });
  service.test.time = after(30 * DAY + 1);
  await round();
  await expectAll({ addresses: 0, answers: 0, lists: 0, leases: 0 });
  const events = await tenants[0]!.run(() => service.platform.database.auditEvent.count());
  expect(events).toBe(1); // what was done stays
});

it('thins the curves of trainings that have ended, and forgets those that made no version', async () => {
  const tenant = await service.tenant();
  const { database } = service.platform;
  const job = (status: 'FAILED' | 'SUCCEEDED' | 'DECLINED', modelId: string | null) => ({
    ...{ tenantId: tenant.id, id: newId(), stage: 'over', requestedBy: 'a test', seed: 1, promoteIfBetter: false },
    ...{ status, modelId, finishedAt: START },
  });
  const points = (jobId: string) =>
    Array.from({ length: 300 }, (_, i) => ({
      ...{ tenantId: tenant.id, jobId, step: i + 1, base: 1, contrastive: 1, total: 2 },
      validationAccuracy: (i + 1) % 50 === 0 ? 0.5 : null,
    }));
  const [failed, succeeded, newest] = await tenant.run(async () => {
    const { id: modelId } = await database.model.findFirstOrThrow();
    const jobs = [job('FAILED', null), job('SUCCEEDED', modelId), job('DECLINED', null)] as const;
    await database.trainingJob.createMany({ data: [...jobs] });
    await database.trainingLoss.createMany({ data: jobs.slice(0, 2).flatMap(({ id }) => points(id)) });
    return jobs.map(({ id }) => id) as [string, string, string];
  });
  const curves = () =>
    tenant.run(async () => {
      const rows = await database.trainingLoss.groupBy({ by: 'jobId', _count: true, _max: { step: true } });
      return Object.fromEntries(rows.map(({ jobId, _count, _max }) => [jobId, [_count, _max.step]]));
    });
  const jobs = async () => (await tenant.run(() => database.trainingJob.findMany())).map(({ id }) => id).sort();
  service.test.time = after(DAY - 1);
  await round();
  expect(await curves()).toEqual({ [failed]: [300, 300], [succeeded]: [300, 300] });
  service.test.time = after(DAY);
  await round();
  expect(await curves()).toEqual({ [failed]: [200, 300], [succeeded]: [200, 300] });
  service.test.time = after(90 * DAY - 1);
  await round();
  expect(await jobs()).toEqual([failed, succeeded, newest].sort());
  service.test.time = after(90 * DAY);
  await round();
  expect(await jobs()).toEqual([succeeded, newest].sort());
  expect(await curves()).toEqual({ [succeeded]: [200, 300] });
});

it('finds within a day the files that no row needs, and leaves those that may be of a running upload', async () => {
  const tenant = await service.tenant();
  await tenant.upload('#00ff00');
  const { pictures, database } = service.platform;
  const inHour = (hour: number) => new Date(`2026-01-01T${hour}:30:00.000Z`);
  // Folder 0a is the tenth: its turn is at ten. There, one file of two hours before and one of half an hour before.
  const [old, young] = [`0a${'0'.repeat(62)}`, `0a${'1'.repeat(62)}`];
  for (const [sha256, time] of [
    [old, new Date(inHour(10).getTime() - 2 * HOUR)],
    [young, new Date(inHour(10).getTime() - HOUR / 2)],
  ] as const) {
    await pictures.put(tenant.id, sha256, Buffer.from('left by a process that died'));
    await utimes(join(service.pictureFolder, tenant.id, '0a', sha256), time, time);
  }
  const named = async () => (await tenant.run(() => database.fileToErase.findMany())).map(({ sha256 }) => sha256);
  service.test.time = inHour(11);
  await round();
  expect(await named()).toEqual([]);
  service.test.time = inHour(10);
  await round();
  expect(await named()).toEqual([old]);
  const jobs = await owner.query(`SELECT FROM pgboss.job WHERE name = 'erase' AND singleton_key = $1`, [tenant.id]);
  expect(jobs.rowCount).toBe(1);
});

it('sends a job again for files that are still named', async () => {
  const tenant = await service.tenant();
  const { database } = service.platform;
  await tenant.run(() => database.fileToErase.create({ data: { tenantId: tenant.id, sha256: 'c'.repeat(64) } }));
  await round();
  const jobs = await owner.query(`SELECT FROM pgboss.job WHERE name = 'erase' AND singleton_key = $1`, [tenant.id]);
  expect(jobs.rowCount).toBe(1);
});

it('takes out finished jobs of tenants that are no more, and no others', async () => {
  const tenant = await service.tenant();
  const gone = newId();
  await owner.query(
    `INSERT INTO pgboss.job (name, state, singleton_key, data)
     VALUES ('encode', 'completed', $1, '{}'), ('encode', 'created', $1, '{}'), ('encode', 'completed', $2, '{}')`,
    [gone, tenant.id],
  );
  await round();
  const { rows } = await owner.query(
    'SELECT state::text, singleton_key AS key FROM pgboss.job WHERE singleton_key IN ($1, $2) ORDER BY state',
    [gone, tenant.id],
  );
  expect(rows).toEqual([
    { state: 'completed', key: tenant.id },
    { state: 'created', key: gone },
  ]);
});

it('is left to the process that is at it', async () => {
  await owner.query('SELECT pg_advisory_lock($1)', [0x6d61696e]);
  expect(await round()).toBe(false);
  await owner.query('SELECT pg_advisory_unlock($1)', [0x6d61696e]);
  expect(await round()).toBe(true);
});

it('begins at once, and has ended when it has stopped; what fails of one tenant is logged and keeps no other from it', async () => {
  const [broken, tenant] = [await filled(), await filled()];
  await owner.query(`
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'refused'; END $$;
    CREATE TRIGGER refuse BEFORE DELETE ON recommendation_lists FOR EACH ROW
      WHEN (OLD.tenant_id = '${broken.id}') EXECUTE FUNCTION refuse();`);
  service.test.time = after(2 * HOUR);
  const logged: unknown[] = [];
  const maintenance = startMaintenance(service.platform, service.test.url, {
    error: (details) => void logged.push(details),
  });
  while ((await counts(tenant)).lists > 0 || logged.length === 0) await new Promise((done) => setTimeout(done, 20));
  await maintenance.stop();
  expect(logged).toEqual([{ err: expect.any(Error), tenant: broken.id }]);
  await owner.query('DROP TRIGGER refuse ON recommendation_lists; DROP FUNCTION refuse');
});

describe('of model versions', () => {
  const candidate = (tenant: TestTenant, ...args: [seed: string, options?: { tower: boolean }]) =>
    tenant.run(() => newCandidate(service.platform, ...args));
  const fileOf = (tenantId: string, name: string) => join(service.modelFolder, tenantId, name.slice(0, 2), name);
  /** The hour of the second day at which the folder of this name has its turn. */
  const turnOf = (name: string) => new Date(Date.UTC(2026, 0, 2, Number.parseInt(name.slice(0, 2), 16) % 24, 30));

  it('erases files that no row names after a day, and those of tenants that are no more', async () => {
    const tenant = await service.tenant();
    const { weights } = service.platform;
    const { sha256: kept } = await candidate(tenant, 'kept');
    const [old, young] = ['0'.repeat(64), `00${'1'.repeat(62)}`];
    const gone = newId();
    await weights.put(tenant.id, young, Buffer.from('of a training that is about to write its row'));
    for (const id of [tenant.id, NO_TENANT, gone]) await weights.put(id, old, Buffer.from('of no row'));
    for (const [id, name, hours] of [
      [tenant.id, young, 23],
      [tenant.id, old, 25],
      [tenant.id, kept, 25],
      [NO_TENANT, old, 25],
    ] as const) {
      const written = new Date(turnOf(name).getTime() - hours * HOUR);
      await utimes(fileOf(id, name), written, written);
    }
    for (const name of [old, kept]) {
      service.test.time = turnOf(name);
      await round();
    }
    const names: string[] = [];
    for await (const name of weights.list(tenant.id)) names.push(name);
    expect(names.sort()).toEqual([kept, young].sort());
    expect((await weights.list(NO_TENANT).next()).value).toBe(old); // the installation's own stay
    expect(await weights.tenants()).not.toContain(gone);
  });

  it('offers the base model that ships to tenants that were there before the process, once', async () => {
    const [before, after] = [await service.tenant(), await service.tenant()];
    const platform = { ...service.platform, baseModel: { ...TEST_MODEL }, startedAt: new Date() };
    await owner.query("UPDATE tenants SET created_at = now() + interval '1 minute' WHERE tenant_id = $1", [after.id]);
    for (let i = 0; i < 2; i++) await maintain(platform, service.test.url, onError);
    const versions = ({ run }: TestTenant) =>
      run(async () =>
        (await service.platform.database.model.findMany({ orderBy: { version: 'asc' } })).map((row) => row.status),
      );
    expect(await versions(before)).toEqual(['ACTIVE', 'CANDIDATE']);
    expect(await versions(after)).toEqual(['ACTIVE']);
    const jobs = await owner.query(`SELECT FROM pgboss.job WHERE name = 'prepare' AND singleton_key = $1`, [before.id]);
    expect(jobs.rowCount).toBe(1);
  });

  it('drops what belongs to versions that are kept prepared no more, and mends the active one', async () => {
    const tenant = await filled();
    const { database } = service.platform;
    const made: string[] = [];
    for (const seed of ['a', 'b', 'c']) {
      const { id } = await candidate(tenant, seed, { tower: true });
      await tenant.run(() => prepareModel(service.platform, { tenantId: tenant.id, modelId: id }));
      made.push(id);
    }
    const prepared = () =>
      tenant.run(async () => [
        (await database.profile.findMany({ where: { modelId: { in: made } } })).map(({ modelId }) => modelId).sort(),
        await database.itemVector.count(),
      ]);
    expect(await prepared()).toEqual([made, 4]);
    await round();
    expect(await prepared()).toEqual([made.slice(1), 3]);
    await owner.query(`UPDATE models SET wanted_at = now() WHERE id = $1`, [made[0]]);
    await tenant.run(() => prepareModel(service.platform, { tenantId: tenant.id, modelId: made[0]! }));
    await round();
    expect(await prepared()).toEqual([made, 4]);

    const jobs = async () =>
      (await owner.query(`SELECT FROM pgboss.job WHERE name = 'prepare' AND singleton_key = $1`, [tenant.id]))
        .rowCount!;
    const sent = await jobs();
    await tenant.run(async () => {
      const { id, tower } = await database.model.findFirstOrThrow({ where: { status: 'ACTIVE' } });
      await database.itemVector.deleteMany({ where: { tower } });
      await round();
      expect(await jobs()).toBe(sent + 1);
      await prepareModel(service.platform, { tenantId: tenant.id, modelId: id });
      expect(await database.itemVector.count({ where: { tower } })).toBe(1);
    });
  });
});
