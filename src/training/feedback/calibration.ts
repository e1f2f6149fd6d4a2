/** Calibration of a tenant's model, on people held out, at the rate at which they like what they see. */
import { likeRateLogit } from '../../inference/calibration.ts';
import { type ItemVector, PreferenceModel } from '../../inference/preferenceModel.ts';
import type { Calibration, ModelArtifact } from '../../model/artifact.ts';
import { scoreTasks } from '../evaluation/modelScorer.ts';
import { type CalibrationSample, fitCalibration } from '../fitting/calibrationFit.ts';
import type { HeldOutPerson } from './heldOut.ts';

/**
 * Temperature, offset and like-rate weight are fitted anew. Standard errors are the parent's, stretched as its
 * calibrated margins are: few people judged enough to measure them again.
 */
export async function calibrateOn(
  people: readonly HeldOutPerson[],
  vectors: readonly ItemVector[],
  artifact: ModelArtifact,
  parent: ModelArtifact,
): Promise<Calibration> {
  const fitted = fitCalibration(await samplesOf(people, vectors, artifact));
  const before = parent.manifest.calibration;
  const was = spread(await samplesOf(people, vectors, parent)) * before.temperature;
  const is = spread(await samplesOf(people, vectors, artifact)) * fitted.temperature;
  const stretch = was > 0 ? is / was : 1;
  const standardErrors = before.standardErrors.map((entry) => ({ ...entry, logit: stretch * entry.logit }));
  return { ...fitted, standardErrors };
}

async function samplesOf(
  people: readonly HeldOutPerson[],
  vectors: readonly ItemVector[],
  artifact: ModelArtifact,
): Promise<CalibrationSample[]> {
  const model = await PreferenceModel.open(artifact);
  const scored = await scoreTasks(
    model,
    vectors,
    people.map(({ task }) => task),
  );
  await model.close();
  return scored.flatMap(({ state, scores }, i) =>
    scores.map(({ like, dislike }, t) => ({
      margin: like - dislike,
      likeRateLogit: likeRateLogit(state),
      liked: t < people[i]!.task.liked.length,
    })),
  );
}

function spread(samples: readonly CalibrationSample[]): number {
  const mean = samples.reduce((sum, { margin }) => sum + margin, 0) / samples.length;
  return Math.sqrt(samples.reduce((sum, { margin }) => sum + (margin - mean) ** 2, 0) / samples.length);
}
