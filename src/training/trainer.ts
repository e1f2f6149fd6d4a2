/**
 * The training loop: runs the step graph over batches in phases, keeps a running average of the weights, measures it on
 * held-out people and gives back the best. It can be stopped between two steps and go on from a state it gave out.
 * Knows neither people nor pictures: batches and the measure are handed in.
 */
import { PalateError } from '../errors.ts';
import { type ExecutionProvider, openSession, type Tensor, type Tensors } from '../inference/session.ts';
import type { Architecture } from '../model/architecture.ts';
import { type ParameterLayout, parameterLayout } from '../model/parameters.ts';
import { ADAMW, type BatchRows, type BatchShape, type LossWeights, trainingGraph } from '../model/trainingGraph.ts';

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
  /** What batches bring: 'inputs' if left out. */
  readonly rows?: BatchRows;
  readonly threads?: number;
  /** What runs the steps; the processor, if left out. */
  readonly provider?: ExecutionProvider;
  /** Steps between two measurements. */
  readonly measureEvery: number;
  /** The batch of a step, from 1. A training that is to be resumed needs the same one for the same step. */
  nextBatch(step: number): Tensors;
  /** On held-out people. */
  measure(weights: Float32Array): Promise<Measured>;
  onStep?(step: StepReport): void;
  /** Ends the phase before its next step: `trainPhase` then throws the signal's reason. */
  readonly signal?: AbortSignal;
  /** Where an earlier run of the same phase came to. */
  readonly resume?: PhaseState;
  /** Given the state after each measurement, to be kept. The arrays stay as they are until it resolves. */
  onState?(state: PhaseState): Promise<void>;
}

/** Everything that a phase goes on from: with the same batches, to the same weights. Flat vectors. */
export interface PhaseState {
  /** The last step that was done. */
  readonly step: number;
  readonly weights: Float32Array;
  readonly firstMoment: Float32Array;
  readonly secondMoment: Float32Array;
  /** Running average of the weights. */
  readonly average: Float32Array;
  readonly best: PhaseResult;
  /** Measurements since the best. */
  readonly sinceBest: number;
}

export interface Measured {
  /** Pairwise accuracy, 0 to 1. */
  readonly accuracy: number;
  /** What the best weights are chosen by: higher is better. */
  readonly score: number;
}

export interface PhaseResult extends Measured {
  readonly weights: Float32Array;
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
 * none did better). Adam's state begins anew. Throws INTERNAL_SERVER_ERROR when the loss is no number any more, and the
 * signal's reason when it is ended.
 */
export async function trainPhase(start: Float32Array, phase: Phase, options: TrainerOptions): Promise<PhaseResult> {
  const { architecture, shape, rows = 'inputs', measureEvery, signal } = options;
  const layout = parameterLayout(architecture);
  const { resume } = options;
  let state = resume ? { ...resume, average: resume.average.slice() } : await beginning(start, options);
  const session = await openSession(trainingGraph(architecture, shape, phase.losses, { rows }), {
    threads: options.threads ?? 1,
    provider: options.provider ?? 'cpu',
    worker: true,
  });
  try {
    const flat = (data: Float32Array): Tensor => ({ dtype: 'float32', dims: [layout.size], data });
    const fixed = { rates: flat(rates(layout, phase)), decay: flat(decay(layout)) };
    const goesOn = () => state.step < phase.steps && state.sinceBest < phase.patience;
    let batch = goesOn() ? options.nextBatch(state.step + 1) : {};
    while (goesOn()) {
      signal?.throwIfAborted();
      const step = state.step + 1;
      const { weights, firstMoment, secondMoment } = state;
      const learned = { weights: flat(weights), firstMoment: flat(firstMoment), secondMoment: flat(secondMoment) };
      const running = session.run({ ...batch, ...learned, ...fixed, ...schedule(phase, step) });
      if (step < phase.steps) batch = options.nextBatch(step + 1); // while the step runs in its thread
      const result = await running;
      const loss = scalarOf(result, 'loss');
      if (!Number.isFinite(loss)) {
        throw new PalateError('INTERNAL_SERVER_ERROR', `Training diverged at step ${step}: the loss is ${loss}.`);
      }
      const vector = (name: string) => result[name]!.data as Float32Array;
      state = {
        ...state,
        step,
        weights: vector('newWeights'),
        firstMoment: vector('newFirstMoment'),
        secondMoment: vector('newSecondMoment'),
      };
      moveAverage(state.average, state.weights, step);
      const measured = step % measureEvery === 0 || step === phase.steps;
      const found = measured ? await options.measure(state.average) : null;
      if (found !== null) state = { ...state, ...judged(state, found) };
      options.onStep?.({
        phase: phase.name,
        step,
        steps: phase.steps,
        base: scalarOf(result, 'base'),
        contrastive: 'contrastive' in result ? scalarOf(result, 'contrastive') : 0,
        loss,
        gradientNorm: scalarOf(result, 'gradientNorm'),
        validationAccuracy: found?.accuracy ?? null,
      });
      if (measured) await options.onState?.(state);
    }
    return state.best;
  } finally {
    await session.close();
  }
}

async function beginning(start: Float32Array, { measure }: TrainerOptions): Promise<PhaseState> {
  return {
    step: 0,
    weights: start,
    firstMoment: new Float32Array(start.length),
    secondMoment: new Float32Array(start.length),
    average: start.slice(),
    best: { weights: start, ...(await measure(start)) },
    sinceBest: 0,
  };
}

/** After a measurement: the better of the best and the average. */
function judged({ average, best, sinceBest }: PhaseState, found: Measured): Pick<PhaseState, 'best' | 'sinceBest'> {
  if (found.score > best.score) return { best: { weights: average.slice(), ...found }, sinceBest: 0 };
  return { best, sinceBest: sinceBest + 1 };
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
