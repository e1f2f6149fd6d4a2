/** What is measured, against cases reckoned by hand. */
import {
  calibrationError,
  meanInterval,
  pairedDifference,
  pairwiseAccuracy,
  spearman,
  topAccuracy,
} from '../../../src/training/evaluation/metrics.ts';

describe('ranking accuracy', () => {
  it('counts pairs in order, a tie as a half', () => {
    expect(pairwiseAccuracy([3, 1], [2, 1])).toBe(2.5 / 4);
    expect(pairwiseAccuracy([0, 0], [0, 0, 0])).toBe(0.5);
  });

  it('counts top-k of four by rank', () => {
    expect([1, 2, 3].map((k) => topAccuracy(5, [9, 1, 2], k))).toEqual([0, 1, 1]);
    expect([1, 2, 3].map((k) => topAccuracy(10, [9, 1, 2], k))).toEqual([1, 1, 1]);
  });

  it('breaks ties by lot: four equal scores give 1/4, 2/4, 3/4', () => {
    expect([1, 2, 3].map((k) => topAccuracy(7, [7, 7, 7], k))).toEqual([0.25, 0.5, 0.75]);
    expect([1, 2, 3].map((k) => topAccuracy(7, [8, 7, 1], k))).toEqual([0, 0.5, 1]);
  });
});

describe('top-k of four, with more than three disliked', () => {
  it('is the mean over all threes of them', () => {
    // Of five, one is above: three of five hold it with odds 3/5.
    expect([1, 2].map((k) => topAccuracy(5, [9, 1, 2, 3, 4], k))).toEqual([expect.closeTo(0.4, 12), 1]);
    // Of four, all alike: any three tie.
    expect(topAccuracy(7, [7, 7, 7, 7], 1)).toBeCloseTo(0.25, 12);
  });
});

describe('intervals', () => {
  it('are the mean ± 1.96 standard errors', () => {
    const interval = meanInterval([1, 2, 3, 4]);
    expect(interval.mean).toBe(2.5);
    expect(interval.standardError).toBeCloseTo(Math.sqrt(5 / 3 / 4), 12);
    expect(interval.high - interval.mean).toBeCloseTo(1.959964 * interval.standardError, 12);
  });

  it('of paired differences are tight where both rise and fall together', () => {
    const difference = pairedDifference([0.2, 0.9, 0.5], [0.1, 0.8, 0.4]);
    expect(difference.mean).toBeCloseTo(0.1, 12);
    expect(difference.standardError).toBeLessThan(1e-12);
    expect(() => pairedDifference([1], [1, 2])).toThrow('Paired values need the same people: 1 and 2.');
  });
});

describe('calibrationError', () => {
  it('weighs the gap of each bin by what falls into it', () => {
    // Bin 0.2: mean 0.25, share 0.5, gap 0.25 · 2; bin 0.9: mean 0.95, share 1, gap 0.05 · 1.
    expect(calibrationError([0.2, 0.3 - 1e-9, 0.95], [true, false, true])).toBeCloseTo((2 * 0.25 + 0.05) / 3, 6);
    expect(calibrationError([1, 1, 0], [true, true, false])).toBe(0);
  });
});

describe('spearman', () => {
  it('is 1 for the same order, −1 for the opposite one', () => {
    expect(spearman([1, 5, 20], [2, 3, 4])).toBeCloseTo(1, 12);
    expect(spearman([1, 5, 20], [4, 3, 2])).toBeCloseTo(-1, 12);
  });

  it('gives ties their mean rank', () => {
    // ranks 1, 2.5, 2.5, 4 against 1, 2, 3, 4
    expect(spearman([1, 2, 2, 3], [1, 2, 3, 4])).toBeCloseTo(4.5 / Math.sqrt(4.5 * 5), 12);
  });
});
