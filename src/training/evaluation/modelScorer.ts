/**
 * A preference model as a scorer of tasks: the very code that serves, over pictures whose item vectors are at hand.
 */
import type { ItemVector, PreferenceModel, TargetScore, UserState } from '../../inference/preferenceModel.ts';
import { type Task, targetsOf } from '../tasks.ts';
import type { Scorer } from './evaluation.ts';

export interface ScoredTask {
  readonly state: UserState;
  /** Of `targetsOf(task)`. */
  readonly scores: readonly TargetScore[];
}

/** @param vectors the item vector of every picture, by its number */
export async function scoreTasks(
  model: PreferenceModel,
  vectors: readonly ItemVector[],
  tasks: readonly Task[],
): Promise<ScoredTask[]> {
  const states = await model.userStates(
    tasks.map(({ history }) =>
      history.map(({ image, sentiment, weight }) => ({ item: vectors[image]!, sentiment, weight })),
    ),
  );
  const scores = await model.score(
    tasks.map((task, i) => ({
      state: states[i]!,
      targets: targetsOf(task).map((image) => vectors[image]!),
      ...(task.popularity ? { popularity: task.popularity } : {}),
    })),
  );
  return tasks.map((_, i) => ({ state: states[i]!, scores: scores[i]! }));
}

/** Orders targets by the margin l⁺ − l⁻. */
export function modelScorer(name: string, model: PreferenceModel, vectors: readonly ItemVector[]): Scorer {
  return {
    name,
    score: async (tasks) =>
      (await scoreTasks(model, vectors, tasks)).map(({ scores }) => scores.map(({ like, dislike }) => like - dislike)),
  };
}
