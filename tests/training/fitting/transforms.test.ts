/** The input transform and the discriminant, against their definitions. */
import { Random } from '../../../src/random.ts';
import { classesOf, Discriminant } from '../../../src/training/fitting/discriminant.ts';
import { InputTransform, momentsOf, standardise } from '../../../src/training/fitting/inputTransform.ts';
import {
  columnMeans,
  dot,
  type Matrix,
  matrix,
  norm,
  row,
  takeRows,
} from '../../../src/training/fitting/linearAlgebra.ts';

/** Two independent hidden numbers of deviations 10 and 1, seen through a rotation, with an offset. */
function twoComponents(seed: number, count: number): Matrix {
  const random = new Random(seed);
  return matrix(
    count,
    2,
    Array.from({ length: count }, () => {
      const [a, b] = [10 * random.normal(), random.normal()];
      return [3 + (a - b) * Math.SQRT1_2, -7 + (a + b) * Math.SQRT1_2];
    }).flat(),
  );
}

describe('InputTransform', () => {
  it('gives every embedding the same length, and leaves the mean at 0', () => {
    const features = twoComponents(1, 200);
    const transform = InputTransform.fit(features, { dimensions: 2, scale: 16 });
    const z = transform.apply(features);
    for (let i = 0; i < z.rows; i++) expect(norm(row(z, i))).toBeCloseTo(16, 10);
    expect([...transform.apply(matrix(1, 2, columnMeans(features))).data]).toEqual([0, 0]);
  });

  it('whitens by half: component i keeps the fourth root of its share of the first variance', () => {
    const features = twoComponents(2, 4000);
    const { mean, projection } = InputTransform.fit(features, { dimensions: 2, scale: 1 });
    const variance = [0, 1].map((component) => {
      let sum = 0;
      for (let i = 0; i < features.rows; i++) {
        const centred = row(features, i).map((value, j) => value - mean[j]!);
        sum += dot(row(projection, component), centred) ** 2;
      }
      return sum / features.rows;
    });
    // Standardised, the two components have variances 1 + ρ and 1 − ρ, ρ the correlation of the columns.
    const standardised = standardise(features, momentsOf(features));
    const product = (a: 0 | 1, b: 0 | 1) => {
      let sum = 0;
      for (let i = 0; i < features.rows; i++) sum += row(standardised, i)[a]! * row(standardised, i)[b]!;
      return sum;
    };
    const rho = product(0, 1) / Math.sqrt(product(0, 0) * product(1, 1));
    expect(variance[0]).toBeCloseTo(1, 10);
    expect(variance[1]).toBeCloseTo(Math.sqrt((1 - rho) / (1 + rho)), 3);
  });

  it('leaves components without variance at 0 instead of lifting rounding errors', () => {
    const random = new Random(3);
    const features = matrix(
      5,
      8,
      Array.from({ length: 40 }, () => random.normal()),
    );
    const { projection } = InputTransform.fit(features, { dimensions: 8, scale: 1 });
    expect(norm(row(projection, 3))).toBeGreaterThan(0.01);
    for (let i = 4; i < 8; i++) expect(norm(row(projection, i))).toBe(0);
  });

  it('says what it needs when there is too little to fit to', () => {
    expect(() => InputTransform.fit(matrix(1, 3), { dimensions: 2, scale: 1 })).toThrow(
      'Cannot fit 2 dimensions to 1 embeddings of 3 numbers',
    );
    expect(() => InputTransform.fit(matrix(9, 3), { dimensions: 4, scale: 1 })).toThrow(
      'Cannot fit 4 dimensions to 9 embeddings of 3 numbers',
    );
  });
});

