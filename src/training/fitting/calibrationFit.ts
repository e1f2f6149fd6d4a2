/**
 * Fits calibration on people the model did not learn from: temperature, offset and like-rate weight of
 * P(like) = σ(T s + β + ρ r) by maximum likelihood, and how far a margin still is from what it becomes with many more
 * judgements. Applied by inference/calibration.ts.
 */
import type { Calibration } from '../../model/artifact.ts';
import { fitCoefficients } from './logisticFit.ts';

/** One target of one person. */
export interface CalibrationSample {
  /** s = l⁺ − l⁻. */
  readonly margin: number;
  /** r: log odds of the person's shrunken like rate. */
  readonly likeRateLogit: number;
  readonly liked: boolean;
}

const LEAST_TEMPERATURE = 1e-3;

/** Temperature, offset and like-rate weight. */
export function fitCalibration(
  samples: readonly CalibrationSample[],
): Pick<Calibration, 'temperature' | 'offset' | 'likeRateWeight'> {
  const rows = samples.map(({ margin, likeRateLogit, liked }) => ({
    inputs: [margin, 1, likeRateLogit],
    positive: liked,
  }));
  const [temperature, offset, likeRateWeight] = fitCoefficients(rows, 3).coefficients;
  // A model that orders no better than chance may fit a temperature of 0 or below: the least that keeps its order.
  return { temperature: Math.max(temperature!, LEAST_TEMPERATURE), offset: offset!, likeRateWeight: likeRateWeight! };
}

/** Margins of the same targets from two disjoint histories of one person, each of `judgements`. */
export interface TwinMargins {
  readonly judgements: number;
  readonly first: readonly number[];
  readonly second: readonly number[];
}

/** The standard error is taken to fall with the square root of the number of judgements beyond the longest measured. */
const EXTRAPOLATED_TO = 16;

/**
 * Standard errors of T s by number of judgements. With the longest histories, two disjoint ones differ by √2 standard
 * errors. A shorter one is held against the longest of the other half, less the latter's own error; with no history the
 * error is all that the taste, once known, will say.
 * @param twins by rising number of judgements, of the same people and targets
 */
export function fitStandardErrors(temperature: number, twins: readonly TwinMargins[]): Calibration['standardErrors'] {
  const longest = twins.at(-1)!;
  const meanSquare = (a: readonly number[], b: readonly number[]) =>
    a.reduce((sum, value, i) => sum + (temperature * (value - b[i]!)) ** 2, 0) / a.length;
  const least = meanSquare(longest.first, longest.second) / 2;
  const errors = twins.map(({ judgements, first }) => ({
    judgements,
    logit: Math.sqrt(
      judgements === longest.judgements ? least : Math.max(least, meanSquare(first, longest.second) - least),
    ),
  }));
  // Measured on few people, a step may fail to fall: an error never rises with more judgements.
  for (let i = errors.length - 2; i >= 0; i--) {
    errors[i] = { ...errors[i]!, logit: Math.max(errors[i]!.logit, errors[i + 1]!.logit) };
  }
  const far = { judgements: EXTRAPOLATED_TO * longest.judgements, logit: Math.sqrt(least / EXTRAPOLATED_TO) };
  return [...errors, far];
}
