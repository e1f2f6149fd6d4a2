/** Trainings in a process of their own: what they come to, whatever ends them on the way. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Platform } from '../../src/domain/platform.ts';
import { requestTraining } from '../../src/domain/trainingJobs.ts';
import { PreferenceModel } from '../../src/inference/preferenceModel.ts';
import { startTrainings, type TrainingOptions, type Trainings } from '../../src/workers/train.ts';
import { type TestDatabase, testDatabase } from '../support/database.ts';
import { smallArtifact } from '../support/model.ts';
import { testPlatform } from '../support/platform.ts';
import { SMALL_TRAINING, tenantToTrain } from '../support/trainingTenant.ts';

let db: TestDatabase;
let base: PreferenceModel;
let platform: Platform;
let folder: string;
let close: () => Promise<void>;
let trainings: Trainings;
beforeAll(async () => {
  db = await testDatabase();
  base = await PreferenceModel.open(smallArtifact());
  ({ platform, folder, close } = await testPlatform(db, base));
});
afterAll(async () => {
  await trainings.stop();
  await db.close();
  await base.close();
  await close();
});

const log = { info: console.log, error: console.log };
it('smoke', async () => {
  const tenant = await tenantToTrain(db.database, base);
  const job = await tenant.run(() =>
    db.database.$transaction((t) => requestTraining(t, platform, { requestedBy: 'me', seed: 5 })),
  );
  const t0 = Date.now();
  trainings = await startTrainings(platform, {
    directory: join(folder, 'training'),
    threads: 1,
    log,
    sizes: SMALL_TRAINING,
  });
  for (;;) {
    const row = await tenant.run(() => db.database.trainingJob.findFirstOrThrow({ where: { id: job.id } }));
    console.log(Date.now() - t0, row.status, row.stage, row.progress, row.reason);
    if (!['QUEUED', 'RUNNING'].includes(row.status)) break;
    await new Promise((r) => setTimeout(r, 500));
  }
  const model = await tenant.run(() => db.database.model.findMany());
  console.log(JSON.stringify(model[1]), existsSync(join(folder, 'training')));
});
