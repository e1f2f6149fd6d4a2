/** The simple scorers, against what is known of them by hand. */
import {
  chance,
  fitLogistic,
  InnerProducts,
  kernelRidge,
  logisticRegression,
  nearestNeighbours,
  prototypeDifference,
} from '../../../src/training/evaluation/baselines.ts';
import { gram, matrix } from '../../../src/training/fitting/linearAlgebra.ts';
import type { HistoryItem, Task } from '../../../src/training/tasks.ts';

/** Six points of the unit circle, at these degrees. */
const DEGREES = [0, 20, 40, 140, 160, 180];
const points = matrix(
  6,
  2,
  DEGREES.flatMap((d) => [Math.cos((d * Math.PI) / 180), Math.sin((d * Math.PI) / 180)]),
);
const products = new InnerProducts(points, [0, 1, 2, 3, 4, 5]);

const judged = (image: number, sentiment: 'LIKE' | 'DISLIKE', weight = 1): HistoryItem => ({
  image,
  sentiment,
  weight,
});
const task = (history: HistoryItem[], targets = [1, 2, 3, 4]): Task => ({ history, liked: targets, disliked: [] });
const balanced = task([judged(0, 'LIKE'), judged(5, 'DISLIKE')]);

const scorers = {
  'prototype difference': prototypeDifference(products),
  'logistic regression': logisticRegression(products, { penalty: 0.3 }),
  'linear kernel ridge': kernelRidge(products, { ridge: 0.3, width: null }),
  'RBF kernel ridge': kernelRidge(products, { ridge: 0.3, width: 0.5 }),
  'three nearest neighbours': nearestNeighbours(products),
};

describe.each(Object.entries(scorers))('%s', (_, scorer) => {
  it('puts what resembles the likes above what resembles the dislikes', () => {
    const [a, b, c, d] = scorer(balanced);
    expect(a).toBeGreaterThan(b!);
    expect(b).toBeGreaterThan(0);
    expect(c).toBeLessThan(0);
    expect(d).toBeLessThan(c!);
  });

  it('ties everything when nothing was judged', () => {
    expect([...scorer(task([]))]).toEqual([0, 0, 0, 0]);
  });

  it('gives finite scores from likes alone and from dislikes alone', () => {
    for (const sentiment of ['LIKE', 'DISLIKE'] as const) {
      expect([...scorer(task([judged(0, sentiment), judged(2, sentiment)]))].every(Number.isFinite)).toBe(true);
    }
  });

  it('does not depend on the order of the judgements', () => {
    const history = [judged(0, 'LIKE'), judged(2, 'LIKE'), judged(5, 'DISLIKE')];
    const scores = scorer(task(history, [1, 3, 4]));
    scorer(task(history.toReversed(), [1, 3, 4])).forEach((score, i) => {
      expect(score).toBeCloseTo(scores[i]!, 10);
    });
  });
});

describe('chance', () => {
  it('ties every target', () => {
    expect([...chance(balanced)]).toEqual([0, 0, 0, 0]);
  });
});

describe('prototype difference', () => {
  it('is the inner product with the difference of weighted means', () => {
    const history = [judged(0, 'LIKE', 3), judged(2, 'LIKE', 1), judged(5, 'DISLIKE')];
    const cosine = (a: number, b: number) => Math.cos(((DEGREES[a]! - DEGREES[b]!) * Math.PI) / 180);
    const expected = (3 * cosine(1, 0) + cosine(1, 2)) / 4 - cosine(1, 5);
    expect(prototypeDifference(products)(task(history, [1]))[0]).toBeCloseTo(expected, 12);
  });
});

describe('kernel ridge', () => {
  it('counts a judgement of weight 2 as two judgements', () => {
    const scorer = kernelRidge(products, { ridge: 0.5, width: 1 });
    const heavy = scorer(task([judged(0, 'LIKE', 2), judged(4, 'DISLIKE')]));
    const twice = scorer(task([judged(0, 'LIKE'), judged(0, 'LIKE'), judged(4, 'DISLIKE')]));
    heavy.forEach((score, i) => {
      expect(score).toBeCloseTo(twice[i]!, 10);
    });
  });

  it('with one judgement is the kernel over 1 + ridge', () => {
    const [score] = kernelRidge(products, { ridge: 0.25, width: null })(task([judged(0, 'LIKE')], [1]));
    expect(score).toBeCloseTo(Math.cos(Math.PI / 9) / 1.25, 12);
  });
});

describe('logistic regression', () => {
  it('solves the one-dimensional case: α = σ(−margin) / λ on both sides', () => {
    const k = gram(matrix(2, 1, [1, -1]));
    const { coefficients, intercept } = fitLogistic(k, [1, -1], [1, 1], 0.7);
    const margin = coefficients[0]! - coefficients[1]!;
    expect(intercept).toBeCloseTo(0, 10);
    expect(coefficients[0]).toBeCloseTo(1 / (1 + Math.exp(margin)) / 0.7, 7);
    expect(coefficients[1]).toBeCloseTo(-coefficients[0]!, 10);
  });

  it('with features that say nothing fits the intercept alone: the log-odds of the likes', () => {
    const { coefficients, intercept } = fitLogistic(matrix(4, 4), [1, 1, 1, -1], [1, 1, 1, 1], 1);
    expect(intercept).toBeCloseTo(Math.log(3), 6);
    expect(coefficients.reduce((sum, value) => sum + value, 0)).toBeCloseTo(0, 8);
  });

  it('ends where the gradient is 0, even with weights and next to no penalty', () => {
    const y = [1, 1, -1, -1, -1, 1];
    const w = [1, 2, 0.5, 1, 3, 1];
    const k = gram(points);
    const { coefficients, intercept } = fitLogistic(k, y, w, 1e-3);
    y.forEach((sign, i) => {
      let f = intercept;
      for (let j = 0; j < 6; j++) f += k.data[i * 6 + j]! * coefficients[j]!;
      expect(1e-3 * coefficients[i]!).toBeCloseTo((w[i]! * sign) / (1 + Math.exp(sign * f)), 5);
    });
  });
});

describe('nearest neighbours', () => {
  it('lets the nearest alone vote', () => {
    const history = [judged(0, 'LIKE'), judged(2, 'LIKE'), judged(3, 'DISLIKE'), judged(5, 'DISLIKE')];
    const one = nearestNeighbours(products, 1)(task(history, [1, 4]));
    expect([...one]).toEqual([1, -1]);
  });
});

describe('InnerProducts', () => {
  it('forget the scale of the features', () => {
    const scaled = new InnerProducts(
      matrix(
        6,
        2,
        points.data.map((value) => 50 * value),
      ),
      [0, 1, 2, 3, 4, 5],
    );
    expect(scaled.between([1], [4]).data[0]).toBeCloseTo(products.between([1], [4]).data[0]!, 12);
    expect(scaled.meanSquaredDistance).toBeCloseTo(products.meanSquaredDistance, 12);
  });

  it('name an image they were not made for', () => {
    expect(() => products.between([9], [1])).toThrow('Image 9 is not among those the products were made for.');
  });
});
