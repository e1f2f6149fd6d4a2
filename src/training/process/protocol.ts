/** What a training's process is told, and what it tells: plain values over the channel between it and its parent. */
import type { ExecutionProvider } from '../../inference/session.ts';
import type { BatchShape } from '../../model/trainingGraph.ts';
import type { EvaluationSummary } from '../feedback/apiEvaluation.ts';

/** The process's argument where it is to keep its parent's priority. */
export const FOREGROUND = 'foreground';

/** Everything that a training needs; folders and files of this machine. */
export interface TrainingTask {
  /** Of the feedback. */
  readonly snapshot: string;
  /** Of the model to go on from. */
  readonly parent: string;
  /** File that the state is kept in. */
  readonly checkpoint: string;
  /** Folder that the new model is written to. */
  readonly result: string;
  readonly seed: number;
  /** As many as the parent has, if null. */
  readonly tokens: number | null;
  readonly threads: number;
  /** What runs the steps. */
  readonly provider: ExecutionProvider;
  /** Smaller than what is good for people, for tests. */
  readonly steps?: number;
  readonly shape?: BatchShape;
}

/** What the process sends, in the order of its work; `trained`, `declined` or `failed` is the last. */
export type TrainingMessage =
  | { readonly kind: 'stage'; readonly stage: string }
  | {
      readonly kind: 'step';
      readonly step: number;
      readonly steps: number;
      readonly base: number;
      readonly contrastive: number;
      readonly total: number;
      readonly validationAccuracy: number | null;
    }
  | { readonly kind: 'measured'; readonly done: number; readonly total: number }
  | { readonly kind: 'trained'; readonly evaluation: EvaluationSummary }
  | { readonly kind: 'declined'; readonly reason: string }
  | { readonly kind: 'failed'; readonly message: string };
