/**
 * How a base model does on artists and tags that it never met, beside simple scorers on the same pairs, and whether
 * its profiles tell people apart. The report is data; report.ts writes the tables.
 */
import { calibrated } from '../../inference/calibration.ts';
import { type ItemVector, PreferenceModel } from '../../inference/preferenceModel.ts';
import { Random } from '../../random.ts';
import { type BaseModel, type BaseModelInput, itemVectorsOf, ratedTasks } from '../baseModel.ts';
import { momentsOf, standardise } from '../fitting/inputTransform.ts';
import { type Matrix, takeRows } from '../fitting/linearAlgebra.ts';
import { type Kind, plantGroups, SimulatedPeople } from '../simulation/people.ts';
import { imagesOfPart, type Part } from '../simulation/pictures.ts';
import type { Task } from '../tasks.ts';
import { InnerProducts } from './baselines.ts';
import { type CalibrationReport, reportCalibration } from './calibrationReport.ts';
import { baselineScorers, buildEvaluationSet, chanceScorer, evaluate, type Scorer } from './evaluation.ts';
import { type Interval, meanInterval } from './metrics.ts';
import { modelScorer, scoreTasks } from './modelScorer.ts';
import { type ReportRow, summarise } from './report.ts';

/** The name of the model in the report's tables. */
export const MODEL = 'preference model';

export interface BaseReport {
  readonly rows: readonly ReportRow[];
  readonly calibration: CalibrationReport;
  readonly profiles: ProfileReport;
}

/** Of people in planted groups of taste that training never saw: how alike their profiles are. */
export interface ProfileReport {
  readonly people: number;
  readonly groups: number;
  /** Mean similarity (1 − Hellinger distance) to the own group. */
  readonly within: number;
  /** Mean similarity to the other groups. */
  readonly across: number;
  /** Within less across, by person. */
  readonly difference: Interval;
  /** For each layer, the mean Hellinger distance between two people's attention: 0 would be the same for all. */
  readonly layerDistances: readonly number[];
  /** Of each person's three nearest, how many are of the own group; by chance a third of the groups' share. */
  readonly nearestOfGroup: Interval;
}

/** What an evaluation draws: 3,000 people of each kind give a standard error below half a point. */
export interface ReportSize {
  readonly people: number;
  readonly groupPeople: number;
}

const KINDS: readonly Kind[] = ['tags', 'artists', 'mixture', 'direction'];
const TUNING_KINDS: readonly Kind[] = ['tags', 'artists'];
const TUNING_PEOPLE = 600;
/** Six judgements each: 21,000. */
const CALIBRATION_PEOPLE = 3_500;
const GROUPS = 6;

export async function reportBaseModel(
  { pictures, features, seed }: Pick<BaseModelInput, 'pictures' | 'features' | 'seed'>,
  { artifact, split, transform, artists }: BaseModel,
  size: ReportSize,
): Promise<BaseReport> {
  const random = new Random(seed).split('report');
  const z = transform.apply(features);
  const groups = plantGroups(random.split('groups'), GROUPS, z.columns);
  const people = new SimulatedPeople({ pictures, split, z, groups });
  const model = await PreferenceModel.open(artifact);
  const vectors = await itemVectorsOf(model, features);

  const tuning = [...tuningTasks(people, random)];
  const trainFeatures = takeRows(features, imagesOfPart(pictures, split, 'train'));
  const spaces: [string, Matrix][] = [
    ['plain: standardised', standardise(features, momentsOf(trainFeatures))],
    ['plain: input transform', z],
    ['LDA', artists.apply(z)],
  ];
  const scorers: Scorer[] = [modelScorer(MODEL, model, vectors), chanceScorer];
  for (const [name, space] of spaces) {
    const products = (part: Part) => new InnerProducts(space, imagesOfPart(pictures, split, part));
    scorers.push(...baselineScorers(name, products('test'), products('validation'), tuning));
  }
  const set = buildEvaluationSet(people, random.split('people'), { part: 'test', kinds: KINDS, count: size.people });
  const rows = summarise(await evaluate(set, scorers), MODEL);

  const rated = ratedTasks(people, 'test', CALIBRATION_PEOPLE, random.split('rated'));
  const report = {
    rows,
    calibration: await calibrationOf(model, vectors, rated, random.split('calibration')),
    profiles: await profileReport(model, vectors, groupTasks(people, size.groupPeople, random.split('group people'))),
  };
  await model.close();
  return report;
}

