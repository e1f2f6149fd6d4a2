/**
 * A small tenant's feedback over item vectors of a small model: people with tastes of their own who share a sense of
 * quality, both of them directions of the image metric.
 */
import { fromHalfFloats } from '../../src/halfFloats.ts';
import { PreferenceModel } from '../../src/inference/preferenceModel.ts';
import { itemVectorSize } from '../../src/model/architecture.ts';
import type { ModelArtifact } from '../../src/model/artifact.ts';
import { Random } from '../../src/random.ts';
import type { Snapshot } from '../../src/training/feedback/snapshot.ts';
import { writeSimulatedTenant } from '../../src/training/simulation/tenant.ts';
import type { HistoryItem } from '../../src/training/tasks.ts';
import { encodedItems, SMALL_ARCHITECTURE } from './model.ts';

export interface TenantOptions {
  readonly people: number;
  readonly judgements: number;
  /** Of an opinion, beside 1 for a person's own taste. */
  readonly quality?: number;
  readonly images?: number;
  readonly seed?: string;
}

/** Written to a folder; the same options give the same feedback. */
export async function smallTenant(
  directory: string,
  artifact: ModelArtifact,
  { people, judgements, quality = 1, images = 200, seed = 'tenant' }: TenantOptions,
): Promise<Snapshot> {
  const random = new Random(seed);
  const model = await PreferenceModel.open(artifact);
  const vectors = await model.itemVectors(encodedItems('tenant images', images));
  const metrics = vectors.map((vector) => model.imageMetric(vector));
  const sizes = { tower: model.towerHash, itemSize: itemVectorSize(SMALL_ARCHITECTURE), featureSize: 8 };
  await model.close();
  const direction = (draw: Random) => Array.from({ length: 8 }, () => draw.normal());
  const along = (taste: number[], metric: Float32Array) => metric.reduce((sum, x, i) => sum + x * taste[i]!, 0);
  const shared = direction(random.split('quality'));
  const histories = Array.from({ length: people }, (_, person): HistoryItem[] => {
    const draw = random.split(person);
    const taste = direction(draw);
    return draw.choose([...vectors.keys()], judgements).map((image) => {
      const metric = metrics[image]!;
      const opinion = along(taste, metric) + quality * along(shared, metric) + 0.3 * draw.normal();
      return { image, sentiment: opinion > 0 ? 'LIKE' : 'DISLIKE', weight: 1 };
    });
  });
  const items = vectors.map((vector) => ({ vector, features: fromHalfFloats(vector.subarray(16, 24)) }));
  return writeSimulatedTenant(directory, { sizes, items, people: histories }, random.split('time'));
}
