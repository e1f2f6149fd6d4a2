/** How far a training is, from what it tells: a stage in words, a share that never falls, and the losses since last asked. */
import type { Loss, TrainingReport } from '../../domain/trainingRuns.ts';
import type { TrainingMessage } from '../../training/process/protocol.ts';

/** Where each stage begins on the way from 0 to 1, by how long it takes of a usual training. */
const BEGINS = new Map([
  ['beginning', 0],
  ['reading the feedback', 0.01],
  ['fitting the population prior', 0.05],
  ['training', 0.1],
  ['calibrating', 0.8],
  ['evaluating', 0.82],
  ['adding the candidate', 0.98],
]);

export class Progress {
  #stage: string;
  #progress: number;
  #losses: Loss[] = [];
  #changed = false;

  /** @param reached how far an earlier attempt came */
  constructor(reached: number) {
    this.#stage = 'beginning';
    this.#progress = reached;
  }

  enter(stage: string): void {
    this.#stage = stage;
    this.#reach(this.#begin(stage));
  }

  hear(message: TrainingMessage): void {
    if (message.kind === 'stage') this.enter(message.stage);
    else if (message.kind === 'step') {
      const { kind: _, steps, ...loss } = message;
      this.#losses.push(loss);
      this.#within('training', 'calibrating', loss.step / steps);
    } else if (message.kind === 'measured') {
      this.#within('evaluating', 'adding the candidate', message.done / message.total);
    }
  }

  /** What has changed since it was last taken; null where nothing has. */
  take(): TrainingReport | null {
    if (!this.#changed) return null;
    this.#changed = false;
    return { stage: this.#stage, progress: this.#progress, losses: this.#losses.splice(0) };
  }

  /** A report that could not be written: its losses come with the next. */
  putBack({ losses }: TrainingReport): void {
    this.#losses.unshift(...losses);
    this.#changed = true;
  }

  #begin(stage: string): number {
    return BEGINS.get(stage) ?? this.#progress;
  }

  #within(stage: string, next: string, share: number): void {
    const [from, to] = [this.#begin(stage), this.#begin(next)];
    this.#reach(from + share * (to - from));
  }

  #reach(progress: number): void {
    this.#progress = Math.max(this.#progress, Math.min(1, progress));
    this.#changed = true;
  }
}
