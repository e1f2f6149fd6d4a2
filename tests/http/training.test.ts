/** Trainings over the API: asked for, taken back, looked at. What they come to is tests/workers/train.test.ts. */
import { newId, toGlobalId } from '../../src/domain/ids.ts';
import { type TestService, type TestTenant, testService, unknownId } from './service.ts';

let service: TestService;
let tenant: TestTenant;
beforeAll(async () => {
  service = await testService();
});
afterAll(() => service.close());
beforeEach(async () => {
  tenant = await service.tenant();
});

const JOB = `id status progress stage requestedBy createdAt startedAt finishedAt reason datasetSha256 model { id }`;
const ask = async (query: string, variables: object = {}) => {
  const { data, errors } = await tenant.ask(query, variables, tenant.adminKey);
  expect(errors).toEqual([]);
  return data;
};
const start = async (input: object = {}) =>
  (
    await ask(
      `mutation ($input: StartTrainingInput!) { startTraining(input: $input) { job { ${JOB} } userErrors { field code message } } }`,
      { input },
    )
  ).startTraining;
const cancel = async (id: string) =>
  (
    await ask(
      `mutation ($id: ID!) { cancelTraining(input: { id: $id }) { job { ${JOB} } userErrors { field code message } } }`,
      { id },
    )
  ).cancelTraining;

describe('startTraining', () => {
  it('puts a training in the queue, in the words of who asked, and writes it down', async () => {
    const { job, userErrors } = await start({ preferenceTokenCount: 12, seed: 7 });
    expect(userErrors).toEqual([]);
    expect(job).toMatchObject({ status: 'QUEUED', progress: 0, stage: 'waiting', requestedBy: 'first admin' });
    expect(job).toMatchObject({ startedAt: null, finishedAt: null, reason: null, datasetSha256: null, model: null });
    const { trainingJob, node, auditLog } = await ask(
      `query ($id: ID!) { trainingJob(id: $id) { ${JOB} } node(id: $id) { ... on TrainingJob { ${JOB} } }
        auditLog(first: 1) { nodes { action subject } } }`,
      { id: job.id },
    );
    expect(trainingJob).toEqual(job);
    expect(node).toEqual(job);
    expect(auditLog.nodes).toEqual([{ action: 'startTraining', subject: job.id }]);
    const row = await tenant.run(() => service.platform.database.trainingJob.findFirstOrThrow());
    expect(row).toMatchObject({ tokens: 12, seed: 7, seedChosen: false, promoteIfBetter: false });
  });

  it('chooses a seed where none is given, and keeps it', async () => {
    await start({ promoteIfBetter: true });
    const row = await tenant.run(() => service.platform.database.trainingJob.findFirstOrThrow());
    expect(row).toMatchObject({ tokens: null, seedChosen: true, promoteIfBetter: true });
    expect(Number.isInteger(row.seed) && row.seed >= 0).toBe(true);
  });

  it.each([
    [{ preferenceTokenCount: 1 }, ['preferenceTokenCount'], /is 1; it must be a whole number from 2 to 64/],
    [{ preferenceTokenCount: 65 }, ['preferenceTokenCount'], /is 65; it must be a whole number from 2 to 64/],
    [{ seed: -1 }, ['seed'], /^seed is -1; it must be a whole number from 0 to 2147483647/],
    [{ idempotencyKey: '' }, ['idempotencyKey'], /is empty/],
  ])('refuses %j', async (input, field, message) => {
    const { job, userErrors } = await start(input);
    expect(job).toBeNull();
    expect(userErrors).toEqual([{ field, code: 'INVALID', message: expect.stringMatching(message) }]);
    expect((await ask('{ trainingJobs { nodes { id } } }')).trainingJobs.nodes).toEqual([]);
  });

  it('answers a key again with the same training, and another wish under it with CONFLICT', async () => {
    const input = { seed: 3, idempotencyKey: 'nightly' };
    const { job } = await start(input);
    expect((await start(input)).job).toEqual(job);
    expect((await start({ ...input, seed: 4 })).userErrors).toMatchObject([{ code: 'CONFLICT' }]);
    expect((await ask('{ trainingJobs { nodes { id } } }')).trainingJobs.nodes).toHaveLength(1);
  });

  it('lets twenty wait, and no more', async () => {
    for (let i = 0; i < 20; i++) expect((await start()).userErrors).toEqual([]);
    const { job, userErrors } = await start();
    expect(job).toBeNull();
    expect(userErrors).toEqual([
      { field: [], code: 'LIMIT_REACHED', message: expect.stringMatching(/^20 trainings wait/) },
    ]);
  });
});

describe('cancelTraining', () => {
  it('ends one that waits at once, and says of one that has ended what it is', async () => {
    const { job } = await start();
    const { job: cancelled, userErrors } = await cancel(job.id);
    expect(userErrors).toEqual([]);
    expect(cancelled).toMatchObject({ id: job.id, status: 'CANCELLED', stage: 'cancelled', startedAt: null });
    expect(cancelled.finishedAt).not.toBeNull();
    expect(await cancel(job.id)).toEqual({
      job: cancelled,
      userErrors: [{ field: ['id'], code: 'INVALID', message: 'This training has ended: it is CANCELLED.' }],
    });
    const { auditLog } = await ask('{ auditLog { nodes { action } } }');
    const actions = auditLog.nodes.map(({ action }: { action: string }) => action);
    expect(actions.filter((action: string) => action.endsWith('Training'))).toEqual([
      'cancelTraining',
      'startTraining',
    ]);
  });

  it('names no training of nobody, nor of another tenant', async () => {
    const other = await service.tenant();
    const { data } = await other.ask('mutation { startTraining(input: {}) { job { id } } }', {}, other.adminKey);
    for (const id of [unknownId('TrainingJob'), data.startTraining.job.id, toGlobalId('Model', newId()), 'x']) {
      const { job, userErrors } = await cancel(id);
      expect(job).toBeNull();
      expect(userErrors).toMatchObject([{ field: ['id'], code: 'NOT_FOUND' }]);
    }
  });
});

