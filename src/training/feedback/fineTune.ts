/**
 * From a tenant's feedback to a model of its own: a population prior, then the network and its tokens trained on from
 * the model before, the item tower frozen. Deterministic for a seed on one thread, ended between two steps, resumed
 * from a checkpoint, stopped early on people held out. Knows no database: it reads a snapshot and returns a model.
 */
import { createHash } from 'node:crypto';
import { PreferenceModel } from '../../inference/preferenceModel.ts';
import type { ExecutionProvider } from '../../inference/session.ts';
import type { Architecture } from '../../model/architecture.ts';
import { type ModelArtifact, seal } from '../../model/artifact.ts';
import { initialParameters, parameterLayout } from '../../model/parameters.ts';
import type { BatchShape } from '../../model/trainingGraph.ts';
import { Random } from '../../random.ts';
import { VERSION } from '../../version.ts';
import { pairwiseAccuracy } from '../evaluation/metrics.ts';
import { readTokens } from '../evaluation/modelMeasures.ts';
import { modelScorer } from '../evaluation/modelScorer.ts';
import { ownHalvesFound } from '../evaluation/tokenReport.ts';
import type { Task } from '../tasks.ts';
import { type Measured, type Phase, type StepReport, trainPhase } from '../trainer.ts';
import { FeedbackBatcher } from './batches.ts';
import { calibrateOn } from './calibration.ts';
import { type CurvePoint, readCheckpoint, writeCheckpoint } from './checkpoint.ts';
import { whyTooLittle } from './floor.ts';
import { type HeldOutPerson, heldOutTasks, keptImageTasks, vectorsOf } from './heldOut.ts';
import { fitRidge } from './prior.ts';
import { fitPriorWeight, withPrior } from './priorWeight.ts';
import type { Snapshot } from './snapshot.ts';

export interface FineTuneInput {
  /** The model to go on from; its tower made the snapshot's item vectors. */
  readonly parent: ModelArtifact;
  readonly snapshot: Snapshot;
  readonly seed: number;
  /** Preference tokens of the new model: as many as the parent's, if left out. */
  readonly tokens?: number;
  /** Steps at most; training ends sooner where people held out gain nothing more. */
  readonly steps?: number;
  readonly shape?: BatchShape;
  readonly threads?: number;
  /** What runs the steps; the processor, if left out. Measuring is the processor's. */
  readonly provider?: ExecutionProvider;
  /** File that the state is kept in after each measurement, and gone on from where it is of the same run. */
  readonly checkpoint?: string;
  /** Ends the training before its next step. */
  readonly signal?: AbortSignal;
  onStage?(stage: FineTuneStage): void;
  /** Told of the steps that an earlier run has done, where one is gone on with. */
  onResumed?(curve: readonly CurvePoint[], steps: number): void;
  onStep?(step: StepReport): void;
}

export type FineTuneStage = 'fitting the population prior' | 'training' | 'calibrating';

export type FineTuned =
  | { readonly status: 'TRAINED'; readonly artifact: ModelArtifact; readonly validation: ValidationAccuracy }
  | { readonly status: 'DECLINED'; readonly reason: string };

/** Pairwise accuracy on people held out for early stopping, 0 to 1: what the choice of weights was made by. */
export interface ValidationAccuracy {
  readonly parent: number;
  /** The parent with the new prior, before the first step. */
  readonly start: number;
  readonly trained: number;
}

/** 64 people, up to 16 + 16 judgements, 2 pairs each. */
const SHAPE: BatchShape = { users: 64, judgements: 32, pairs: 2 };
const STEPS = 1_500;
const MEASURE_EVERY = 50;
const VALIDATION_PEOPLE = 1_000;
/** What finding a history's other half by the profile counts beside ranking, when the best weights are chosen. */
const PROFILE_SHARE = 0.25;
const PROFILE_PEOPLE = 240;
const FEWEST_FOR_PROFILES = 20;
const FEWEST_RANKED = 5;
const FEWEST_OF_HISTORY = 4;

const isToken = (name: string): boolean => /^(tokens$|tokenPath\.|probe$)|\.token(Keys|Values)$/.test(name);
const isCoefficient = (name: string): boolean => /^metricPath\.|^prior\.gain$/.test(name);
/** What item vectors, and people's batches, were made with. */
const isFrozen = (name: string): boolean => /^(item|metric)\.|^prior\.(ridge|constant|logPseudoCount)$/.test(name);

const phase = (steps: number): Phase => ({
  name: 'tenant',
  steps,
  learningRate: 1e-3,
  losses: { base: 1, contrastive: 1, token: 1, information: 1, twins: 1 },
  rate: (name) => (isFrozen(name) ? 0 : isToken(name) ? 1 : isCoefficient(name) ? 1 : 0.3),
  patience: 8,
});

/**
 * Throws the signal's reason where it is ended, BAD_USER_INPUT where the checkpoint is damaged or the snapshot is of
 * another tower, INTERNAL_SERVER_ERROR where the loss is no number any more.
 */
