/**
 * The reasons of a score: which judgements moved it, by leaving each one out and scoring again, and where the model's
 * attention lay. Computed only when asked for, for all scores of a request in one pass of the model.
 */
import { PalateError } from '../errors.ts';
import type { ItemVector, Judgement, TargetScore, UserState } from '../inference/preferenceModel.ts';
import { readItemVectors } from './itemVectors.ts';
import type { Platform } from './platform.ts';
import type { Score } from './scores.ts';
import { type JudgementRef, statesOf, toHistory } from './userStates.ts';

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
    for (const [score, explanation] of await explainOfModel(platform, ofModel)) answers.set(score, explanation);
  }
  return requests.map(
    ({ score }) =>
      answers.get(score) ??
      new PalateError('NOT_READY', 'This image is being encoded anew or was taken out: ask for the score again.'),
  );
}

/** Explains scores of one model; those whose image has no item vector any more are left out. */
async function explainOfModel(platform: Platform, asked: readonly Asked[]): Promise<Map<Score, Explanation>> {
  const { turn, row } = asked[0]!.score.reading.model;
  const users = groups(asked, ({ score }) => score.reading);
  const readings = users.map(([first]) => first!.score.reading);
  const judged = readings.flatMap(({ judgements }) => judgements.map(({ imageId }) => imageId));
  const imageIds = [...new Set([...asked.map(({ score }) => score.imageId), ...judged])];
  const vectors = await readItemVectors(platform.database, row.tower, imageIds);

  // Every user's own state, then those with a judgement left out; each scores all of the user's targets.
  const states = await statesOf(platform, readings, vectors);
  const leftOut = users.map((ofUser, i) =>
    ofUser.some(({ influences }) => influences) ? withoutEach(readings[i]!.judgements, vectors) : [],
  );
  const statesWithout = await turn.userStates(leftOut.flat());
  const targets = users.map((ofUser) => ofUser.filter(({ score }) => vectors.has(score.imageId)));
  const requests = users.map((_, i) => {
    const ofUser = targets[i]!.map(({ score }) => vectors.get(score.imageId)!);
    return [states[i]!, ...statesWithout.splice(0, leftOut[i]!.length)].map((state) => ({ state, targets: ofUser }));
  });
  const scored = await turn.score(requests.flat());

  const explanations = new Map<Score, Explanation>();
  for (const [i, ofUser] of targets.entries()) {
    const [whole, ...without] = scored.splice(0, requests[i]!.length);
    for (const [t, target] of ofUser.entries()) {
      const explanation = explain(
        target,
        states[i]!,
        whole![t]!,
        without.map((scores) => scores[t]!),
      );
      explanations.set(target.score, explanation);
    }
  }
  return explanations;
}

/** The newest judgements' histories without them: one history a judgement left out. */
function withoutEach(judgements: readonly JudgementRef[], vectors: ReadonlyMap<string, ItemVector>): Judgement[][] {
  const count = Math.min(judgements.length, MAX_LEFT_OUT);
  return Array.from({ length: count }, (_, out) => toHistory(judgements.toSpliced(out, 1), vectors));
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