it('pages through trainings, newest first, of one status or of all', async () => {
  const ids: string[] = [];
  for (let i = 0; i < 5; i++) ids.unshift((await start()).job.id);
  await cancel(ids[1]!);
  const page = async (args: string) =>
    (await ask(`{ trainingJobs(${args}) { nodes { id } pageInfo { hasNextPage endCursor } } }`)).trainingJobs;
  const idsOf = ({ nodes }: { nodes: { id: string }[] }) => nodes.map(({ id }) => id);
  const one = await page('first: 3');
  expect(idsOf(one)).toEqual(ids.slice(0, 3));
  expect(idsOf(await page(`first: 3, after: "${one.pageInfo.endCursor}"`))).toEqual(ids.slice(3));
  expect(idsOf(await page('status: CANCELLED'))).toEqual([ids[1]]);
  expect(idsOf(await page('status: RUNNING'))).toEqual([]);
});

describe('losses', () => {
  let id: string;
  beforeEach(async () => {
    ({ id } = (await start()).job);
    await tenant.run(async () => {
      const { tenantId, id: jobId } = await service.platform.database.trainingJob.findFirstOrThrow();
      await service.platform.database.trainingLoss.createMany({
        data: Array.from({ length: 1_000 }, (_, i) => ({
          ...{ tenantId, jobId, step: i + 1, base: 1 / (i + 1), contrastive: 0.5, total: 1 },
          validationAccuracy: (i + 1) % 50 === 0 ? 0.6 : null,
        })),
      });
    });
  });
  interface Point {
    step: number;
    validationAccuracy: number | null;
  }
  const read = async (args: string): Promise<Point[]> =>
    (
      await ask(
        `query ($id: ID!) { trainingJob(id: $id) { losses${args} { step base contrastive total validationAccuracy } } }`,
        { id },
      )
    ).trainingJob.losses;

  it('are thinned evenly, with every measurement and the last step among them', async () => {
    const points = await read('');
    expect(points).toHaveLength(200);
    const steps = points.map(({ step }) => step);
    expect(steps).toEqual([...steps].sort((a, b) => a - b));
    expect(steps.at(-1)).toBe(1_000);
    expect(points.filter(({ validationAccuracy }) => validationAccuracy !== null)).toHaveLength(20);
    expect(Math.max(...steps.slice(1).map((step, i) => step - steps[i]!))).toBeLessThanOrEqual(7);
  });

  it('are those after a step, all of them where they are few', async () => {
    expect((await read('(afterStep: 990)')).map(({ step }) => step)).toEqual([
      991, 992, 993, 994, 995, 996, 997, 998, 999, 1_000,
    ]);
    expect((await read('(afterStep: 0, maxPoints: 3)')).map(({ step }) => step)).toEqual([250, 750, 1_000]);
    expect(await read('(afterStep: 1000)')).toEqual([]);
  });

  it.each([
    ['(maxPoints: 0)', /maxPoints is 0; it must be a whole number from 1 to 200/],
    ['(maxPoints: 201)', /maxPoints is 201; it must be a whole number from 1 to 200/],
    ['(afterStep: -2)', /afterStep is -2; it must be a whole number from -1/],
  ])('refuse %s', async (args, message) => {
    const query = `query ($id: ID!) { trainingJob(id: $id) { losses${args} { step } } }`;
    const { errors } = await tenant.ask(query, { id }, tenant.adminKey);
    expect(errors).toMatchObject([{ extensions: { code: 'BAD_USER_INPUT' }, message: expect.stringMatching(message) }]);
  });
});

describe('when a tenant trains by itself', () => {
  const set = async (input: object) =>
    (
      await ask(
        `mutation ($input: UpdateTenantSettingsInput!) { updateTenantSettings(input: $input) {
          tenant { settings { trainingSchedule trainAfterJudgements } } userErrors { field code message } } }`,
        { input },
      )
    ).updateTenantSettings;

  it('is a setting, left as it is where it is not given, and taken away by null', async () => {
    const both = { trainingSchedule: '30 3 * * 1-5', trainAfterJudgements: 1_000 };
    expect((await set(both)).tenant.settings).toEqual(both);
    expect((await set({})).tenant.settings).toEqual(both);
    expect((await set({ trainAfterJudgements: null })).tenant.settings).toEqual({
      ...both,
      trainAfterJudgements: null,
    });
    expect((await set({ trainingSchedule: null })).tenant.settings).toEqual({
      trainingSchedule: null,
      trainAfterJudgements: null,
    });
  });

  it.each([
    [{ trainingSchedule: 'nightly' }, /has 1 fields; cron has 5/],
    [{ trainingSchedule: '0 0 3 * * 1' }, /has 6 fields; cron has 5/],
    [{ trainingSchedule: '61 3 * * *' }, /"61 3 \* \* \*": it is no time of cron \(/],
    [{ trainingSchedule: '0 0 30 2 *' }, /it is no time of cron \(/],
    [{ trainingSchedule: '*/20 * * * *' }, /more often than once an hour/],
    [{ trainingSchedule: '' }, /is empty/],
    [{ trainAfterJudgements: 99 }, /is 99; it must be a whole number from 100 to 2147483647/],
  ])('refuses %j', async (input, message) => {
    const { tenant: changed, userErrors } = await set(input);
    expect(changed).toBeNull();
    expect(userErrors).toMatchObject([
      { field: Object.keys(input), code: 'INVALID', message: expect.stringMatching(message) },
    ]);
  });
});
