/** Two versions beside a tenant's base model, its numbers moved a little, prepared by the running service. */
import { setTimeout as delay } from 'node:timers/promises';
import { pino } from 'pino';
import { readConfig } from '../../../src/config.ts';
import { openDatabase, prepareDatabase, withTenant } from '../../../src/database/client.ts';
import { idOf, toGlobalId } from '../../../src/domain/ids.ts';
import { addCandidate } from '../../../src/domain/registry.ts';
import { openFileStores } from '../../../src/files/open.ts';
import { loadArtifact, SHIPPED_MODEL } from '../../../src/inference/preferenceModel.ts';
import { type ModelArtifact, seal } from '../../../src/model/artifact.ts';
import { parameterLayout } from '../../../src/model/parameters.ts';
import { openQueue } from '../../../src/queue/queue.ts';
import { Random } from '../../../src/random.ts';
import { inDatabase } from '../drawnService.ts';
import { ask, type Tenant } from '../tenants.ts';

const LOOK_MS = 500;
const SEEDS = ['one', 'other'];
const NO_EVALUATION = {
  ...{ users: 3, pairs: 9, pairwiseAccuracy: 0.75, standardError: 0.1, topK: [0.5, 0.75, 1], calibrationError: 0.02 },
  ...{ silhouette: 0.1, daviesBouldin: 2.5, byHistory: [], against: null, baselines: [] },
};

/** Answers their ids as the API has them, once both can be promoted. */
export async function addMovedVersions(dataDirectory: string, tenant: Tenant): Promise<string[]> {
  const base = await loadArtifact(SHIPPED_MODEL);
  const ids: string[] = [];
  await inDatabase(dataDirectory, async (ownerUrl) => {
    const serviceUrl = await prepareDatabase(ownerUrl);
    const database = openDatabase(serviceUrl, 2);
    const queue = await openQueue(serviceUrl, () => {});
    const settings = readConfig({ PALATE_DATA_DIR: dataDirectory });
    const { weights, close } = await openFileStores(settings, pino({ level: 'silent' }));
    await withTenant(idOf('Tenant', tenant.id)!, async () => {
      const parent = await database.model.findFirstOrThrow({ where: { status: 'ACTIVE' } });
      for (const seed of SEEDS) {
        const candidate = { artifact: moved(base, seed), parentId: parent.id, seed: 7, datasetSha256: 'd'.repeat(64) };
        const added = { ...candidate, evaluation: NO_EVALUATION, peopleIds: [] };
        const { id } = await addCandidate({ database, queue, weights }, added, async () => {});
        ids.push(toGlobalId('Model', id));
      }
    });
    await queue.stop(1);
    await database.$disconnect();
    close();
  });
  for (const id of ids) while (!(await isPrepared(tenant, id))) await delay(LOOK_MS);
  return ids;
}

/** All but what makes item vectors: these stay as they are. */
function moved(artifact: ModelArtifact, seed: string): ModelArtifact {
  const random = new Random(`bench/soak/${seed}`);
  const parameters = artifact.parameters.slice();
  const layout = parameterLayout(artifact.manifest.architecture);
  for (const { name } of layout.specs) {
    if (/^(item|metric)\./.test(name)) continue;
    const { start, end } = layout.range(name);
    for (let i = start; i < end; i++) parameters[i]! += 0.01 * random.normal();
  }
  return seal({ ...artifact, parameters });
}

async function isPrepared({ url, adminKey }: Tenant, id: string): Promise<boolean> {
  const { models } = await ask<{ models: { nodes: { id: string; readiness: number }[] } }>(
    ...([url, adminKey, '{ models(first: 10) { nodes { id readiness } } }'] as const),
  );
  return models.nodes.some((model) => model.id === id && model.readiness === 1);
}
