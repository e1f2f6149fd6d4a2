/**
 * How a base model does on simulated people over artists and tags that it never met, beside simple scorers on the same
 * pairs, and whether its profiles tell people apart. The report is data; reportFiles.ts writes it.
 */
import { type ItemVector, PreferenceModel } from '../../inference/preferenceModel.ts';
import type { ModelArtifact } from '../../model/artifact.ts';
import { Random } from '../../random.ts';
import { ratedTasks } from '../base/calibration.ts';
import { InputTransform } from '../fitting/inputTransform.ts';
import { type Matrix, matrix } from '../fitting/linearAlgebra.ts';
import { itemVectorsOf } from '../itemVectors.ts';
import { plantGroups, SimulatedPeople } from '../simulation/people.ts';
import { type Part, type Pictures, splitPictures } from '../simulation/pictures.ts';
import type { Task } from '../tasks.ts';
import { DRAWS } from './crossedBootstrap.ts';
import { evaluate, measurements } from './evaluation.ts';
import {
  type CalibrationBeforeAndAfter,
  measureCalibration,
  measureTimes,
  readTokens,
  type ScoreTimes,
  withoutTokens,
} from './modelMeasures.ts';
import { modelScorer } from './modelScorer.ts';
import { type ReportRow, summarise } from './report.ts';
import { featureSpaces, type MeasuredPeople, qualityEvaluation, tasteEvaluation } from './simulatedEvaluations.ts';
import { type TokenReport, tokenReport } from './tokenReport.ts';

/** The names of the model, and of itself with silent tokens, in the report's tables. */
export const MODEL = 'preference model';
export const WITHOUT_TOKENS = 'preference model, tokens off';

/** Everything measured; the same input on the same machine gives the same numbers, times apart. */
export interface BaseReport {
  readonly model: {
    readonly name: string;
    readonly sha256: string;
    readonly bytes: number;
    readonly command: string | null;
  };
  readonly seed: number;
  readonly pictures: number;
  /** Of each part of the split. */
  readonly artists: Readonly<Record<Part, number>>;
  /** Of the bootstrap. */
  readonly draws: number;
  readonly rows: readonly ReportRow[];
  readonly calibration: CalibrationBeforeAndAfter;
  readonly tokens: TokenReport;
  readonly times: ScoreTimes;
}

export interface BaseReportInput {
  readonly pictures: Pictures;
  /** (pictures, image encoder's numbers) */
  readonly features: Matrix;
  /** Of the split: that which the model was trained with, or its training artists are in the test. */
  readonly seed: number;
}

/** How many people an evaluation draws. */
export interface ReportSize {
  /** Of each kind: 3,000 give a standard error over people below half a point. */
  readonly people: number;
  /** Of the planted groups together. */
  readonly groupPeople: number;
  /** Of validation, of each kind that simple scorers are chosen on. */
  readonly tuningPeople: number;
  /** Six judgements each, for calibration. */
  readonly calibrationPeople: number;
}

export const REPORT_SIZE: ReportSize = {
  people: 3_000,
  groupPeople: 480,
  tuningPeople: 600,
  calibrationPeople: 3_500,
};

/** How far the measuring has come. */
export type OnMeasured = (done: number, total: number, what: string) => void;

const GROUPS = 6;

export async function reportBaseModel(
  { pictures, features, seed }: BaseReportInput,
  artifact: ModelArtifact,
  size: ReportSize,
  onMeasured: OnMeasured = () => {},
): Promise<BaseReport> {
  const { name, weights, training, architecture } = artifact.manifest;
  const split = splitPictures(pictures, seed);
  const random = new Random(seed).split('report');
  const z = imageTransform(artifact).apply(features);
  const groups = plantGroups(random.split('groups'), GROUPS, z.columns);
  const people = new SimulatedPeople({ pictures, split, z, groups });
  const open = [PreferenceModel.open(artifact), PreferenceModel.open(withoutTokens(artifact))] as const;
  const [model, silent] = await Promise.all(open);
  try {
    const vectors = await itemVectorsOf(model, features);
    const over = {
      pictures,
      split,
      z,
      spaces: featureSpaces({ pictures, split, features, z }, architecture.imageMetric),
    };
    const models = [modelScorer(MODEL, model, vectors), modelScorer(WITHOUT_TOKENS, silent, vectors)];
    const parts = [
      tasteEvaluation(people, over, size, random),
      qualityEvaluation(over, size, random.split('quality')),
    ].map(({ set, scorers }) => ({ set, scorers: [...models, ...scorers] }));
    const { train, validation, test } = split.artists;
    return {
      model: { name, sha256: weights.sha256, bytes: weights.bytes, command: commandOf(training) },
      seed,
      pictures: pictures.files.length,
      artists: { train: train.length, validation: validation.length, test: test.length },
      draws: DRAWS,
      rows: await measureRows(parts, random.split('bootstrap'), onMeasured),
      ...(await measureModel(model, vectors, people, size, random)),
    };
  } finally {
    await Promise.all([model.close(), silent.close()]);
  }
}

async function measureRows(
  parts: readonly MeasuredPeople[],
  random: Random,
  onMeasured: OnMeasured,
): Promise<ReportRow[]> {
  const total = parts.reduce((sum, { set, scorers }) => sum + measurements(set, scorers), 0);
  const rows: ReportRow[] = [];
  let done = 0;
  for (const { set, scorers } of parts) {
    const outcomes = await evaluate(set, scorers, (what) => onMeasured(++done, total, what));
    rows.push(...summarise(outcomes, { reference: MODEL, random }));
  }
  return rows;
}

async function measureModel(
  model: PreferenceModel,
  vectors: readonly ItemVector[],
  people: SimulatedPeople,
  size: ReportSize,
  random: Random,
): Promise<Pick<BaseReport, 'calibration' | 'tokens' | 'times'>> {
  const groupTasks = tasksOfGroups(people, size.groupPeople, random.split('group people'));
  const rated = ratedTasks(people, 'test', size.calibrationPeople, random.split('rated'));
  return {
    calibration: await measureCalibration(model, vectors, rated, random.split('calibration')),
    tokens: tokenReport(await readTokens(model, vectors, groupTasks), random.split('tokens')),
    times: await measureTimes(model, vectors, groupTasks[0]!),
  };
}

const commandOf = ({ command }: ModelArtifact['manifest']['training']): string | null =>
  typeof command === 'string' ? command : null;

/** The model's own step from an embedding to its input. */
function imageTransform({ transforms, manifest }: ModelArtifact): InputTransform {
  const { mean, projection, scale } = transforms.image;
  const weights = matrix(manifest.architecture.imageInputs, mean.length, projection);
  return new InputTransform(Float64Array.from(mean), weights, scale);
}

/** People of planted groups over test artists, 8+8. */
function tasksOfGroups(people: SimulatedPeople, count: number, random: Random): Task[] {
  const shape = { likes: 8, dislikes: 8, likedTargets: 1, dislikedTargets: 1 };
  return Array.from({ length: count }, (_, i) => people.sampleTask(random.split(i), 'group', 'test', shape));
}
