/** What is measured of a model beside its ranking, on a small model that is real in every operation. */
import { calibrated, sigmoid } from '../../../src/inference/calibration.ts';
import { type ItemVector, PreferenceModel } from '../../../src/inference/preferenceModel.ts';
import { Random } from '../../../src/random.ts';
import {
  historyHalves,
  measureCalibration,
  measureTimes,
  readTokens,
  withoutTokens,
} from '../../../src/training/evaluation/modelMeasures.ts';
import { scoreTasks } from '../../../src/training/evaluation/modelScorer.ts';
import { tokenReport } from '../../../src/training/evaluation/tokenReport.ts';
import type { HistoryItem, Task } from '../../../src/training/tasks.ts';
import { encodedItems, SMALL_ARCHITECTURE, smallArtifact } from '../../support/model.ts';

const random = new Random('measures');
const judged = (image: number, sentiment: HistoryItem['sentiment']): HistoryItem => ({ image, sentiment, weight: 1 });
const tasks = Array.from({ length: 24 }, (_, i): Task => {
  const images = random.choose([...Array(40).keys()], 8);
  return {
    history: images.slice(4).map((image, j) => judged(image, j % 2 ? 'LIKE' : 'DISLIKE')),
    liked: images.slice(0, 2),
    disliked: images.slice(2, 4),
    group: i % 3,
  };
});
const artifact = smallArtifact({ calibration: { temperature: 0.4, offset: 0.3 } });
let model: PreferenceModel;
let vectors: ItemVector[];
beforeAll(async () => {
  model = await PreferenceModel.open(artifact);
  vectors = await model.itemVectors(encodedItems('measures', 40));
});
afterAll(() => model.close());

describe('halves of a history', () => {
  it('are disjoint, and deal each side in turn', () => {
    const history = [0, 1, 2, 3].flatMap((i) => [judged(i, 'LIKE'), judged(10 + i, 'DISLIKE')]);
    const [first, second] = historyHalves(history);
    expect(first.map(({ image }) => image)).toEqual([0, 11, 2, 13]);
    expect(second.map(({ image }) => image)).toEqual([10, 1, 12, 3]);
  });

  it('are never empty where there are two judgements', () => {
    for (const history of [
      [judged(1, 'LIKE'), judged(2, 'DISLIKE')],
      [judged(1, 'LIKE'), judged(2, 'LIKE')],
      [judged(1, 'DISLIKE'), judged(2, 'DISLIKE')],
    ]) {
      expect(historyHalves(history).map((half) => half.length)).toEqual([1, 1]);
    }
  });
});

describe('silent tokens', () => {
  it('leave a model that does not listen to its tokens, and everything else as it was', async () => {
    const silent = await PreferenceModel.open(withoutTokens(artifact));
    const other = await PreferenceModel.open(
      withoutTokens(smallArtifact({ set: { 'tokenPath.gain': 9, 'block1.tokenValues': 3 } })),
    );
    const margins = async (of: PreferenceModel) =>
      (await scoreTasks(of, vectors, tasks)).flatMap(({ scores }) => scores.map((s) => s.like - s.dislike));
    const [whole, off, alsoOff] = [await margins(model), await margins(silent), await margins(other)];
    expect(off).toEqual(alsoOff);
    expect(off.some((margin, i) => Math.abs(margin - whole[i]!) > 1e-3)).toBe(true);
    expect(silent.towerHash).toBe(model.towerHash);
    await Promise.all([silent.close(), other.close()]);
  });
});

describe('calibration before and after', () => {
  it('is of σ(margin), and of what is served', async () => {
    const { before, after } = await measureCalibration(model, vectors, tasks, random.split('calibration'));
    const margins = (await scoreTasks(model, vectors, tasks)).flatMap(({ state, scores }) =>
      scores.map((score) => ({ margin: score.like - score.dislike, state })),
    );
    const mean = (of: readonly number[]) => of.reduce((sum, p) => sum + p, 0) / of.length;
    const foretold = ({ bins, judgements }: typeof after) =>
      bins.reduce((sum, bin) => sum + bin.foretold * bin.judgements, 0) / judgements;
    expect(before.judgements).toBe(96);
    expect(foretold(before)).toBeCloseTo(mean(margins.map(({ margin }) => sigmoid(margin))), 5);
    expect(foretold(after)).toBeCloseTo(
      mean(margins.map(({ margin, state }) => calibrated(artifact.manifest.calibration, margin, state).value)),
      5,
    );
  });
});

describe('what tokens tell', () => {
  it('is read of everybody with two judgements, and makes a report', async () => {
    const nobody: Task = { history: [], liked: [1], disliked: [2], group: 0 };
    const input = await readTokens(model, vectors, [...tasks, nobody]);
    expect(input.profiles).toHaveLength(24);
    expect(input.groups).toHaveLength(24);
    expect(input.states[0]).toHaveLength(SMALL_ARCHITECTURE.width);
    expect(input.profiles[0]).toHaveLength(2 * 2 * 5);
    const report = tokenReport(input, new Random(1));
    expect(report.people).toBe(24);
    expect(report.clusters.states.every(({ silhouette }) => silhouette > -1 && silhouette < 1)).toBe(true);
  });

  it('has no groups where people have none', async () => {
    const { groups } = await readTokens(
      model,
      vectors,
      tasks.map(({ group: _, ...task }) => task),
    );
    expect(groups).toBeUndefined();
  });
});

it('times a score', async () => {
  const times = await measureTimes(model, vectors, tasks[0]!);
  expect(times.judgements).toBe(4);
  for (const time of [times.state, times.one, times.of64]) expect(time).toBeGreaterThan(0);
});
