/**
 * From a margin to a probability that holds: P(like), and how sure it is. Fitted with the model (docs/model.md,
 * "Calibration"), applied here.
 */
import type { Calibration } from '../model/artifact.ts';

/** What calibration reads of a person: weights of all their likes and dislikes. */
export interface JudgementCounts {
  readonly likes: number;
  readonly dislikes: number;
}

export const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
/** Like rates are shrunken to one half as if this many likes and as many dislikes came before. */
const RATE_PSEUDO_COUNT = 1;

/** log odds of the person's shrunken like rate: 0 without a judgement. */
export function likeRateLogit({ likes, dislikes }: JudgementCounts): number {
  return Math.log((likes + RATE_PSEUDO_COUNT) / (dislikes + RATE_PSEUDO_COUNT));
}

/** P(like) = σ(T s + β + ρ logit(like rate)), and its standard error by the delta method. s is the margin l⁺ − l⁻. */
export function calibrated(
  calibration: Calibration,
  margin: number,
  counts: JudgementCounts,
): { value: number; standardError: number } {
  const { temperature, offset, likeRateWeight } = calibration;
  const value = sigmoid(temperature * margin + offset + likeRateWeight * likeRateLogit(counts));
  return { value, standardError: value * (1 - value) * logitStandardError(calibration, counts) };
}

/** Interpolated between the numbers of judgements at which it was measured, in their square roots. */
export function logitStandardError({ standardErrors }: Calibration, { likes, dislikes }: JudgementCounts): number {
  const read = Math.sqrt(likes + dislikes);
  const next = standardErrors.findIndex(({ judgements }) => Math.sqrt(judgements) >= read);
  if (next < 0) return standardErrors.at(-1)!.logit;
  const above = standardErrors[next]!;
  const below = standardErrors[next - 1];
  if (!below) return above.logit;
  const from = Math.sqrt(below.judgements);
  const share = (read - from) / (Math.sqrt(above.judgements) - from);
  return below.logit + share * (above.logit - below.logit);
}
