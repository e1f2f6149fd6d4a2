/** A margin becomes a probability with a standard error, as the calibration that was fitted says. */
import { calibrated, likeRateLogit, logitStandardError } from '../../src/inference/calibration.ts';

const calibration = {
  temperature: 0.5,
  offset: -0.25,
  likeRateWeight: 2,
  standardErrors: [
    { judgements: 0, logit: 2 },
    { judgements: 4, logit: 1 },
    { judgements: 16, logit: 0.5 },
  ],
};
const nobody = { likes: 0, dislikes: 0 };

describe('a calibrated score', () => {
  it('is σ(T s + β + ρ logit of the shrunken like rate)', () => {
    expect(calibrated(calibration, 0, nobody).value).toBeCloseTo(1 / (1 + Math.exp(0.25)), 12);
    const { value } = calibrated(calibration, 3, { likes: 5, dislikes: 1 });
    expect(value).toBeCloseTo(1 / (1 + Math.exp(-(0.5 * 3 - 0.25 + 2 * Math.log(6 / 2)))), 12);
  });

  it('stays a probability however large the margin', () => {
    expect(calibrated(calibration, 1e4, nobody).value).toBe(1);
    expect(calibrated(calibration, -1e4, nobody).value).toBeCloseTo(0, 12);
  });

  it('has a standard error of p (1 − p) times that of the log odds', () => {
    const { value, standardError } = calibrated(calibration, 1.5, { likes: 2, dislikes: 2 });
    expect(standardError).toBeCloseTo(value * (1 - value) * 1, 12);
  });

  it('is the surer the more was judged', () => {
    const errors = [0, 1, 2, 4, 8, 20].map(
      (side) => calibrated(calibration, 1, { likes: side, dislikes: side }).standardError,
    );
    expect(errors.slice(0, 5)).toEqual(errors.slice(0, 5).toSorted((a, b) => b - a));
    expect(new Set(errors.slice(0, 5)).size).toBe(5);
    expect(errors[5]).toBe(errors[4]); // beyond what was measured nothing is claimed
  });
});

describe('the like rate', () => {
  it('is a half without a judgement and is moved by weights, shrunken by one like and one dislike', () => {
    expect(likeRateLogit(nobody)).toBe(0);
    expect(likeRateLogit({ likes: 3.5, dislikes: 0 })).toBeCloseTo(Math.log(4.5), 12);
    expect(likeRateLogit({ likes: 0, dislikes: 3.5 })).toBeCloseTo(-Math.log(4.5), 12);
  });
});

describe('the standard error of the log odds', () => {
  it('is what was measured, and between two measurements runs straight in the square root of their number', () => {
    const at = (likes: number, dislikes: number) => logitStandardError(calibration, { likes, dislikes });
    expect([at(0, 0), at(4, 0), at(8, 8)]).toEqual([2, 1, 0.5]);
    expect(at(1, 0)).toBeCloseTo(1.5, 12);
    expect(at(4, 5)).toBeCloseTo(0.75, 12);
  });

  it('is the only one measured where there is one', () => {
    const single = { ...calibration, standardErrors: [{ judgements: 0, logit: 1 }] };
    expect([0, 30].map((likes) => logitStandardError(single, { likes, dislikes: 0 }))).toEqual([1, 1]);
  });
});
