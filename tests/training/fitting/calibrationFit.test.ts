/** Calibration is found again from samples of a known one, and stays finite on hard ones. */
import { Random } from '../../../src/random.ts';
import {
  type CalibrationSample,
  fitCalibration,
  fitStandardErrors,
} from '../../../src/training/fitting/calibrationFit.ts';

/** Samples of people whose answers follow P(like) = σ(T s + β + ρ r). */
function samples(
  count: number,
  [temperature, offset, likeRateWeight]: readonly [number, number, number],
  spread = 2,
): CalibrationSample[] {
  const random = new Random('samples');
  return Array.from({ length: count }, () => {
    const [margin, likeRateLogit] = [spread * random.normal(), random.normal()];
    const logOdds = temperature * margin + offset + likeRateWeight * likeRateLogit;
    return { margin, likeRateLogit, liked: random.uniform() < 1 / (1 + Math.exp(-logOdds)) };
  });
}

describe('fitCalibration', () => {
  it.each([
    [1, 0, 0],
    [0.4, -0.5, 0.9],
    [1.8, 0.7, -0.3],
  ])('recovers temperature %d, offset %d and like-rate weight %d from answers that follow them', (...coefficients) => {
    const { temperature, offset, likeRateWeight } = fitCalibration(samples(20_000, coefficients));
    for (const [i, fitted] of [temperature, offset, likeRateWeight].entries()) {
      expect(Math.abs(fitted - coefficients[i]!)).toBeLessThan(0.1);
    }
  });

  it('recovers them from a model whose margins are far too large', () => {
    const { temperature, offset, likeRateWeight } = fitCalibration(samples(20_000, [0.02, 0.3, 0.5], 100));
    expect(temperature / 0.02).toBeCloseTo(1, 1);
    expect([offset, likeRateWeight].map((value) => value.toFixed(1))).toEqual(['0.3', '0.5']);
  });

  it('stays finite where margins tell every answer, or there are next to no answers', () => {
    const separable = Array.from({ length: 200 }, (_, i) => ({
      margin: i - 99.5,
      likeRateLogit: 0,
      liked: i > 99,
    }));
    for (const given of [separable, separable.slice(0, 1), []]) {
      const fitted = fitCalibration(given);
      expect(Object.values(fitted).every(Number.isFinite)).toBe(true);
      expect(fitted.temperature).toBeGreaterThan(0);
    }
  });

  it('keeps the order of a model that orders worse than chance', () => {
    expect(fitCalibration(samples(2_000, [-1, 0, 0])).temperature).toBe(1e-3);
  });
});

describe('fitStandardErrors', () => {
  /** Margins that come to s from n judgements with an error of 1 / √n; s itself of deviation 1. */
  function twins(lengths: readonly number[], targets = 20_000) {
    const random = new Random('twins');
    const truth = Array.from({ length: targets }, () => random.normal());
    const read = (judgements: number) =>
      truth.map((s) => (judgements === 0 ? 0 : s + random.normal() / Math.sqrt(judgements)));
    const second = read(lengths.at(-1)!);
    return lengths.map((judgements) => ({ judgements, first: read(judgements), second }));
  }

  it('recovers how far margins are from what more judgements would make them', () => {
    const errors = fitStandardErrors(3, twins([0, 2, 4, 16]));
    expect(errors.map(({ judgements }) => judgements)).toEqual([0, 2, 4, 16, 256]);
    const expected = [1, Math.SQRT1_2, 0.5, 0.25, 0.25 / 4].map((error) => 3 * error);
    for (const [i, { logit }] of errors.entries()) expect(logit / expected[i]!).toBeCloseTo(1, 1);
  });

  it('falls with judgements, and never rises, on however few people it was measured', () => {
    for (const count of [3, 10, 100]) {
      const logits = fitStandardErrors(1, twins([0, 2, 4, 8, 16], count)).map(({ logit }) => logit);
      expect(logits).toEqual(logits.toSorted((a, b) => b - a));
      expect(logits.at(-1)).toBeLessThan(logits[0]!);
    }
  });
});
