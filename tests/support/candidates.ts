/** Candidates of a tenant without any training: the numbers of a version, moved a little. */

import type { Model } from '../../src/database/generated/client.ts';
import type { ModelEvaluation } from '../../src/domain/evaluations.ts';
import { activeModel, loadWeights } from '../../src/domain/models.ts';
import type { Platform } from '../../src/domain/platform.ts';
import { addCandidate, type NewCandidate } from '../../src/domain/registry.ts';
import { type ModelArtifact, seal } from '../../src/model/artifact.ts';
import { parameterLayout } from '../../src/model/parameters.ts';
import { Random } from '../../src/random.ts';

/** The artifact with every parameter but the item tower's moved, or with `tower` those too. */
export function moved(artifact: ModelArtifact, seed: string, { tower = false } = {}): ModelArtifact {
  const random = new Random(seed);
  const parameters = artifact.parameters.slice();
  const layout = parameterLayout(artifact.manifest.architecture);
  for (const { name } of layout.specs) {
    if (/^(item|metric)\./.test(name) && !tower) continue;
    const { start, end } = layout.range(name);
    for (let i = start; i < end; i++) parameters[i]! += 0.05 * random.normal();
  }
  return seal({ ...artifact, parameters });
}

export const EVALUATION: ModelEvaluation = {
  ...{ users: 3, pairs: 9, pairwiseAccuracy: 0.75, standardError: 0.1, topK: [0.5, 0.75, 1], calibrationError: 0.02 },
  ...{ silhouette: 0.1, daviesBouldin: 2.5, byHistory: [], against: null, baselines: [] },
};

/** Adds a candidate that goes on from the active version, in the session's tenant. */
export async function newCandidate(
  platform: Platform,
  seed: string,
  {
    tower = false,
    also = async () => {},
    ...given
  }: Partial<NewCandidate> & {
    tower?: boolean;
    also?: Parameters<typeof addCandidate>[2];
  } = {},
): Promise<Model> {
  const { row } = await activeModel(platform);
  const artifact = moved(await loadWeights(platform, row.sha256), seed, { tower });
  const candidate = {
    ...{ artifact, parentId: row.id, seed: 7, datasetSha256: 'd'.repeat(64), evaluation: EVALUATION, peopleIds: [] },
    ...given,
  };
  return addCandidate(platform, candidate, also);
}
