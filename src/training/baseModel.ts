/**
 * Version 0: fits the frozen steps in closed form, starts the network as the prototype scorer on them and trains from
 * there on people simulated over real pictures, in two phases as in the paper. Hands back a model and how it did on
 * artists, tags and people that it never met. Knows no file and no database.
 */
import { likeRateLogit } from '../inference/calibration.ts';
import { type ItemVector, PreferenceModel } from '../inference/preferenceModel.ts';
import type { Tensors } from '../inference/session.ts';
import { type Architecture, BASE_ARCHITECTURE } from '../model/architecture.ts';
import { type ModelArtifact, seal } from '../model/artifact.ts';
import type { InputTransformWeights } from '../model/graphs.ts';
import { initialParameters, parameterLayout } from '../model/parameters.ts';
import type { BatchShape } from '../model/trainingGraph.ts';
import { Random } from '../random.ts';
import { Batcher, type PromptedTask } from './batches.ts';
import { type EvaluationSet, evaluate } from './evaluation/evaluation.ts';
import { readTokens } from './evaluation/modelMeasures.ts';
import { modelScorer, scoreTasks } from './evaluation/modelScorer.ts';
import { fartherThanTwin } from './evaluation/profileClusters.ts';
import { buildEvaluationSet } from './evaluation/simulatedSet.ts';
import { rootsOf } from './evaluation/tokenReport.ts';
import { type CalibrationSample, fitCalibration, fitStandardErrors } from './fitting/calibrationFit.ts';
import type { Discriminant } from './fitting/discriminant.ts';
import { InputTransform } from './fitting/inputTransform.ts';
import { type Matrix, takeRows } from './fitting/linearAlgebra.ts';
import { fitMetricStart } from './fitting/metricStart.ts';
import { type Kind, plantGroups, SimulatedPeople, sampleHistoryCounts } from './simulation/people.ts';
import { imagesOfPart, type Part, type Pictures, type Split, splitPictures } from './simulation/pictures.ts';
import { PromptPeople } from './simulation/promptPeople.ts';
import { type Task, withHistory } from './tasks.ts';
import { type Phase, type StepReport, trainPhase } from './trainer.ts';

export interface BaseModelInput {
  readonly pictures: Pictures;
  /** (pictures, image encoder's numbers) */
  readonly features: Matrix;
  /** (prompts, text encoder's numbers): prompts as people write them, for the text statistics. */
  readonly promptEmbeddings: Matrix;
  readonly encoders: { readonly image: string; readonly text: string };
  readonly seed: number;
  /** Steps of the two phases; 0 and 0 gives the closed form. */
  readonly steps: { readonly network: number; readonly tokens: number };
  readonly threads?: number;
  /** Of starting weights and people, where the split is to stay that of `seed`. */
  readonly trainingSeed?: number;
  readonly about: Pick<ModelArtifact['manifest'], 'name' | 'description' | 'licence' | 'training'>;
  onStep?(step: StepReport): void;
}

export interface BaseModel {
  readonly artifact: ModelArtifact;
  readonly split: Split;
  readonly transform: InputTransform;
  /** What the image metric starts as: e before the first step of training. */
  readonly metric: Discriminant;
  /** Between artists alone: what a simple scorer could use. */
  readonly artists: Discriminant;
}

/** One batch: 64 people, up to 16 + 16 judgements, 2 pairs each. */
export const BATCH: BatchShape = { users: 64, judgements: 32, pairs: 2 };
const LONGEST_SIDE = 16;
/** Planted groups that training draws people from: many, so that what is learned is telling groups, not these ones. */
const TRAINING_GROUPS = 24;

/** A training task is of one of these kinds, each as often as it stands here. */
const KINDS: readonly (Kind | 'prompts')[] = (
  [
    ['tags', 6],
    ['artists', 4],
    ['direction', 2],
    ['mixture', 2],
    ['group', 4],
    ['prompts', 2],
  ] as const
).flatMap(([kind, times]) => Array(times).fill(kind));
/** Share of histories' like–dislike pairs that are exchanged, at most: people do not always judge as they would. */
const MOST_NOISE = 0.15;

const isToken = (name: string): boolean => /^(tokens|tokenPath\.|probe$)|\.token(Keys|Values)$/.test(name);
const isCoefficient = (name: string): boolean => /^metricPath\.|^tokenPath\.gain$/.test(name);

/** What stays as the closed form made it: the population prior, and how pictures are compared by the metric path. */
const isFixed = (name: string): boolean => /^(prior|metric\.image|metricPath\.image)/.test(name);

/**
 * A parameter's share of the learning rate. The pictures' metric is fixed: of the artists that it was made from it
 * tells far more than of others, so that what it learns there costs 1 to 2 points of every kind of people held out.
 */
