/** What trainings are asked for and done with, over a small model of drawn weights. */
import { join } from 'node:path';
import pino from 'pino';
import type { Database } from '../../../src/database/client.ts';
import { keepShipped } from '../../../src/domain/modelFiles.ts';
import { Networks } from '../../../src/domain/models.ts';
import { PictureLinks } from '../../../src/domain/pictureLinks.ts';
import { createPlatform, type Platform } from '../../../src/domain/platform.ts';
import { DiskStore } from '../../../src/files/diskStore.ts';
import { PreferenceModel } from '../../../src/inference/preferenceModel.ts';
import type { Queue } from '../../../src/queue/queue.ts';
import { tokenParts } from '../../../tests/support/tokens.ts';
import { PARENT_TO_TRAIN } from '../../../tests/support/trainingTenant.ts';

export interface TrainingParts {
  readonly database: Database;
  readonly queue: Queue;
  /** The data folder. */
  readonly folder: string;
}

export async function trainingPlatform({ database, queue, folder }: TrainingParts): Promise<Platform> {
  const base = await PreferenceModel.open(PARENT_TO_TRAIN);
  const weights = await DiskStore.open(join(folder, 'models'));
  await keepShipped(weights, base.artifact);
  const now = () => new Date();
  return createPlatform(
    {
      ...{ database, queue, now, weights, baseModel: base },
      networks: new Networks({ base, files: weights, maxBytes: 100_000_000, log: pino({ level: 'fatal' }) }),
      pictures: await DiskStore.open(join(folder, 'pictures')),
      pictureLimits: { maxBytes: 1, maxPixels: 1 },
      maxPendingImages: 1_000,
      links: new PictureLinks('a key for benchmarks, of 32 letters', () => ''),
      ...tokenParts(now),
    },
    { userStates: 10_000_000, itemVectors: 10_000_000, vectorIndexes: 10_000_000 },
  );
}
