/**
 * How a model does on a tenant's people whom no training of the tenant learns from: their newest judgements foretold
 * from the older ones, beside the model before it and what a tenant could have used instead, on the same pairs. Knows
 * no database: it reads a snapshot.
 */
import { fromHalfFloats } from '../../halfFloats.ts';
import { type ItemVector, PreferenceModel } from '../../inference/preferenceModel.ts';
import type { ModelArtifact } from '../../model/artifact.ts';
import type { Random } from '../../random.ts';
import { chanceScorer, personalScorers, withPrior } from '../evaluation/baselineScorers.ts';
import type { TaskScorer } from '../evaluation/baselines.ts';
import { evaluate, HISTORY_LENGTHS, measurements, named, type Scorer } from '../evaluation/evaluation.ts';
import {
  type CalibrationBeforeAndAfter,
  measureCalibration,
  measureTimes,
  readTokens,
  type ScoreTimes,
  withoutTokens,
} from '../evaluation/modelMeasures.ts';
import { modelScorer } from '../evaluation/modelScorer.ts';
import { contentScorer, fitPrior, popularityScorer } from '../evaluation/populationPrior.ts';
import { type ReportRow, summarise } from '../evaluation/report.ts';
import { type TokenReport, tokenReport } from '../evaluation/tokenReport.ts';
import { expected } from '../fitting/ridge.ts';
import { type HistoryItem, type Task, targetsOf } from '../tasks.ts';
import { FeatureProducts } from './featureProducts.ts';
import { type HeldOutPerson, heldOutTasks, vectorsOf } from './heldOut.ts';
import { fitRidge } from './prior.ts';
import type { Snapshot } from './snapshot.ts';

/** Names in the rows. */
export const CANDIDATE = 'preference model';
export const CANDIDATE_WITHOUT_TOKENS = 'preference model, tokens off';
export const BEFORE = 'the model before';
/** The kind of people in the rows. */
export const PEOPLE = 'the tenant';

export interface FeedbackEvaluationInput {
  readonly snapshot: Snapshot;
  /** The tower of both made the snapshot's item vectors. */
  readonly model: ModelArtifact;
  /** The model that serves, to be held against; none for the model that serves itself. */
  readonly before?: ModelArtifact;
  readonly random: Random;
  onMeasured?(done: number, total: number): void;
}

export interface FeedbackEvaluation {
  readonly model: { readonly name: string; readonly sha256: string };
  readonly before: { readonly name: string; readonly sha256: string } | null;
  /** SHA-256 of the feedback. */
  readonly feedback: string;
  readonly people: number;
  readonly rows: readonly ReportRow[];
  readonly calibration: CalibrationBeforeAndAfter;
  /** Null with fewer people than `FEWEST_FOR_TOKENS`. */
  readonly tokens: TokenReport | null;
  readonly times: ScoreTimes;
}

const MOST_PEOPLE = 1_000;
/** People of the validation part that strengths of simple scorers are chosen on. */
const TUNING_PEOPLE = 100;
/** Simple scorers read so many of a history's judgements, the newest: their work grows with the square. */
const MOST_READ = 128;
/** Clusters of fewer people say nothing. */
const FEWEST_FOR_TOKENS = 40;
const TOKEN_PEOPLE = 480;

