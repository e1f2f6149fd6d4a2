/**
 * How much the population prior says beside a person's own history, and how many others' judgements outweigh it: fitted
 * on training people's newest judgements, each foretold with the ridge that was fitted without the image.
 */

import { fromHalfFloats } from '../../halfFloats.ts';
import { likeRateLogit } from '../../inference/calibration.ts';
import { PreferenceModel } from '../../inference/preferenceModel.ts';
import type { ModelArtifact } from '../../model/artifact.ts';
import { parameterLayout } from '../../model/parameters.ts';
import type { Random } from '../../random.ts';
import { scoreTasks } from '../evaluation/modelScorer.ts';
import { fitCoefficients, type LogisticSample } from '../fitting/logisticFit.ts';
import { expected } from '../fitting/ridge.ts';
import { targetsOf } from '../tasks.ts';
import { heldOutTasks, vectorsOf } from './heldOut.ts';
import type { PopulationRidge } from './prior.ts';
import type { Snapshot } from './snapshot.ts';
import { thin } from './thinning.ts';

/** K: others' judgements that weigh as much as the ridge. */
const PSEUDO_COUNTS = [1, 2, 3, 5, 8, 13, 21];
const MOST_PEOPLE = 1_000;
/** Twice the gain in log likelihood that a number without meaning would reach once in a hundred times (χ², 2 degrees). */
const LEAST_GAIN = 9.2;
/** A history says at least so much: one that says nothing would make the prior endless beside it. */
const LEAST_PERSONAL = 0.1;

export interface PriorWeight {
  /** a₀; 0 where the prior foretells nothing. */
  readonly gain: number;
  readonly pseudoCount: number;
}

/** @param artifact whose prior is not read */
export async function fitPriorWeight(
  snapshot: Snapshot,
  ridge: PopulationRidge,
  artifact: ModelArtifact,
  random: Random,
): Promise<PriorWeight> {
  const people = heldOutTasks(snapshot, 'train', MOST_PEOPLE);
  const vectors = vectorsOf(snapshot, people);
  const model = await PreferenceModel.open({ ...artifact, parameters: withPrior(artifact, ridge, SILENT) });
  const scored = await scoreTasks(
    model,
    vectors,
    people.map(({ task }) => task),
  );
  await model.close();
  const targets = people.flatMap(({ task }, i) =>
    targetsOf(task).map((image, t) => ({
      margin: scored[i]!.scores[t]!.like - scored[i]!.scores[t]!.dislike,
      likeRate: likeRateLogit(scored[i]!.state),
      general: expected(ridge.without(image), fromHalfFloats(vectors[image]!)),
      ...thin(task.popularity[t]!, random),
      liked: t < task.liked.length,
    })),
  );
  const explain = (inputs: (target: (typeof targets)[number]) => number[]) => {
    const samples: LogisticSample[] = targets.map((t) => ({
      inputs: [t.margin, 1, t.likeRate, ...inputs(t)],
      positive: t.liked,
    }));
    return fitCoefficients(samples, samples[0]!.inputs.length);
  };
  const without = explain(() => []).logLikelihood;
  const fits = PSEUDO_COUNTS.map((k) => explain(({ sum, count, general }) => [(sum + k * general) / (count + k)]));
  const best = fits.reduce((a, b, i) => (b.logLikelihood > fits[a]!.logLikelihood ? i : a), 0);
  const { coefficients, logLikelihood } = fits[best]!;
  const gain = coefficients[3]! / Math.max(coefficients[0]!, LEAST_PERSONAL);
  const tells = 2 * (logLikelihood - without) > LEAST_GAIN && gain > 0;
  return tells ? { gain, pseudoCount: PSEUDO_COUNTS[best]! } : { ...SILENT };
}

const SILENT: PriorWeight = { gain: 0, pseudoCount: 3 };

/** The model's parameters with this prior in place of its own. */
export function withPrior(
  { manifest, parameters }: Pick<ModelArtifact, 'manifest' | 'parameters'>,
  ridge: { readonly weights: ArrayLike<number>; readonly constant: number },
  { gain, pseudoCount }: PriorWeight,
): Float32Array {
  const layout = parameterLayout(manifest.architecture);
  const changed = parameters.slice();
  changed.set(ridge.weights, layout.range('prior.ridge').start);
  changed[layout.range('prior.constant').start] = ridge.constant;
  changed[layout.range('prior.gain').start] = gain;
  changed[layout.range('prior.logPseudoCount').start] = Math.log(pseudoCount);
  return changed;
}
