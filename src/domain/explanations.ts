/**
 * The reasons of a score: which judgements moved it, by leaving each one out and scoring again, and where the model's
 * attention lay. Computed only when asked for, for all scores of a request in one pass of the model.
 */
import { PalateError } from '../errors.ts';
import type { ItemVector, TargetScore, UserState } from '../inference/preferenceModel.ts';
import { readItemVectors } from './itemVectors.ts';
import type { Platform } from './platform.ts';
import type { Score } from './scores.ts';
import { statesOf, toHistory } from './userStates.ts';

/** Of all judgements that a model reads, the newest this many are each left out once: some 0.2 ms each. */
const MAX_LEFT_OUT = 128;

export interface Influence {
  feedbackId: string;
  /** 0 to 1, averaged over layers and heads. */
  attention: number;
  /** The margin l⁺ − l⁻ less the margin with this judgement left out. */
  effect: number;
}

/** Attention over the preference tokens: layers × heads × tokens numbers, each head's sum 1. */
export interface AttentionMap {
  layers: number;
  heads: number;
  tokens: number;
  weights: Float32Array;
}

export interface Explanation {
  attention: AttentionMap;
  /** Greatest effect first, by size; empty where influences were not asked for. */
  influences: Influence[];
}

/** One weight a preference token, averaged over layers and heads; they sum to 1. */
export function tokenWeights({ layers, heads, tokens, weights }: AttentionMap): number[] {
  const means = new Array<number>(tokens).fill(0);
  weights.forEach((weight, i) => {
    means[i % tokens]! += weight / (layers * heads);
  });
  return means;
}

interface Asked {
  score: Score;
  influences: boolean;
}

/**
 * Explains scores, in their order; one that is asked for twice is explained once. Each answer is an explanation, or
 * the error that keeps this one from being given: NOT_READY where the image has been taken out or is being encoded anew.
 */
export async function explainMany(
  platform: Platform,
  requests: readonly Asked[],
): Promise<(Explanation | PalateError)[]> {
  const wanted = new Map<Score, boolean>();
  for (const { score, influences } of requests) wanted.set(score, influences || (wanted.get(score) ?? false));
  const asked = [...wanted].map(([score, influences]) => ({ score, influences }));

  const answers = new Map<Score, Explanation>();
  for (const ofModel of groups(asked, ({ score }) => score.reading.model.network)) {
    const users = await Promise.all(
      groups(ofModel, ({ score }) => score.reading).map((ofUser) => prepareUser(platform, ofUser)),
    );
    // A user's own state first, then those with a judgement left out; every state scores all of the user's targets.
    const { network } = ofModel[0]!.score.reading.model;
    const scored = await network.score(
      users.flatMap(({ states, targets }) => states.map((state) => ({ state, targets: [...targets.values()] }))),
    );
    for (const { states, targets } of users) {
      const [whole, ...leftOut] = scored.splice(0, states.length);
      [...targets.keys()].forEach((request, i) => {
        const without = leftOut.map((scores) => scores[i]!);
        answers.set(request.score, explain(request, states[0]!, whole![i]!, without));
      });
    }
  }
  return requests.map(
    ({ score }) =>
      answers.get(score) ??
      new PalateError('NOT_READY', 'This image is being encoded anew or was taken out: ask for the score again.'),
  );
}

/** The states to score for one user, and the vectors of the targets that still have one. */
async function prepareUser(platform: Platform, asked: readonly Asked[]) {
  const { reading } = asked[0]!.score;
  const { judgements, model } = reading;
  const left = asked.some(({ influences }) => influences) ? Math.min(judgements.length, MAX_LEFT_OUT) : 0;
  const imageIds = [...asked.map(({ score }) => score.imageId), ...judgements.map(({ imageId }) => imageId)];
  const [vectors, [whole]] = await Promise.all([
    readItemVectors(platform.database, model.row.tower, [...new Set(imageIds)]),
    statesOf(platform, [reading]),
  ]);
  const histories = Array.from({ length: left }, (_, out) => toHistory(judgements.toSpliced(out, 1), vectors));
  const leftOut = histories.length > 0 ? await model.network.userStates(histories) : [];
  const targets = asked.flatMap((request): [Asked, ItemVector][] => {
    const vector = vectors.get(request.score.imageId);
    return vector ? [[request, vector]] : [];
  });
  return { states: [whole!, ...leftOut], targets: new Map(targets) };
}

function explain(
  { score, influences }: Asked,
  state: UserState,
  whole: TargetScore,
  leftOut: TargetScore[],
): Explanation {
  const { layers, heads, tokens } = score.reading.model.network;
  const read = new Map(state.blockJudgements.map((judgement, i) => [judgement, whole.historyAttention[i]!]));
  const effects = leftOut.map((without, i) => ({
    feedbackId: score.reading.judgements[i]!.feedbackId,
    attention: read.get(i) ?? 0,
    effect: whole.like - whole.dislike - (without.like - without.dislike),
  }));
  return {
    attention: { layers, heads, tokens, weights: whole.tokenAttention },
    influences: influences ? effects.sort((a, b) => Math.abs(b.effect) - Math.abs(a.effect)) : [],
  };
}

/** Parts a list by what `keyOf` gives, in order of first appearance. */
function groups<T>(list: readonly T[], keyOf: (item: T) => unknown): T[][] {
  const byKey = new Map<unknown, T[]>();
  for (const item of list) {
    const key = keyOf(item);
    const group = byKey.get(key);
    if (group) group.push(item);
    else byKey.set(key, [item]);
  }
  return [...byKey.values()];
}
