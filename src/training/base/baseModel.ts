/**
 * Version 0: trained from the closed form on people simulated over real pictures, in two phases as in the paper. Hands
 * back a model that is calibrated on artists, tags and people that it never met. Knows no file and no database.
 */
import { PreferenceModel } from '../../inference/preferenceModel.ts';
import type { Tensors } from '../../inference/session.ts';
import type { Architecture } from '../../model/architecture.ts';
import { type ModelArtifact, seal } from '../../model/artifact.ts';
import { Random } from '../../random.ts';
import { Batcher } from '../batches.ts';
import { type EvaluationSet, evaluate } from '../evaluation/evaluation.ts';
import { readTokens } from '../evaluation/modelMeasures.ts';
import { modelScorer } from '../evaluation/modelScorer.ts';
import { buildEvaluationSet } from '../evaluation/simulatedSet.ts';
import { ownHalvesFound } from '../evaluation/tokenReport.ts';
import { InputTransform } from '../fitting/inputTransform.ts';
import type { Matrix } from '../fitting/linearAlgebra.ts';
import { itemVectorsOf } from '../itemVectors.ts';
import { type Kind, plantGroups, SimulatedPeople } from '../simulation/people.ts';
import { PromptPeople } from '../simulation/promptPeople.ts';
import type { Task } from '../tasks.ts';
import { type Measured, trainPhase } from '../trainer.ts';
import { calibrate } from './calibration.ts';
import { type BaseModel, type BaseModelInput, closedForm } from './closedForm.ts';
import { BATCH, type BasePhase, phases, sampleTrainingTask } from './recipe.ts';

/** Planted groups that training draws people from: many, so that what is learned is telling groups, not these ones. */
const TRAINING_GROUPS = 24;
const MEASURE_EVERY = 50;
/** Of the people whose profiles are looked at while training. */
const VALIDATION_GROUPS = 6;
const VALIDATION_GROUP_PEOPLE = 240;

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

  /** With profiles, the score is the mean of accuracy and of how well half histories find their other half. */
  async #measure(artifact: ModelArtifact, profiles: boolean): Promise<Measured> {
    const model = await PreferenceModel.open(artifact);
    const vectors = await itemVectorsOf(model, this.#input.features);
    const outcomes = await evaluate(this.#validation, [modelScorer('model', model, vectors)]);
    const accuracy = mean(outcomes.map(({ pairwise }) => mean(pairwise)));
    const halves = profiles ? (await readTokens(model, vectors, this.#grouped)).halves : null;
    await model.close();
    if (!halves) return { accuracy, score: accuracy };
    return { accuracy, score: (accuracy + ownHalvesFound(halves)) / 2 };
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

function validationTasks(people: SimulatedPeople, random: Random) {
  const kinds: Kind[] = ['tags', 'artists', 'mixture'];
  return buildEvaluationSet(people, random, { part: 'validation', kinds, count: 300, lengths: [1, 4, 8] });
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
