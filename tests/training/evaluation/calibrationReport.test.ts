/** Probabilities that are true, over-confident or shifted are told apart from chance. */
import { Random } from '../../../src/random.ts';
import { reportCalibration } from '../../../src/training/evaluation/calibrationReport.ts';

const COUNT = 4_000;

/** Likes drawn from true probabilities; what is foretold is made of them. */
function judged(foretold: (logOdds: number) => number, count = COUNT) {
  const random = new Random('calibration report');
  const logOdds = Array.from({ length: count }, () => 1.2 * random.normal() - 0.3);
  const outcomes = logOdds.map((x) => random.uniform() < 1 / (1 + Math.exp(-x)));
  const probabilities = logOdds.map((x) => 1 / (1 + Math.exp(-foretold(x))));
  return reportCalibration(probabilities, outcomes, random.split('draws'));
}

it('finds nothing but noise in probabilities that are true', () => {
  const report = judged((x) => x);
  expect(report.judgements).toBe(COUNT);
  expect(report.likeRate).toBeCloseTo(0.44, 1);
  expect(report.expectedError).toBeLessThan(2 * report.noiseFloor);
  expect(report.debiasedError).toBeLessThan(0.02);
  expect(report.slope).toBeCloseTo(1, 1);
  expect(report.debiasedError).toBeLessThanOrEqual(report.debiasedNoise);
  expect(report.slope).toBeGreaterThan(report.slopeNoise.low);
  expect(report.slope).toBeLessThan(report.slopeNoise.high);
  expect(report.slopeNoise.high - report.slopeNoise.low).toBeLessThan(0.25);
});

it('gives the bins of the reliability diagram, and they hold everybody', () => {
  const { bins } = judged((x) => x);
  expect(bins.reduce((sum, { judgements }) => sum + judgements, 0)).toBe(COUNT);
  for (const { judgements, foretold, liked } of bins) {
    expect(Math.abs(foretold - liked)).toBeLessThan(4 * Math.sqrt(0.25 / judgements));
  }
});

it('tells the noise from the error where judgements are few', () => {
  const report = judged((x) => x, 400);
  expect(report.noiseFloor).toBeGreaterThan(0.03);
  expect(report.expectedError).toBeLessThan(1.6 * report.noiseFloor);
  expect(report.debiasedError).toBeLessThan(0.04);
});

it('gives the slope of over-confident probabilities, and an error beyond the noise', () => {
  const report = judged((x) => 2 * x);
  expect(report.slope).toBeCloseTo(0.5, 1);
  expect(report.expectedError).toBeGreaterThan(5 * report.noiseFloor);
  expect(report.debiasedError).toBeGreaterThan(2 * report.debiasedNoise);
  expect(report.slope).toBeLessThan(report.slopeNoise.low);
  expect(report.debiasedError).toBeGreaterThan(0.07);
});

it('sees a shift that leaves the slope as it is', () => {
  const report = judged((x) => x + 1);
  expect(report.slope).toBeCloseTo(1, 1);
  expect(report.debiasedError).toBeGreaterThan(0.1);
});

it('copes with probabilities of 0 and 1', () => {
  const report = reportCalibration([0, 1, 0, 1], [false, true, false, true], new Random(1));
  expect(report).toMatchObject({ expectedError: 0, noiseFloor: 0, debiasedError: 0 });
  expect(Number.isFinite(report.slope)).toBe(true);
});
