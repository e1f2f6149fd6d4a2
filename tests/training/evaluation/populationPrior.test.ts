/** What people in general make of an image is learned from features and from others' judgements. */
import { Random } from '../../../src/random.ts';
import { personalScorers, withPrior } from '../../../src/training/evaluation/baselineScorers.ts';
import { InnerProducts } from '../../../src/training/evaluation/baselines.ts';
import { meanAccuracy } from '../../../src/training/evaluation/evaluation.ts';
import { layOutPairs } from '../../../src/training/evaluation/pairs.ts';
import {
  contentScorer,
  fitContentModel,
  fitPrior,
  meanRating,
  popularityScorer,
  priorScorer,
  ratedImages,
} from '../../../src/training/evaluation/populationPrior.ts';
import { dot, matrix, row } from '../../../src/training/fitting/linearAlgebra.ts';
import { QualityPeople } from '../../../src/training/simulation/qualityPeople.ts';
import { type Task, withHistory } from '../../../src/training/tasks.ts';

const random = new Random('prior');
const z = matrix(
  400,
  8,
  Array.from({ length: 3200 }, () => random.normal()),
);
const quality = Float64Array.of(2, -1, 1, 0, 0, 0, 0, 0);
const images = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);
const people = (name: string, pool: number[], weight: number) =>
  new QualityPeople(new Random(name), 60, pool, (image) => image, { z, quality, weight });
const tasksOf = (of: QualityPeople, raters: number): Task[] =>
  images(0, 60).map((i) =>
    of.task(new Random(`task ${i}`), i, { seen: 40, likedTargets: 3, dislikedTargets: 3, raters }),
  );
const trained = people('train', images(0, 200), 1);
const rated = ratedImages(
  images(0, 60).map((i) => ({ history: trained.judgements(new Random(i), i, 60), liked: [], disliked: [] })),
  (image) => image,
);
const content = fitContentModel(z, rated);
const accuracy = (tasks: Task[], score: (task: Task) => ArrayLike<number>) =>
  meanAccuracy(tasks, tasks.map(score), layOutPairs(tasks));

describe('ratings', () => {
  it('are summed by image, with weights', () => {
    const judged = (image: number, sentiment: 'LIKE' | 'DISLIKE', weight: number) => ({ image, sentiment, weight });
    const of = ratedImages(
      [
        { history: [judged(7, 'LIKE', 1), judged(9, 'DISLIKE', 2)], liked: [], disliked: [] },
        { history: [judged(7, 'DISLIKE', 0.5)], liked: [], disliked: [] },
      ],
      (image) => `cluster ${image}`,
    );
    expect(of).toEqual([
      { image: 7, sum: 0.5, count: 1.5, cluster: 'cluster 7' },
      { image: 9, sum: -2, count: 2, cluster: 'cluster 9' },
    ]);
    expect(meanRating(of)).toBeCloseTo(-1.5 / 3.5, 12);
  });
});

describe('the content model', () => {
  it('finds what all share, on images that it never saw', () => {
    const unseen = images(200, 400);
    const [truth, guess] = [unseen.map((i) => dot(quality, row(z, i))), unseen.map(content)];
    const correlation = (a: number[], b: number[]) => {
      const mean = (of: number[]) => of.reduce((sum, x) => sum + x, 0) / of.length;
      const [ma, mb] = [mean(a), mean(b)];
      const product = (x: number[], mx: number, y: number[], my: number) =>
        x.reduce((sum, value, i) => sum + (value - mx) * (y[i]! - my), 0);
      return product(a, ma, b, mb) / Math.sqrt(product(a, ma, a, ma) * product(b, mb, b, mb));
    };
    expect(correlation(truth, guess)).toBeGreaterThan(0.9);
    for (const value of guess) expect(Math.abs(value)).toBeLessThan(2);
  });

  it('expects the same of all images where ratings say nothing, and where there are none', () => {
    expect(fitContentModel(z, [])(3)).toBe(0);
    const alike = fitContentModel(
      z,
      images(0, 50).map((image) => ({ image, cluster: image, sum: 1, count: 2 })),
    );
    expect(alike(5)).toBeCloseTo(0.5, 6);
    expect(alike(300)).toBeCloseTo(0.5, 6);
  });
});

describe('the prior', () => {
  it('is the shrunken mean of others and content', () => {
    const task: Task = {
      history: [],
      liked: [1],
      disliked: [2],
      popularity: [
        { sum: 4, count: 4 },
        { sum: 0, count: 0 },
      ],
    };
    expect([...priorScorer(() => 0.2, 3)(task)]).toEqual([(4 + 0.6) / 7, expect.closeTo(0.2, 12)]);
    expect([...popularityScorer(0)(task)]).toEqual([4 / 7, 0]);
  });

  const test = people('test', images(200, 400), 1);
  const tuning = tasksOf(people('validation', images(200, 400), 1), 5);

  it('orders for people who share a sense of quality, the better the more others are known', () => {
    const none = tasksOf(test, 0);
    const many = tasksOf(test, 20);
    const prior = fitPrior(content, tuning);
    expect(accuracy(none, popularityScorer(0))).toBe(0.5);
    expect(accuracy(many, popularityScorer(0))).toBeGreaterThan(0.65);
    expect(accuracy(none, contentScorer(content))).toBeGreaterThan(0.65);
    expect(accuracy(many, prior)).toBeGreaterThanOrEqual(accuracy(none, prior) - 0.02);
  });

  it('says nothing to people who share nothing', () => {
    const apart = tasksOf(people('apart', images(200, 400), 0), 20);
    expect(Math.abs(accuracy(apart, contentScorer(content)) - 0.5)).toBeLessThan(0.07);
  });

  it('adds to a personal scorer, and is all there is without a history', () => {
    const products = new InnerProducts(z, images(200, 400));
    const [prototype] = personalScorers('z', products, products, tuning);
    const prior = fitPrior(content, tuning);
    const both = withPrior(prototype!, prior, tuning);
    expect(both.name).toBe('prototype difference, z + prior');
    const tasks = tasksOf(test, 5).map((task) => withHistory(task, 4));
    const scores = (of: Task[]) => both.score(of) as Float64Array[];
    const layout = layOutPairs(tasks);
    expect(meanAccuracy(tasks, scores(tasks), layout)).toBeGreaterThan(accuracy(tasks, prototype!.score) + 0.02);
    const fresh = tasks.map((task) => withHistory(task, 0));
    expect(meanAccuracy(fresh, scores(fresh), layout)).toBeCloseTo(accuracy(fresh, prior), 12);
  });
});
