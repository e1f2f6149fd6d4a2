/** A new model promotes itself where it is better by more than chance, and says why where it does not. */
import type { ModelEvaluation } from '../../src/domain/evaluations.ts';
import { toGlobalId } from '../../src/domain/ids.ts';
import { activeModel } from '../../src/domain/models.ts';
import type { Platform } from '../../src/domain/platform.ts';
import { promote } from '../../src/domain/registry.ts';
import { promoteIfBetter, retryPromotions } from '../../src/domain/selfPromotion.ts';
import { submitFeedback } from '../../src/domain/submitFeedback.ts';
import { requestTraining } from '../../src/domain/trainingJobs.ts';
import { claimTraining, succeed } from '../../src/domain/trainingRuns.ts';
import { upsertUsers } from '../../src/domain/users.ts';
import { PreferenceModel } from '../../src/inference/preferenceModel.ts';
import { prepareModel } from '../../src/workers/prepare.ts';
import { EVALUATION, newCandidate } from '../support/candidates.ts';
import { newTenant, type TestDatabase, testDatabase } from '../support/database.ts';
import { encodedItems, smallArtifact } from '../support/model.ts';
import { putReadyImages, testPlatform } from '../support/platform.ts';

let db: TestDatabase;
let base: PreferenceModel;
let platform: Platform;
let close: () => Promise<void>;
let tenant: Awaited<ReturnType<typeof newTenant>>;
beforeAll(async () => {
  db = await testDatabase();
  base = await PreferenceModel.open(smallArtifact());
  ({ platform, close } = await testPlatform(db, base));
});
afterAll(async () => {
  await db.close();
  await base.close();
  await close();
});
beforeEach(async () => {
  tenant = await newTenant(db.database, base);
  await tenant.run(async () => {
    const vectors = await base.itemVectors(encodedItems('promotion', 2));
    const [image] = await putReadyImages(db.database, { tenantId: tenant.id, tower: base.towerHash }, vectors);
    await upsertUsers(platform, [{ externalId: 'ada' }]); // whose profile a version needs
    const judged = {
      user: { externalId: 'ada' },
      image: { id: toGlobalId('Image', image!) },
      sentiment: 'LIKE' as const,
    };
    expect((await submitFeedback(platform, { items: [judged] })).userErrors).toEqual([]);
  });
});

let seeds = 0;

/** A training that was asked to promote its model, and ended with a candidate of this gain. */
async function trained(against: Partial<NonNullable<ModelEvaluation['against']>> | null) {
  await db.database.$transaction((rows) =>
    requestTraining(rows, platform, { requestedBy: 'a test', promoteIfBetter: true }),
  );
  const job = (await claimTraining(platform))!;
  const { row } = await activeModel(platform);
  const measured = { modelId: row.id, difference: 0.02, standardError: 0.01, ...against };
  const model = await newCandidate(platform, `candidate ${seeds++}`, {
    evaluation: { ...EVALUATION, against: against && measured },
    also: (transaction, model) => succeed(transaction, platform, job, model, nobody()),
  });
  return { jobId: job.id, model };
}

async function* nobody() {}

const prepare = (modelId: string) => prepareModel(platform, { tenantId: tenant.id, modelId });
const jobOf = (id: string) => db.database.trainingJob.findFirstOrThrow({ where: { id } });
const statusOf = async (id: string) => (await db.database.model.findFirstOrThrow({ where: { id } })).status;
const queued = async () =>
  (
    await db.database.$queryRaw<
      object[]
    >`SELECT FROM pgboss.job WHERE name = 'promote' AND data ->> 'tenantId' = ${tenant.id}`
  ).length;

it('waits until the better model is prepared, then serves it', () =>
  tenant.run(async () => {
    const { jobId, model } = await trained({ difference: 0.0197, standardError: 0.01 });
    expect(await queued()).toBe(1); // with the training's success
    await promoteIfBetter(platform, jobId);
    expect(await statusOf(model.id)).toBe('CANDIDATE');
    expect(await queued()).toBe(2);
    await prepare(model.id);
    await promoteIfBetter(platform, jobId);
    expect(await statusOf(model.id)).toBe('ACTIVE');
    expect(await jobOf(jobId)).toMatchObject({ stage: 'done: promoted', reason: null });
  }));

it.each([
  [
    'of a gain that may be chance',
    { difference: 0.0195 },
    /gains 1\.95 ± 1\.96 % of pairs over version 0: that may be chance/,
  ],
  ['of a loss', { difference: -0.1 }, /gains -10\.00 ± 1\.96 %/],
  ['measured beside nothing', null, /measured beside no other model/],
])('leaves a candidate %s, and says why', (_, against, reason) =>
  tenant.run(async () => {
    const { jobId, model } = await trained(against);
    await prepare(model.id);
    await promoteIfBetter(platform, jobId);
    expect(await statusOf(model.id)).toBe('CANDIDATE');
    const job = await jobOf(jobId);
    expect(job.status).toBe('SUCCEEDED');
    expect(job.reason).toMatch(/^The new model was not promoted: /);
    expect(job.reason).toMatch(reason);
    await promoteIfBetter(platform, jobId); // decided once
    expect((await jobOf(jobId)).revision).toBe(job.revision);
  }),
);

it('leaves a candidate where another version serves by now than the one it was measured against', () =>
  tenant.run(async () => {
    const { jobId, model } = await trained({});
    const other = await newCandidate(platform, 'promoted by hand');
    for (const { id } of [model, other]) await prepare(id);
    await promote(platform, other.id, null);
    await promoteIfBetter(platform, jobId);
    expect(await statusOf(model.id)).toBe('CANDIDATE');
    expect((await jobOf(jobId)).reason).toMatch(/version 2 serves by now, which it was not measured against/);
  }));

it('decides where the job of the queue was lost, and gives up after a day without readiness', () =>
  tenant.run(async () => {
    const { jobId, model } = await trained({});
    await db.database.$executeRaw`DELETE FROM pgboss.job`;
    await retryPromotions(platform);
    await retryPromotions(platform);
    expect(await queued()).toBe(1);
    await db.database.trainingJob.updateMany({
      where: { id: jobId },
      data: { finishedAt: new Date(db.time.getTime() - 25 * 3_600_000) },
    });
    await promoteIfBetter(platform, jobId);
    expect(await statusOf(model.id)).toBe('CANDIDATE');
    expect((await jobOf(jobId)).reason).toMatch(/after a day it was still not ready/);
  }));