/** Null where nobody of the test part both liked and disliked something lately. */
export async function evaluateFeedback(input: FeedbackEvaluationInput): Promise<FeedbackEvaluation | null> {
  const { snapshot, model: artifact, before, random } = input;
  for (const of of before ? [artifact, before] : [artifact]) snapshot.checkTower(of);
  const people = withPrompts(snapshot, heldOutTasks(snapshot, 'test', MOST_PEOPLE));
  if (people.length === 0) return null;
  const tuning = withPrompts(snapshot, heldOutTasks(snapshot, 'validation', TUNING_PEOPLE));
  const vectors = vectorsOf(snapshot, [...people, ...tuning]);
  const open = [artifact, withoutTokens(artifact), ...(before ? [before] : [])].map((of) => PreferenceModel.open(of));
  const models = await Promise.all(open);
  try {
    const tasks = people.map(({ task }) => task);
    const names = [CANDIDATE, CANDIDATE_WITHOUT_TOKENS, BEFORE];
    const scorers = [
      ...models.map((model, i) => modelScorer(names[i]!, model, vectors)),
      ...simpleScorers(snapshot, people, tuning, vectors),
    ];
    const set = { lengths: [...HISTORY_LENGTHS, 'all' as const], people: new Map([[PEOPLE, tasks]]) };
    let done = 0;
    const outcomes = await evaluate(set, scorers, () => input.onMeasured?.(++done, measurements(set, scorers)));
    const [model] = models as [PreferenceModel];
    const enough = tasks.filter(({ history }) => history.length > 1).slice(0, TOKEN_PEOPLE);
    return {
      model: { name: artifact.manifest.name, sha256: artifact.manifest.weights.sha256 },
      before: before ? { name: before.manifest.name, sha256: before.manifest.weights.sha256 } : null,
      feedback: snapshot.manifest.sha256,
      people: tasks.length,
      rows: summarise(outcomes, { reference: CANDIDATE, random: random.split('bootstrap') }),
      calibration: await measureCalibration(model, vectors, tasks, random.split('calibration')),
      tokens:
        enough.length < FEWEST_FOR_TOKENS
          ? null
          : tokenReport(await readTokens(model, vectors, enough), random.split('tokens')),
      times: await measureTimes(model, vectors, longest(tasks)),
    };
  } finally {
    await Promise.all(models.map((model) => model.close()));
  }
}

/** Each target with its prompt: intervals are taken over people × prompts. */
function withPrompts(snapshot: Snapshot, people: readonly HeldOutPerson[]): HeldOutPerson[] {
  return people.map(({ person, task }) => ({
    person,
    task: { ...task, clusters: targetsOf(task).map((image) => snapshot.promptOf(image)) },
  }));
}

const longest = (tasks: readonly Task[]): Task => tasks.reduce((a, b) => (b.history.length > a.history.length ? b : a));

/** What a tenant could have used instead. Without tuning people or features, those that need them are left out. */
function simpleScorers(
  snapshot: Snapshot,
  people: readonly HeldOutPerson[],
  tuning: readonly HeldOutPerson[],
  vectors: readonly ItemVector[],
): Scorer[] {
  const ridge = fitRidge(snapshot);
  const content = (image: number) => expected(ridge, fromHalfFloats(vectors[image]!));
  const population = [
    chanceScorer,
    named('popularity', popularityScorer(0)),
    named('population content model', contentScorer(content)),
  ];
  const tasks = tuning.map(({ task }) => task);
  if (tasks.length === 0) return population;
  const prior = fitPrior(content, tasks);
  const scorers = [...population, named('population prior (popularity and content)', prior)];
  const images = imagesOf([...people, ...tuning]);
  if (!snapshot.featuresOf(images.slice(0, 1))) return scorers;
  const products = new FeatureProducts(images, (some) => snapshot.featuresOf(some)!);
  const personal = personalScorers('encoder features', products, products, tasks.map(newest)).map((of) => ({
    ...of,
    score: ofNewest(of.score),
    onTuning: ofNewest(of.onTuning),
  }));
  return [
    ...scorers,
    ...personal.map(({ name, score }) => named(name, score)),
    ...personal.map((of) => withPrior(of, prior, tasks)),
  ];
}

const newest = (task: Task): Task => ({ ...task, history: task.history.slice(0, MOST_READ) });
const ofNewest =
  (score: TaskScorer): TaskScorer =>
  (task) =>
    score(newest(task));

function imagesOf(people: readonly HeldOutPerson[]): number[] {
  const images = people.flatMap(({ task }) => [
    ...task.history.map(({ image }: HistoryItem) => image),
    ...targetsOf(task),
  ]);
  return [...new Set(images)].sort((a, b) => a - b);
}
