/** Calibration of a base model on people of validation artists, and the people whom calibration is measured on. */
import { likeRateLogit } from '../../inference/calibration.ts';
import { PreferenceModel } from '../../inference/preferenceModel.ts';
import type { Calibration, ModelArtifact } from '../../model/artifact.ts';
import type { Random } from '../../random.ts';
import { scoreTasks } from '../evaluation/modelScorer.ts';
import { type CalibrationSample, fitCalibration, fitStandardErrors } from '../fitting/calibrationFit.ts';
import type { Matrix } from '../fitting/linearAlgebra.ts';
import { itemVectorsOf } from '../itemVectors.ts';
import type { Kind, SimulatedPeople } from '../simulation/people.ts';
import type { Part } from '../simulation/pictures.ts';
import { type Task, withHistory } from '../tasks.ts';

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
export async function calibrate(
  artifact: ModelArtifact,
  features: Matrix,
  people: SimulatedPeople,
  random: Random,
): Promise<Calibration> {
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
