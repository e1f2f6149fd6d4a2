/**
 * The training loop: runs the step graph over batches in phases, keeps a running average of the weights, measures it on
 * held-out people and gives back the best. Knows neither people nor pictures: batches and the measure are handed in.
 */
import { PalateError } from '../errors.ts';
import { openSession, type Tensor, type Tensors } from '../inference/session.ts';
import type { Architecture } from '../model/architecture.ts';
import { type ParameterLayout, parameterLayout } from '../model/parameters.ts';
import { ADAMW, type BatchShape, type LossWeights, trainingGraph } from '../model/trainingGraph.ts';

export interface Phase {
  readonly name: string;
  readonly steps: number;
  /** Highest learning rate: reached after a tenth of the steps, then falling to 0 along a half cosine. */
  readonly learningRate: number;
  readonly losses: LossWeights;
  /** A parameter's share of the learning rate, by name; 0 freezes it. */
  rate(name: string): number;
  /** Ends the phase when the measure has not risen for so many measurements. */
  readonly patience: number;
}

export interface TrainerOptions {
  readonly architecture: Architecture;
  readonly shape: BatchShape;
  readonly threads?: number;
  /** Steps between two measurements. */
  readonly measureEvery: number;
  nextBatch(): Tensors;
  /** Accuracy of weights on held-out people, 0 to 1. */
  measure(weights: Float32Array): Promise<number>;
  onStep?(step: StepReport): void;
}

export interface StepReport {
  readonly phase: string;
  readonly step: number;
  readonly steps: number;
  readonly base: number;
  readonly contrastive: number;
  readonly loss: number;
  readonly gradientNorm: number;
  /** On held-out people, where it was measured after this step. */
  readonly validationAccuracy: number | null;
}

/** λ of AdamW, on matrices. */
const WEIGHT_DECAY = 0.01;
/** The running average forgets over some 200 steps: it orders held-out pairs better than the last weights. */
const AVERAGING = 0.995;

/**
 * Trains one phase from `start` and returns the averaged weights that did best on held-out people (`start` itself where
 * none did better). Adam's state begins anew. Throws INTERNAL_SERVER_ERROR when the loss is no number any more.
 */
export async function trainPhase(
  start: Float32Array,
  phase: Phase,
  options: TrainerOptions,
): Promise<{ weights: Float32Array; accuracy: number }> {
  const { architecture, shape, measureEvery } = options;
  const layout = parameterLayout(architecture);
  const session = await openSession(trainingGraph(architecture, shape, phase.losses), {
    threads: options.threads ?? 1,
    worker: true,
  });
  try {
    const flat = (data: Float32Array): Tensor => ({ dtype: 'float32', dims: [layout.size], data });
    const fixed = { rates: flat(rates(layout, phase)), decay: flat(decay(layout)) };
    let state: Tensors = {
      weights: flat(start),
      firstMoment: flat(new Float32Array(layout.size)),
      secondMoment: flat(new Float32Array(layout.size)),
    };
    const average = start.slice();
    let best = { weights: start, accuracy: await options.measure(start) };
    let sinceBest = 0;
    let batch = options.nextBatch();
    for (let step = 1; step <= phase.steps && sinceBest < phase.patience; step++) {
      const running = session.run({ ...batch, ...state, ...fixed, ...schedule(phase, step) });
      batch = options.nextBatch(); // while the step runs in its thread
      const result = await running;
      const loss = scalarOf(result, 'loss');
      if (!Number.isFinite(loss)) {
        throw new PalateError('INTERNAL_SERVER_ERROR', `Training diverged at step ${step}: the loss is ${loss}.`);
      }
      state = {
        weights: result['newWeights']!,
        firstMoment: result['newFirstMoment']!,
        secondMoment: result['newSecondMoment']!,
      };
      moveAverage(average, state['weights']!.data as Float32Array, step);
      let validationAccuracy: number | null = null;
      if (step % measureEvery === 0 || step === phase.steps) {
        validationAccuracy = await options.measure(average);
        sinceBest++;
        if (validationAccuracy > best.accuracy) {
          best = { weights: average.slice(), accuracy: validationAccuracy };
          sinceBest = 0;
        }
      }
      options.onStep?.({
        phase: phase.name,
        step,
        steps: phase.steps,
        base: scalarOf(result, 'base'),
        contrastive: scalarOf(result, 'contrastive'),
        loss,
        gradientNorm: scalarOf(result, 'gradientNorm'),
        validationAccuracy,
      });
    }
    return best;
  } finally {
    await session.close();
  }
}

function rates(layout: ParameterLayout, phase: Phase): Float32Array {
  return perParameter(layout, ({ name }) => phase.rate(name));
}

function decay(layout: ParameterLayout): Float32Array {
  return perParameter(layout, (spec) => (spec.decay ? WEIGHT_DECAY : 0));
}

function perParameter(
  layout: ParameterLayout,
  value: (spec: ParameterLayout['specs'][number]) => number,
): Float32Array {
  const flat = new Float32Array(layout.size);
  for (const spec of layout.specs) {
    const { start, end } = layout.range(spec.name);
    flat.fill(value(spec), start, end);
  }
  return flat;
}

function schedule({ steps, learningRate }: Phase, step: number): Tensors {
  const warmUp = Math.max(1, steps / 10);
  const progress = Math.max(0, (step - warmUp) / Math.max(1, steps - warmUp));
  const share = step < warmUp ? step / warmUp : (1 + Math.cos(Math.PI * progress)) / 2;
  const scalar = (value: number): Tensor => ({ dtype: 'float32', dims: [], data: Float32Array.of(value) });
  return {
    learningRate: scalar(learningRate * share),
    correction1: scalar(1 / (1 - ADAMW.beta1 ** step)),
    correction2: scalar(1 / (1 - ADAMW.beta2 ** step)),
  };
}

/** Early steps average over all that came before, so that the start is soon forgotten. */
function moveAverage(average: Float32Array, weights: Float32Array, step: number): void {
  const keep = Math.min(AVERAGING, step / (step + 10));
  for (let i = 0; i < average.length; i++) average[i] = keep * average[i]! + (1 - keep) * weights[i]!;
}

const scalarOf = (tensors: Tensors, name: string): number => Number(tensors[name]!.data[0]);