/** People of validation artists, 8+8, for the strengths of the baselines. */
function tuningTasks(people: SimulatedPeople, random: Random): Task[] {
  const options = { part: 'validation', kinds: TUNING_KINDS, count: TUNING_PEOPLE, lengths: [8] } as const;
  return [...buildEvaluationSet(people, random.split('tuning'), options).people.values()].flat();
}

async function calibrationOf(
  model: PreferenceModel,
  vectors: readonly ItemVector[],
  tasks: readonly Task[],
  random: Random,
): Promise<CalibrationReport> {
  const scored = await scoreTasks(model, vectors, tasks);
  const { calibration } = model.manifest;
  const pairs = scored.flatMap(({ state, scores }, i) =>
    scores.map(({ like, dislike }, t) => ({
      probability: calibrated(calibration, like - dislike, state).value,
      liked: t < tasks[i]!.liked.length,
    })),
  );
  return reportCalibration(
    pairs.map(({ probability }) => probability),
    pairs.map(({ liked }) => liked),
    random,
  );
}

/** People of planted groups over test artists, 8+8. */
function groupTasks(people: SimulatedPeople, count: number, random: Random): Task[] {
  const shape = { likes: 8, dislikes: 8, likedTargets: 1, dislikedTargets: 1 };
  return Array.from({ length: count }, (_, i) => people.sampleTask(random.split(i), 'group', 'test', shape));
}

async function profileReport(
  model: PreferenceModel,
  vectors: readonly ItemVector[],
  tasks: readonly Task[],
): Promise<ProfileReport> {
  const profiles = (await scoreTasks(model, vectors, tasks)).map(({ state }) =>
    state.profile!.map((weight) => Math.sqrt(weight)),
  );
  const perLayer = model.heads * model.tokens;
  const distance = (a: Float32Array, b: Float32Array, heads: number) =>
    Math.sqrt(Math.max(0, 1 - a.reduce((sum, value, i) => sum + value * b[i]!, 0) / heads));
  const similarity = (i: number, j: number) => 1 - distance(profiles[i]!, profiles[j]!, model.layers * model.heads);

  const own: number[] = [];
  const other: number[] = [];
  const nearest: number[] = [];
  for (const i of tasks.keys()) {
    const others = [...tasks.keys()].filter((j) => j !== i).map((j) => ({ j, similarity: similarity(i, j) }));
    const sameGroup = ({ j }: { j: number }) => tasks[j]!.group === tasks[i]!.group;
    const meanOf = (list: typeof others) => list.reduce((sum, o) => sum + o.similarity, 0) / list.length;
    own.push(meanOf(others.filter(sameGroup)));
    other.push(meanOf(others.filter((o) => !sameGroup(o))));
    nearest.push(
      others
        .toSorted((a, b) => b.similarity - a.similarity)
        .slice(0, 3)
        .filter(sameGroup).length,
    );
  }
  const layerDistances = Array.from({ length: model.layers }, (_, layer) => {
    const part = profiles.map((profile) => profile.subarray(layer * perLayer, (layer + 1) * perLayer));
    const distances = part.slice(1).map((profile, i) => distance(profile, part[i]!, model.heads));
    return distances.reduce((sum, d) => sum + d, 0) / distances.length;
  });
  return {
    people: tasks.length,
    groups: GROUPS,
    within: meanInterval(own).mean,
    across: meanInterval(other).mean,
    difference: meanInterval(own.map((value, i) => value - other[i]!)),
    layerDistances,
    nearestOfGroup: meanInterval(nearest),
  };
}
