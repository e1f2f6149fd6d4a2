/** With too little feedback nothing is learned that would hold: training says so and declines. */
import { canLearnFrom } from './batches.ts';
import type { Snapshot } from './snapshot.ts';

/** People of the training part with a like and a dislike. */
export const FEWEST_PEOPLE = 20;
/** People with both among those held out, in either part. */
export const FEWEST_HELD_OUT = 5;
/** Likes and dislikes of all people. */
export const FEWEST_JUDGEMENTS = 500;

/** What is missing, for people to read; null where there is enough. */
export function whyTooLittle({ manifest, people }: Snapshot): string | null {
  const learned = people.filter(canLearnFrom).length;
  const heldOut = (part: 'validation' | 'test') =>
    people.filter((person) => person.part === part && person.likes > 0 && person.dislikes > 0).length;
  const [validation, test] = [heldOut('validation'), heldOut('test')];
  const missing = [
    manifest.judgements < FEWEST_JUDGEMENTS &&
      `${FEWEST_JUDGEMENTS} likes and dislikes of images that are READY (there are ${manifest.judgements})`,
    learned < FEWEST_PEOPLE &&
      `${FEWEST_PEOPLE} people to learn from who both liked and disliked something (there are ${learned})`,
    (validation < FEWEST_HELD_OUT || test < FEWEST_HELD_OUT) &&
      `${FEWEST_HELD_OUT} such people among those held out to stop the training and ${FEWEST_HELD_OUT} among those ` +
        `held out to measure it, a tenth of all each (there are ${validation} and ${test})`,
  ].filter((line) => line !== false);
  return missing.length === 0
    ? null
    : `There is too little feedback to learn from: training needs ${missing.join('; ')}.`;
}