function rate(name: string): number {
  if (isFixed(name)) return 0;
  if (name.startsWith('metric.')) return 0.3;
  return isCoefficient(name) ? 3 : 1;
}

const MEASURE_EVERY = 50;
/** Of the people whose profiles are looked at while training. */
const VALIDATION_GROUPS = 6;
const VALIDATION_GROUP_PEOPLE = 240;

export interface BasePhase extends Phase {
  /** Profiles are measured too: the best weights are those that order pictures and tell people. */
  readonly profiles: boolean;
  /** Steps between two measurements; 50, if left out. */
  readonly measureEvery?: number;
}

/** Phase 1 trains the network, with the tokens silent; phase 2 network and tokens together. */
export function phases({ network, tokens }: BaseModelInput['steps']): readonly [network: BasePhase, tokens: BasePhase] {
  return [
    {
      name: 'network',
      steps: network,
      learningRate: 1e-3,
      losses: { base: 1, contrastive: 1, token: 0, information: 0, twins: 0 },
      rate: (name) => (isToken(name) ? 0 : rate(name)),
      patience: 8,
      profiles: false,
    },
    {
      name: 'network and tokens',
      steps: tokens,
      learningRate: 1e-3,
      losses: { base: 1, contrastive: 1, token: 1, information: 1, twins: 0.5 },
      rate: (name) => (isToken(name) ? rate(name) : 0.3 * rate(name)),
      patience: 100,
      profiles: true,
    },
  ];
}

/** The closed form: transforms, discriminant, and the network that starts as the prototype scorer on them. */
export function closedForm(input: BaseModelInput, architecture: Architecture = BASE_ARCHITECTURE): BaseModel {
  const { pictures, features, promptEmbeddings, seed } = input;
  const split = splitPictures(pictures, seed);
  const trainImages = imagesOfPart(pictures, split, 'train');
  const { imageInputs, textInputs, imageMetric, textMetric } = architecture;
  const transform = InputTransform.fit(takeRows(features, trainImages), {
    dimensions: imageInputs,
    scale: Math.sqrt(imageInputs),
  });
  const textTransform = InputTransform.fit(promptEmbeddings, { dimensions: textInputs, scale: Math.sqrt(textInputs) });
  const z = transform.apply(takeRows(features, trainImages));
  const { metric: start, artists } = fitMetricStart(z, trainImages, { pictures, split }, imageMetric);

  const parameters = initialParameters(architecture, new Random(input.trainingSeed ?? seed).split('parameters'));
  const layout = parameterLayout(architecture);
  const metric = layout.range('metric.image').start; // (imageInputs, imageMetric)
  const { weights } = start; // (imageMetric, imageInputs)
  for (let out = 0; out < imageMetric; out++) {
    for (let i = 0; i < imageInputs; i++) {
      parameters[metric + i * imageMetric + out] = weights.data[out * imageInputs + i]!;
    }
  }
  parameters.set(start.bias, layout.range('metric.imageBias').start);
  // Prompts have no classes to tell apart: their metric starts as their leading components, and so does what the
  // blocks read of a picture.
  const leading = (name: string, outputs: number) => {
    const { start, end } = layout.range(name);
    parameters.fill(0, start, end);
    for (let i = 0; i < outputs; i++) parameters[start + i * outputs + i] = 1;
  };
  leading('metric.text', textMetric);
  leading('item.image', architecture.width);

  const transforms = { image: transformWeights(transform), text: transformWeights(textTransform) };
  const uncalibrated = {
    temperature: 1,
    offset: 0,
    likeRateWeight: 0,
    standardErrors: [{ judgements: 0, logit: 1 }],
  };
  const manifest: ModelArtifact['manifest'] = {
    format: 'palate-model-1',
    ...input.about,
    weights: { file: 'weights.bin', sha256: '', bytes: 1 },
    architecture,
    encoders: input.encoders,
    inputTransforms: {
      image: { inputs: features.columns, scale: transform.scale },
      text: { inputs: promptEmbeddings.columns, scale: textTransform.scale },
    },
    calibration: uncalibrated,
  };
  return { artifact: seal({ manifest, parameters, transforms }), split, transform, metric: start, artists };
}

/** Trains from the closed form. The same input gives the same model on one thread. */
export async function trainBaseModel(input: BaseModelInput): Promise<BaseModel> {
  const start = closedForm(input);
  const training = new BaseTraining(input, start);
  let { parameters } = start.artifact;
  for (const phase of phases(input.steps)) parameters = await training.run(phase, parameters);
  return training.finish(parameters);
}

/** What base models are trained on and stopped by: people simulated over the pictures of a closed form's split. */
export class BaseTraining {
  readonly #input: BaseModelInput;
  readonly #start: BaseModel;
  readonly #random: Random;
  readonly #people: SimulatedPeople;
  readonly #nextBatch: () => Tensors;
  readonly #validation: EvaluationSet;
  readonly #grouped: readonly Task[];

