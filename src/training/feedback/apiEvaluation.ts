/** A tenant's evaluation in the few numbers that are kept beside a model version. */
import type { ReportRow } from '../evaluation/report.ts';
import { BEFORE, CANDIDATE, CANDIDATE_WITHOUT_TOKENS, type FeedbackEvaluation } from './evaluateFeedback.ts';

export interface Accuracy {
  /** 0 to 1; people weigh alike. */
  readonly pairwiseAccuracy: number;
  /** Over people. */
  readonly standardError: number;
}

/** On whole histories, but for `byHistory`. */
export interface EvaluationSummary extends Accuracy {
  readonly users: number;
  readonly pairs: number;
  readonly topK: number[];
  readonly calibrationError: number;
  /** Of the number of clusters that holds together best. */
  readonly silhouette: number | null;
  readonly daviesBouldin: number | null;
  readonly byHistory: (Accuracy & { readonly likes: number; readonly dislikes: number })[];
  /** This model's accuracy less that of the model before; null where there was none. */
  readonly difference: { readonly difference: number; readonly standardError: number } | null;
  readonly baselines: (Accuracy & { readonly name: string })[];
}

export function summariseEvaluation({ rows, calibration, tokens }: FeedbackEvaluation): EvaluationSummary {
  const counted = rows.filter(({ subset }) => subset === 'all');
  const ours = counted.filter(({ scorer }) => scorer === CANDIDATE);
  const whole = counted.filter(({ length }) => length === 'all');
  const own = ours.find(({ length }) => length === 'all')!;
  const before = whole.find(({ scorer }) => scorer === BEFORE);
  const clusters = tokens?.clusters.profiles.reduce((a, b) => (b.silhouette > a.silhouette ? b : a)) ?? null;
  const others = whole.filter(({ scorer }) => ![CANDIDATE, CANDIDATE_WITHOUT_TOKENS, BEFORE].includes(scorer));
  return {
    users: own.people,
    pairs: own.pairs,
    ...accuracyOf(own),
    topK: (own.top ?? []).map(({ mean }) => mean),
    calibrationError: calibration.after.expectedError,
    silhouette: clusters?.silhouette ?? null,
    daviesBouldin: clusters?.daviesBouldin ?? null,
    byHistory: ours.flatMap((row) => {
      const [likes, dislikes] = row.length.split('+').map(Number);
      return likes === undefined || dislikes === undefined ? [] : [{ likes, dislikes, ...accuracyOf(row) }];
    }),
    difference: before?.difference
      ? { difference: before.difference.mean, standardError: finite(before.difference.standardError) }
      : null,
    baselines: others.map((row) => ({ name: row.scorer, ...accuracyOf(row) })),
  };
}

const accuracyOf = ({ pairwise }: ReportRow): Accuracy => ({
  pairwiseAccuracy: pairwise.mean,
  standardError: finite(pairwise.standardError),
});

/** One person alone has an endless error: as much as an accuracy can be wrong by. */
const finite = (error: number): number => Math.min(1, error);
