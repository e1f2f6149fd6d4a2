/**
 * People as they are measured: the newest judgements are foretold from the older ones, as in life. Knows no model.
 */
import type { ItemVector } from '../../inference/preferenceModel.ts';
import { type HistoryItem, type Popularity, type Task, targetsOf } from '../tasks.ts';
import type { PeoplePart, PersonJudgement, PersonJudgements } from './people.ts';
import type { Snapshot } from './snapshot.ts';

/** Of a person's judgements the newest share is foretold, within these bounds. */
const FORETOLD = { share: 0.3, least: 2, most: 12 } as const;

export interface HeldOutTask extends Task {
  readonly popularity: readonly Popularity[];
}

/**
 * Targets are the newest judgements, the history all that came before. Null where no cut leaves a like and a dislike
 * among the newest half: nothing can be ranked.
 */
export function heldOutTask(judgements: PersonJudgements): HeldOutTask | null {
  const most = Math.max(FORETOLD.least, Math.ceil(judgements.length / 2));
  let cut = Math.min(FORETOLD.most, Math.max(FORETOLD.least, Math.ceil(FORETOLD.share * judgements.length)));
  while (cut <= most && !hasBoth(judgements.slice(0, cut))) cut++;
  if (cut > Math.min(most, judgements.length)) return null;
  return taskOf(judgements.slice(0, cut), judgements.slice(cut));
}

/** Whether there is a like and a dislike among them. */
export const hasBoth = (judgements: PersonJudgements): boolean =>
  judgements.some(({ sentiment }) => sentiment === 'LIKE') &&
  judgements.some(({ sentiment }) => sentiment === 'DISLIKE');

/** The task of foretelling `targets` from `history`. */
export function taskOf(targets: readonly PersonJudgement[], history: readonly HistoryItem[]): HeldOutTask {
  const liked = targets.filter(({ sentiment }) => sentiment === 'LIKE');
  const disliked = targets.filter(({ sentiment }) => sentiment === 'DISLIKE');
  return {
    history,
    liked: liked.map(({ image }) => image),
    disliked: disliked.map(({ image }) => image),
    popularity: [...liked, ...disliked].map(({ popularity }) => popularity),
  };
}

/** One image in five is kept from training: weights are chosen by pictures as new to them as tomorrow's will be. */
const KEPT_IMAGES = 5;

/** Whether an image, and all others of its prompt, is kept from training. */
export const isKeptImage = (snapshot: Snapshot, image: number): boolean =>
  (Math.imul(snapshot.promptOf(image), HASH) >>> 0) % KEPT_IMAGES === 0;

/** Spreads prompts' numbers, whatever they are (Knuth's multiplicative hash). */
const HASH = 0x9e37_79b1;

/**
 * What people of a part made of images that are kept from training, foretold from what they made of the others, whenever
 * they judged. People who did not both like and dislike one of these are left out.
 */
export function keptImageTasks(snapshot: Snapshot, part: PeoplePart, most: number): HeldOutPerson[] {
  return peopleOf(snapshot, part, most).flatMap((person) => {
    const judgements = snapshot.judgementsOf(person);
    const kept = judgements.filter(({ image }) => isKeptImage(snapshot, image));
    if (!hasBoth(kept)) return [];
    const others = judgements.filter(({ image }) => !isKeptImage(snapshot, image));
    return [{ person, task: taskOf(kept.slice(0, MOST_KEPT), others) }].filter(({ task }) => canRank(task));
  });
}

/** Targets of one person at most. */
const MOST_KEPT = 24;
const canRank = ({ liked, disliked }: Task): boolean => liked.length > 0 && disliked.length > 0;

export interface HeldOutPerson {
  /** Their number in the snapshot. */
  readonly person: number;
  readonly task: HeldOutTask;
}

/** People of a part of whom something can be ranked; of more than `most`, evenly spread ones. */
export function heldOutTasks(snapshot: Snapshot, part: PeoplePart, most: number): HeldOutPerson[] {
  return peopleOf(snapshot, part, most).flatMap((person) => {
    const task = heldOutTask(snapshot.judgementsOf(person));
    return task ? [{ person, task }] : [];
  });
}

function peopleOf(snapshot: Snapshot, part: PeoplePart, most: number): number[] {
  const able = [...snapshot.people.entries()].filter(([, p]) => p.part === part && p.likes > 0 && p.dislikes > 0);
  const stride = Math.max(1, able.length / most);
  return Array.from({ length: Math.min(most, able.length) }, (_, i) => able[Math.floor(i * stride)]![0]);
}

/** Item vectors of all images that these tasks name, at the places of their numbers; other places are empty. */
export function vectorsOf(snapshot: Snapshot, people: readonly { readonly task: Task }[]): ItemVector[] {
  const vectors: ItemVector[] = [];
  for (const { task } of people) {
    for (const image of [...task.history.map((item) => item.image), ...targetsOf(task)]) {
      vectors[image] ??= snapshot.itemVector(image);
    }
  }
  return vectors;
}
