/**
 * A tenant with as little feedback as a training takes, and a worker's trainings as small as they can be: a handful of
 * steps in a real process, on a model of drawn weights. But for its ids every such tenant is the same, and learns the same.
 */
import { randomUUID } from 'node:crypto';
import type { Database } from '../../src/database/client.ts';
import { newId } from '../../src/domain/ids.ts';
import type { PreferenceModel } from '../../src/inference/preferenceModel.ts';
import { Random } from '../../src/random.ts';
import { type PeoplePart, partOfPerson } from '../../src/training/feedback/people.ts';
import { newTenant } from './database.ts';
import { encodedItems, smallArtifact } from './model.ts';
import { putReadyImages } from './platform.ts';

export type TestTenant = Awaited<ReturnType<typeof newTenant>>;

/** Half of each part are still enough. */
const PEOPLE: Readonly<Record<PeoplePart, number>> = { train: 44, validation: 24, test: 12 };
const JUDGEMENTS = 30;
const IMAGES = 40;

/** Its prior is silent, and its history says a little of the opposite of what it should: some steps mend that. */
export const PARENT_TO_TRAIN = smallArtifact({
  set: {
    'prior.gain': 0,
    'metricPath.image.kernelGain': -0.005,
    'metricPath.image.prototypeGain': -0.005,
    'head.output': 0,
  },
});

/** Small in every way; its state is kept after 50 steps and after the last. */
export const SMALL_TRAINING = { steps: 60, shape: { users: 8, judgements: 8, pairs: 1 } };

/** A tenant whose people judged by a taste of their own, and share nothing that a prior could say. */
export async function tenantToTrain(database: Database, model: PreferenceModel): Promise<TestTenant> {
  const tenant = await newTenant(database, model);
  await tenant.run(() => judgeAll(database, model, tenant.id));
  return tenant;
}

async function judgeAll(database: Database, model: PreferenceModel, tenantId: string): Promise<void> {
  const random = new Random('a tenant to train');
  const vectors = await model.itemVectors(encodedItems('images to train on', IMAGES));
  const metrics = vectors.map((vector) => model.imageMetric(vector));
  const images = await putReadyImages(database, { tenantId, tower: model.towerHash }, vectors);
  // Without a prompt an image's fold hangs on its id.
  for (const [i, id] of images.entries()) {
    await database.image.updateMany({ where: { id }, data: { prompt: `picture ${i}` } });
  }
  const people = peopleOf(tenantId);
  await database.user.createMany({
    data: people.map((id) => ({ tenantId, id, externalId: id, feedbackVersion: 1 })),
  });
  const direction = (draw: Random) => metrics[0]!.map(() => draw.normal());
  const along = (taste: Float32Array, i: number) => metrics[i]!.reduce((sum, x, k) => sum + x * taste[k]!, 0);
  const judgements = people.flatMap((userId, person) => {
    const draw = random.split(String(person));
    const taste = direction(draw);
    return draw.choose([...images.keys()], JUDGEMENTS).map((i, n) => ({
      ...{ tenantId, userId, id: newId(), imageId: images[i]!, weight: 1 },
      // One of each at least, whatever the taste.
      sentiment: (n < 2 ? n === 0 : along(taste, i) > 0) ? ('LIKE' as const) : ('DISLIKE' as const),
      judgedAt: new Date(Date.UTC(2025, 0, 1) + n * 60_000 + person),
    }));
  });
  await database.feedback.createMany({ data: judgements });
}

/** Ids that the split puts where they are needed, in their order. */
function peopleOf(tenantId: string): string[] {
  const parts = (Object.keys(PEOPLE) as PeoplePart[]).flatMap((part) => Array<PeoplePart>(PEOPLE[part]).fill(part));
  return parts.map((part, place) => {
    for (;;) {
      const id = place.toString(16).padStart(8, '0') + randomUUID().slice(8);
      if (partOfPerson(tenantId, id) === part) return id;
    }
  });
}
