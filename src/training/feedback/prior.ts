/**
 * What people in general make of an image: a ridge from item vectors to what was made of them, over people of the
 * training part, in one pass. Images fall into five folds by their prompts, and each fold is also foretold by the ridge
 * of the other four: as good as it will be on images that nobody has judged. Strength and weight are chosen by these.
 */
import { fromHalfFloats } from '../../halfFloats.ts';
import { lowestError, type Ridge, RidgeMoments } from '../fitting/ridge.ts';
import type { PersonJudgements } from './people.ts';
import type { Snapshot } from './snapshot.ts';

/** g, an expected mean of judgements (like 1, dislike −1). */
export interface PopulationRidge extends Ridge {
  /** The ridge fitted without an image and those of the same prompt, and so without anybody's judgement of it. */
  without(image: number): Ridge;
}

const FOLDS = 5;
/** A person's judgements weigh together at most as much as so many plain ones: nobody alone says what is liked. */
const MOST_WEIGHT = 64;
/** Judgements of one person that are read, and of all people. */
const MOST_OF_PERSON = 256;
const MOST_IN_ALL = 400_000;

/** Throws INVALID (of `cholesky`) where nobody of the training part judged anything. */
export function fitRidge(snapshot: Snapshot): PopulationRidge {
  const folds = Array.from({ length: FOLDS }, () => new RidgeMoments(snapshot.manifest.itemSize));
  let read = 0;
  for (const [person, { part }] of snapshot.people.entries()) {
    if (part !== 'train' || read >= MOST_IN_ALL) continue;
    const judgements = snapshot.judgementsOf(person).slice(0, MOST_OF_PERSON);
    addPerson(folds, snapshot, judgements);
    read += judgements.length;
  }
  const all = RidgeMoments.sum(folds);
  const { penalty, others } = lowestError(folds);
  const ofFold = others.map((moments) => moments.solve(penalty));
  return { ...all.solve(penalty), without: (image) => ofFold[foldOf(snapshot, image)]! };
}

const foldOf = (snapshot: Snapshot, image: number): number => snapshot.promptOf(image) % FOLDS;

function addPerson(folds: readonly RidgeMoments[], snapshot: Snapshot, judgements: PersonJudgements): void {
  const total = judgements.reduce((sum, { weight }) => sum + weight, 0);
  const share = Math.min(1, MOST_WEIGHT / Math.max(total, 1e-9));
  for (const { image, sentiment, weight } of judgements) {
    const item = fromHalfFloats(snapshot.itemVector(image));
    folds[foldOf(snapshot, image)]!.add(item, sentiment === 'LIKE' ? 1 : -1, share * weight);
  }
}
