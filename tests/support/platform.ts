/** A platform on a test's database with one model, and images that are READY without any pixels. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import type { Database } from '../../src/database/client.ts';
import { newId } from '../../src/domain/ids.ts';
import { Networks } from '../../src/domain/models.ts';
import { PictureLinks } from '../../src/domain/pictureLinks.ts';
import { createPlatform, type Platform } from '../../src/domain/platform.ts';
import { DiskStore } from '../../src/files/diskStore.ts';
import type { FileStore } from '../../src/files/store.ts';
import type { ItemVector, PreferenceModel } from '../../src/inference/preferenceModel.ts';
import type { TestDatabase } from './database.ts';
import { tokenParts } from './tokens.ts';

/** Its pictures lie in a folder of its own; `close` removes it, and leaves database and model open. */
export async function testPlatform(
  test: TestDatabase,
  model: PreferenceModel,
): Promise<{ platform: Platform; folder: string; close(): Promise<void> }> {
  const directory = await mkdtemp(join(tmpdir(), 'palate-platform-'));
  const weights = await DiskStore.open(join(directory, 'models'));
  const platform = createPlatform(
    {
      ...{ database: test.database, queue: test.queue, now: test.now },
      ...{ baseModel: model, weights, networks: testNetworks(model, weights) },
      pictures: await DiskStore.open(join(directory, 'pictures')),
      pictureLimits: { maxBytes: 1, maxPixels: 1 },
      maxPendingImages: 1_000,
      links: new PictureLinks('a key for tests, of 32 characters', () => ''),
      ...tokenParts(test.now),
    },
    { userStates: 10_000_000, itemVectors: 10_000_000, vectorIndexes: 10_000_000 },
  );
  return {
    platform,
    folder: directory,
    async close() {
      await platform.networks.close();
      await rm(directory, { recursive: true });
    },
  };
}

/** The networks of a service that ships this model and logs nothing. */
export function testNetworks(base: PreferenceModel, files: FileStore, maxBytes = 100_000_000): Networks {
  return new Networks({ base, files, maxBytes, log: pino({ level: 'silent' }) });
}

/** Images with these item vectors, of nobody unless told, in the tenant of the session: their ids, in order. */
export async function putReadyImages(
  database: Database,
  { tenantId, tower, ownerId = null }: { tenantId: string; tower: string; ownerId?: string | null },
  vectors: readonly ItemVector[],
): Promise<string[]> {
  const ids = vectors.map(newId);
  const picture = { tenantId, ownerId, format: 'png', byteLength: 1, width: 1, height: 1, status: 'READY' as const };
  await database.image.createMany({
    data: ids.map((id) => ({ ...picture, id, sha256: id.replaceAll('-', '').repeat(2) })),
  });
  await database.itemVector.createMany({
    data: vectors.map((vector, i) => ({
      ...{ tenantId, tower, imageId: ids[i]! },
      vector: Uint8Array.from(new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength)),
    })),
  });
  return ids;
}