export async function fineTune(input: FineTuneInput): Promise<FineTuned> {
  const { snapshot, seed, signal } = input;
  snapshot.checkTower(input.parent);
  const tooLittle = whyTooLittle(snapshot);
  if (tooLittle) return { status: 'DECLINED', reason: tooLittle };
  const random = new Random(seed).split('tenant');
  const parent = withTokens(input.parent, input.tokens, random.split('tokens'));
  const { architecture } = parent.manifest;

  input.onStage?.('fitting the population prior');
  const ridge = fitRidge(snapshot);
  const weight = await fitPriorWeight(snapshot, ridge, parent, random.split('raters'));
  signal?.throwIfAborted();

  const validation = new Validation(snapshot, parent);
  const before = await validation.measure(parent.parameters);
  const start = withPrior(parent, ridge, weight);
  const { steps = STEPS, shape = SHAPE, checkpoint } = input;
  const batcher = new FeedbackBatcher({
    snapshot,
    architecture,
    shape,
    ridge,
    pseudoCount: weight.pseudoCount,
    random: random.split('batches'),
  });
  input.onStage?.('training');
  const run = nameRun(input, { steps, shape });
  const earlier = checkpoint ? await readCheckpoint(checkpoint, run) : null;
  if (earlier) input.onResumed?.(earlier.curve, steps);
  const curve = [...(earlier?.curve ?? [])];
  const atStart = await validation.measure(start);
  const trained = await trainPhase(start, phase(steps), {
    architecture,
    shape,
    rows: 'items',
    threads: input.threads ?? 1,
    provider: input.provider ?? 'cpu',
    measureEvery: MEASURE_EVERY,
    nextBatch: (step) => batcher.feeds(step),
    measure: (parameters) => validation.measure(parameters),
    ...(earlier ? { resume: earlier.state } : {}),
    ...(signal ? { signal } : {}),
    ...(checkpoint ? { onState: (state) => writeCheckpoint(checkpoint, run, { state, curve }) } : {}),
    onStep: (step) => {
      curve.push(step);
      input.onStep?.(step);
    },
  });

  input.onStage?.('calibrating');
  const accuracy = { parent: before.accuracy, start: atStart.accuracy, trained: trained.accuracy };
  const uncalibrated = seal({ ...parent, parameters: trained.weights });
  const calibration = await calibrateOn(validation.people, validation.vectors, uncalibrated, input.parent);
  const about = {
    name: 'tenant',
    description: 'Preference model trained on a tenant’s feedback.',
    licence: 'the tenant’s',
  };
  const manifest = { ...uncalibrated.manifest, ...about, calibration, training: lineage(input, accuracy) };
  return { status: 'TRAINED', artifact: { ...uncalibrated, manifest }, validation: accuracy };
}

/** People of the validation part: how well weights order what they judged, and whether profiles tell them. */
class Validation {
  readonly people: readonly HeldOutPerson[];
  readonly vectors: ReturnType<typeof vectorsOf>;
  readonly #artifact: ModelArtifact;
  /** What weights are chosen by: images kept from training, where enough people judged some. */
  readonly #ranked: readonly Task[];
  /** Those whose histories can be halved. */
  readonly #told: readonly Task[];

  constructor(snapshot: Snapshot, artifact: ModelArtifact) {
    this.people = heldOutTasks(snapshot, 'validation', VALIDATION_PEOPLE);
    const kept = keptImageTasks(snapshot, 'validation', VALIDATION_PEOPLE);
    this.#ranked = (kept.length < FEWEST_RANKED ? this.people : kept).map(({ task }) => task);
    this.#told = this.people
      .map(({ task }) => task)
      .filter(({ history }) => history.length >= FEWEST_OF_HISTORY)
      .slice(0, PROFILE_PEOPLE);
    this.vectors = vectorsOf(snapshot, [...this.people, ...kept]);
    this.#artifact = artifact;
  }

  async measure(parameters: Float32Array): Promise<Measured> {
    const model = await PreferenceModel.open({ ...this.#artifact, parameters });
    const tasks = this.#ranked;
    const scores = await modelScorer('model', model, this.vectors).score(tasks);
    const told = this.#told.length < FEWEST_FOR_PROFILES ? null : await readTokens(model, this.vectors, this.#told);
    await model.close();
    const accuracies = tasks.map(({ liked }, i) => {
      const values = Array.from(scores[i]!);
      return pairwiseAccuracy(values.slice(0, liked.length), values.slice(liked.length));
    });
    const accuracy = accuracies.reduce((sum, value) => sum + value, 0) / accuracies.length;
    const profiles = told ? ownHalvesFound(told.halves) : 0;
    return { accuracy, score: accuracy + PROFILE_SHARE * profiles };
  }
}

/** The same model with another number of tokens: the first ones stay, more are drawn. */
function withTokens(parent: ModelArtifact, tokens: number | undefined, random: Random): ModelArtifact {
  const { manifest, parameters } = parent;
  if (tokens === undefined || tokens === manifest.architecture.tokens) return parent;
  const architecture: Architecture = { ...manifest.architecture, tokens };
  const [from, to] = [parameterLayout(manifest.architecture), parameterLayout(architecture)];
  const changed = initialParameters(architecture, random);
  for (const { name } of to.specs) {
    const { start, end } = from.range(name);
    const place = to.range(name);
    changed.set(parameters.subarray(start, Math.min(end, start + place.end - place.start)), place.start);
  }
  return { ...parent, manifest: { ...manifest, architecture }, parameters: changed };
}

/** Two runs of the same name take the same steps: another version of Palate may take others. */
function nameRun({ parent, snapshot, seed, tokens }: FineTuneInput, sizes: { steps: number; shape: BatchShape }) {
  const { sha256 } = parent.manifest.weights;
  const parts = {
    parent: sha256,
    feedback: snapshot.manifest.sha256,
    seed,
    tokens: tokens ?? null,
    ...sizes,
    code: VERSION,
  };
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
}

function lineage({ parent, snapshot, seed }: FineTuneInput, validationAccuracy: ValidationAccuracy) {
  const { sha256, people, judgements } = snapshot.manifest;
  return { parent: parent.manifest.weights.sha256, feedback: sha256, people, judgements, seed, validationAccuracy };
}