describe('Discriminant', () => {
  /** Classes differ by 1 in column 0 only; columns 1 to 7 are louder and mean nothing. */
  function classes(seed: number, count: number): { z: Matrix; labels: number[] } {
    const random = new Random(seed);
    const labels = Array.from({ length: 4 * count }, (_, i) => Math.floor(i / 4));
    const offsets = Array.from({ length: count }, () => random.normal());
    const rows = labels.map((label) => [
      offsets[label]! + 0.2 * random.normal(),
      ...Array.from({ length: 7 }, () => 3 * random.normal()),
    ]);
    return { z: matrix(4 * count, 8, rows.flat()), labels };
  }

  it('finds the direction that tells classes apart and plays down the others', () => {
    const { z, labels } = classes(1, 200);
    const { weights } = Discriminant.fit(z, classesOf(labels), { dimensions: 8, shrinkage: 0.01 });
    const first = row(weights, 0);
    expect(Math.abs(first[0]!) / norm(first)).toBeGreaterThan(0.99);
    // Noise of four pictures leaves its quarter between classes: ρ = 1/3 there, some 25 in column 0.
    expect(norm(row(weights, 1)) * 3).toBeLessThan(norm(first));
  });

  it('puts unseen pictures of one unseen class nearer together than plain distance does', () => {
    const fitted = Discriminant.fit(classes(1, 200).z, classesOf(classes(1, 200).labels), {
      dimensions: 4,
      shrinkage: 0.1,
    });
    const { z, labels } = classes(2, 100);
    const nearestIsOwn = (m: Matrix) => {
      let hits = 0;
      for (let i = 0; i < m.rows; i++) {
        let best = -1;
        let nearest = Infinity;
        for (let j = 0; j < m.rows; j++) {
          const distance = row(m, i).reduce((sum, value, k) => sum + (value - row(m, j)[k]!) ** 2, 0);
          if (j !== i && distance < nearest) [best, nearest] = [j, distance];
        }
        if (labels[best] === labels[i]) hits += 1;
      }
      return hits / m.rows;
    };
    expect(nearestIsOwn(fitted.apply(z))).toBeGreaterThan(2 * nearestIsOwn(z));
  });

  it('is affine before the length: e = unit(W z + b), centred on what it was fitted to', () => {
    const { z, labels } = classes(4, 50);
    const { weights, bias } = Discriminant.fit(z, classesOf(labels), { dimensions: 3, shrinkage: 0.3 });
    const centre = columnMeans(z);
    for (let i = 0; i < 3; i++) expect(dot(row(weights, i), centre) + bias[i]!).toBeCloseTo(0, 10);
    const e = new Discriminant(weights, bias).apply(takeRows(z, [7]));
    const byHand = Array.from({ length: 3 }, (_, i) => dot(row(weights, i), row(z, 7)) + bias[i]!);
    byHand.forEach((value, i) => {
      expect(e.data[i]).toBeCloseTo(value / norm(byHand), 10);
    });
  });

  it('takes a class of weight 3 as it takes the same class given three times', () => {
    const { z, labels } = classes(5, 40);
    const all = classesOf(labels);
    const overlapping = { rows: [0, 1, 2, 3, 8, 9, 10, 11], weight: 3 }; // two classes that have something in common
    const options = { dimensions: 4, shrinkage: 0.2 };
    const weighted = Discriminant.fit(z, [...all, overlapping], options);
    const repeated = Discriminant.fit(z, [...all, ...Array(3).fill({ ...overlapping, weight: 1 })], options);
    const ratio = weighted.weights.data.map((value, i) => value / repeated.weights.data[i]!);
    for (const value of ratio) expect(value).toBeCloseTo(1, 1); // n − 1 counts the classes, and three are not one
    expect(Discriminant.fit(z, all, options).weights.data).not.toEqual(weighted.weights.data);
  });

  it('needs two classes', () => {
    expect(() => Discriminant.fit(matrix(4, 2), classesOf([1, 1, 1, 1]), { dimensions: 2, shrinkage: 0.3 })).toThrow(
      'A discriminant needs at least 2 classes, not 1.',
    );
  });
});