  constructor(input: BaseModelInput, start: BaseModel) {
    const { pictures, features, seed } = input;
    const { split, transform, artifact } = start;
    const random = new Random(seed).split('training');
    const z = transform.apply(features);
    const prompts = applyText(artifact, input.promptEmbeddings);
    const people = (groups: string, count: number) =>
      new SimulatedPeople({ pictures, split, z, groups: plantGroups(random.split(groups), count, z.columns) });
    const drawn = random.split(`tasks ${input.trainingSeed ?? seed}`);
    const batcher = new Batcher(artifact.manifest.architecture, BATCH, { images: z, prompts }, seed);
    this.#input = input;
    this.#start = start;
    this.#random = random;
    this.#people = people('groups', TRAINING_GROUPS);
    const promptPeople = new PromptPeople(this.#people, prompts);
    this.#nextBatch = () =>
      batcher.feeds(
        Array.from({ length: BATCH.users }, () => sampleTrainingTask(this.#people, promptPeople, drawn)),
        drawn,
      );
    this.#validation = validationTasks(this.#people, random.split('validation'));
    this.#grouped = groupTasks(people('validation groups', VALIDATION_GROUPS), random.split('grouped'));
  }

  /** @param architecture the start's, if left out: another one with the same parameters */
  async run(phase: BasePhase, parameters: Float32Array, architecture?: Architecture): Promise<Float32Array> {
    const artifact = withArchitecture(this.#start.artifact, architecture);
    const { weights } = await trainPhase(parameters, phase, {
      architecture: artifact.manifest.architecture,
      shape: BATCH,
      threads: this.#input.threads ?? 1,
      measureEvery: phase.measureEvery ?? MEASURE_EVERY,
      nextBatch: this.#nextBatch,
      measure: (at) => this.#measure({ ...artifact, parameters: at }, phase.profiles),
      ...(this.#input.onStep ? { onStep: this.#input.onStep } : {}),
    });
    return weights;
  }

  /** Calibrates on people of validation artists and states the weights' hash. */
  async finish(parameters: Float32Array, architecture?: Architecture): Promise<BaseModel> {
    const trained = seal({ ...withArchitecture(this.#start.artifact, architecture), parameters });
    const random = this.#random.split('calibration');
    const calibration = await calibrate(trained, this.#input.features, this.#people, random);
    return { ...this.#start, artifact: { ...trained, manifest: { ...trained.manifest, calibration } } };
  }

  /** Pairwise accuracy; with profiles, its mean with the share of halves that are farther than a history's other half. */
  async #measure(artifact: ModelArtifact, profiles: boolean): Promise<number> {
    const model = await PreferenceModel.open(artifact);
    const vectors = await itemVectorsOf(model, this.#input.features);
    const outcomes = await evaluate(this.#validation, [modelScorer('model', model, vectors)]);
    const accuracy = mean(outcomes.map(({ pairwise }) => mean(pairwise)));
    const halves = profiles ? (await readTokens(model, vectors, this.#grouped)).halves : null;
    await model.close();
    if (!halves) return accuracy;
    const both = [...halves.map(([first]) => first), ...halves.map(([, second]) => second)];
    return (accuracy + mean(fartherThanTwin(rootsOf(both.map(({ profile }) => profile))))) / 2;
  }
}

const withArchitecture = (artifact: ModelArtifact, architecture = artifact.manifest.architecture): ModelArtifact => ({
  ...artifact,
  manifest: { ...artifact.manifest, architecture },
});

/** People of planted groups that training knows nothing of, among validation artists. */
function groupTasks(people: SimulatedPeople, random: Random): Task[] {
  const shape = { likes: 8, dislikes: 8, likedTargets: 1, dislikedTargets: 1 };
  return Array.from({ length: VALIDATION_GROUP_PEOPLE }, () => people.sampleTask(random, 'group', 'validation', shape));
}

/** A person of a random kind, with a history of any length, some judgements wrong, some weights other than 1. */
function sampleTrainingTask(people: SimulatedPeople, promptPeople: PromptPeople, random: Random): PromptedTask {
  const counts = sampleHistoryCounts(random, LONGEST_SIDE);
  const shape = {
    ...counts,
    likedTargets: BATCH.pairs,
    dislikedTargets: BATCH.pairs,
    flipRate: random.between(0, MOST_NOISE),
  };
  const kind = random.pick(KINDS);
  const task =
    kind === 'prompts' ? promptPeople.sampleTask(random, shape) : people.sampleTask(random, kind, 'train', shape);
  return { ...task, history: task.history.map((item) => ({ ...item, weight: sampleWeight(random) })) };
}

/** Most judgements weigh 1; one in five anything from a quarter to four. */
const sampleWeight = (random: Random): number => (random.int(5) === 0 ? Math.exp(random.between(-1.4, 1.4)) : 1);

function validationTasks(people: SimulatedPeople, random: Random) {
  const kinds: Kind[] = ['tags', 'artists', 'mixture'];
  return buildEvaluationSet(people, random, { part: 'validation', kinds, count: 300, lengths: [1, 4, 8] });
}

/** Item vectors of all pictures, without prompts. */
export function itemVectorsOf(model: PreferenceModel, features: Matrix): Promise<ItemVector[]> {
  const { rows, columns, data } = features;
  const items = Array.from({ length: rows }, (_, i) => ({
    image: Float32Array.from(data.subarray(i * columns, (i + 1) * columns)),
    text: null,
  }));
  return model.itemVectors(items);
}

/** Judgements on each side of the histories that standard errors are measured with. */
const TWIN_SIDES = [0, 1, 2, 4, 8];
const CALIBRATION_PEOPLE = 1_000;
const CALIBRATION_KINDS: readonly Kind[] = ['tags', 'artists', 'direction', 'mixture'];
const RATED_TARGETS = 6;

/** People who like anything from a tenth to nine tenths of what they see, judged and targets alike. */
export function ratedTasks(people: SimulatedPeople, part: Part, count: number, random: Random): Task[] {
  const liked = (seen: number, rate: number) => Array.from({ length: seen }, () => random.uniform() < rate);
  return Array.from({ length: count }, (_, i) => {
    const rate = random.between(0.1, 0.9);
    const seen = random.int(17);
    const likes = liked(seen, rate).filter(Boolean).length;
    const likedTargets = liked(RATED_TARGETS, rate).filter(Boolean).length;
    const shape = { likes, dislikes: seen - likes, likedTargets, dislikedTargets: RATED_TARGETS - likedTargets };
    return people.sampleTask(random, CALIBRATION_KINDS[i % CALIBRATION_KINDS.length]!, part, shape);
  });
}

/** Fits calibration on people of validation artists. */
async function calibrate(artifact: ModelArtifact, features: Matrix, people: SimulatedPeople, random: Random) {
  const model = await PreferenceModel.open(artifact);
  const vectors = await itemVectorsOf(model, features);
  const rated = ratedTasks(people, 'validation', CALIBRATION_PEOPLE, random);
  const samples = (await scoreTasks(model, vectors, rated)).flatMap(({ state, scores }, i): CalibrationSample[] =>
    scores.map(({ like, dislike }, t) => ({
      margin: like - dislike,
      likeRateLogit: likeRateLogit(state),
      liked: t < rated[i]!.liked.length,
    })),
  );
  const fitted = fitCalibration(samples);

  const side = TWIN_SIDES.at(-1)!;
  const long = Array.from({ length: CALIBRATION_PEOPLE }, (_, i) => {
    const shape = { likes: 2 * side, dislikes: 2 * side, likedTargets: 3, dislikedTargets: 3 };
    return people.sampleTask(random, CALIBRATION_KINDS[i % CALIBRATION_KINDS.length]!, 'validation', shape);
  });
  const margins = async (tasks: Task[]) =>
    (await scoreTasks(model, vectors, tasks)).flatMap(({ scores }) => scores.map((s) => s.like - s.dislike));
  const second = await margins(long.map((task) => secondHalf(task, side)));
  const twins = [];
  for (const length of TWIN_SIDES) {
    twins.push({ judgements: 2 * length, first: await margins(long.map((task) => withHistory(task, length))), second });
  }
  await model.close();
  return { ...fitted, standardErrors: fitStandardErrors(fitted.temperature, twins) };
}

/** The task without the newest `count` judgements of each side. */
function secondHalf(task: Task, count: number): Task {
  const left = { LIKE: count, DISLIKE: count };
  return { ...task, history: task.history.filter((item) => left[item.sentiment]-- <= 0) };
}

function transformWeights({ mean, projection, scale }: InputTransform): InputTransformWeights {
  return { mean: Float32Array.from(mean), projection: Float32Array.from(projection.data), scale };
}

/** Prompts after their transform, as the item graph makes them. */
function applyText({ transforms, manifest }: ModelArtifact, embeddings: Matrix): Matrix {
  const { mean, projection, scale } = transforms.text;
  const rows = manifest.architecture.textInputs;
  const transform = new InputTransform(
    Float64Array.from(mean),
    { rows, columns: mean.length, data: Float64Array.from(projection) },
    scale,
  );
  return transform.apply(embeddings);
}

const mean = (values: ArrayLike<number>): number => Array.from(values).reduce((sum, v) => sum + v, 0) / values.length;
