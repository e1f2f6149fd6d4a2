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

const hasBoth = (judgements: PersonJudgements): boolean =>
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

export interface HeldOutPerson {
  /** Their number in the snapshot. */
  readonly person: number;
  readonly task: HeldOutTask;
}

/** People of a part of whom something can be ranked; of more than `most`, evenly spread ones. */
export function heldOutTasks(snapshot: Snapshot, part: PeoplePart, most: number): HeldOutPerson[] {
  const able = [...snapshot.people.entries()].filter(([, p]) => p.part === part && p.likes > 0 && p.dislikes > 0);
  const stride = Math.max(1, able.length / most);
  const chosen = Array.from({ length: Math.min(most, able.length) }, (_, i) => able[Math.floor(i * stride)]![0]);
  return chosen.flatMap((person) => {
    const task = heldOutTask(snapshot.judgementsOf(person));
    return task ? [{ person, task }] : [];
  });
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
