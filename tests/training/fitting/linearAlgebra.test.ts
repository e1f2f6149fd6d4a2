/** Products, factors and eigenvectors, against what is known by hand and by their definitions. */
import { Random } from '../../../src/random.ts';
import {
  cholesky,
  dot,
  gram,
  type Matrix,
  matrix,
  multiply,
  multiplyTransposed,
  row,
  solveCholesky,
  transpose,
} from '../../../src/training/fitting/linearAlgebra.ts';
import { symmetricEigen } from '../../../src/training/fitting/symmetricEigen.ts';

function randomMatrix(seed: number, rows: number, columns: number): Matrix {
  const random = new Random(seed);
  return matrix(
    rows,
    columns,
    Array.from({ length: rows * columns }, () => random.normal()),
  );
}

function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  return Math.max(...Array.from(a, (value, i) => Math.abs(value - b[i]!)));
}

describe('matrices', () => {
  it('multiply as by hand', () => {
    const product = multiply(matrix(2, 3, [1, 2, 3, 4, 5, 6]), matrix(3, 2, [7, 8, 9, 10, 11, 12]));
    expect([...product.data]).toEqual([58, 64, 139, 154]);
  });

  it('multiply alike in blocks and one by one, at sizes that fill no block', () => {
    const a = randomMatrix(1, 37, 19);
    const b = randomMatrix(2, 71, 19);
    const product = multiplyTransposed(a, b);
    for (const [i, j] of [
      [0, 0],
      [36, 70],
      [5, 31],
      [20, 32],
      [36, 67],
    ] as const) {
      expect(product.data[i * 71 + j]).toBeCloseTo(dot(row(a, i), row(b, j)), 12);
    }
    expect(largestDifference(gram(a).data, multiplyTransposed(a, a).data)).toBeLessThan(1e-12);
  });

  it('say which shapes do not meet', () => {
    expect(() => multiply(matrix(2, 3), matrix(2, 3))).toThrow(
      'Cannot multiply 2 × 3 by 2 × 3: 3 columns meet 2 rows.',
    );
    expect(() => matrix(2, 2, [1, 2, 3])).toThrow('A 2 × 2 matrix has 4 numbers, not 3.');
  });
});

describe('cholesky', () => {
  it('gives the factor known by hand', () => {
    const factor = cholesky(matrix(3, 3, [4, 12, -16, 12, 37, -43, -16, -43, 98]));
    expect([...factor.data]).toEqual([2, 0, 0, 6, 1, 0, -8, 5, 3]);
  });

  it('solves a system to rounding', () => {
    const a = gram(randomMatrix(3, 20, 40));
    const x = randomMatrix(4, 20, 1).data;
    const b = multiply(a, matrix(20, 1, x)).data;
    expect(largestDifference(solveCholesky(cholesky(a), b), x)).toBeLessThan(1e-9);
  });

  it('refuses a matrix that is not positive definite', () => {
    expect(() => cholesky(matrix(2, 2, [1, 2, 2, 1]))).toThrow(
      'The matrix is not positive definite: pivot 1 is -3. Add a ridge.',
    );
  });
});

describe('symmetricEigen', () => {
  it('gives eigenvalues known by hand, largest first', () => {
    const { values, vectors } = symmetricEigen(matrix(3, 3, [2, -1, 0, -1, 2, -1, 0, -1, 2]));
    expect(largestDifference(values, [2 + Math.SQRT2, 2, 2 - Math.SQRT2])).toBeLessThan(1e-14);
    expect(largestDifference(row(vectors, 2), [0.5, Math.SQRT1_2, 0.5])).toBeLessThan(1e-14);
  });

  it('finds vectors that are orthonormal and rebuild the matrix', () => {
    const a = gram(randomMatrix(5, 60, 45)); // rank 45: fifteen eigenvalues are 0
    const { values, vectors } = symmetricEigen(a);
    const identity = multiplyTransposed(vectors, vectors);
    const scaled = matrix(
      60,
      60,
      vectors.data.map((value, i) => value * values[Math.floor(i / 60)]!),
    );
    expect(largestDifference(multiply(transpose(vectors), scaled).data, a.data)).toBeLessThan(1e-11);
    expect(
      largestDifference(
        identity.data,
        matrix(60, 60).data.map((_, i) => (i % 61 === 0 ? 1 : 0)),
      ),
    ).toBeLessThan(1e-12);
    expect(values.filter((value) => Math.abs(value) < 1e-11)).toHaveLength(15);
  });

  it('finds what there is of a large matrix that is nearly all zeros', () => {
    for (const scale of [1, 1e-6, 1e6]) {
      const a = gram(randomMatrix(7, 256, 20)); // 236 eigenvalues are 0
      const { values } = symmetricEigen(
        matrix(
          256,
          256,
          a.data.map((value) => scale * value),
        ),
        30,
      );
      expect([...values].filter((value) => value > 1e-9 * values[0]!)).toHaveLength(20);
    }
  });

  it('copes with equal eigenvalues, zeros and a single number', () => {
    expect([...symmetricEigen(matrix(3, 3, [5, 0, 0, 0, 5, 0, 0, 0, 5])).values]).toEqual([5, 5, 5]);
    expect([...symmetricEigen(matrix(2, 2)).values]).toEqual([0, 0]);
    expect([...symmetricEigen(matrix(1, 1, [-3])).values]).toEqual([-3]);
  });

  it('keeps only the vectors asked for, each with its largest number positive', () => {
    const { values, vectors } = symmetricEigen(gram(randomMatrix(6, 12, 12)), 4);
    expect(values).toHaveLength(4);
    for (let i = 0; i < 4; i++) {
      const vector = [...row(vectors, i)];
      expect(Math.max(...vector)).toBe(Math.max(...vector.map(Math.abs)));
    }
  });

  it('refuses numbers that are not finite', () => {
    expect(() => symmetricEigen(matrix(3, 3, [1, NaN, 0, NaN, 1, 0, 0, 0, 1]))).toThrow(
      'Eigenvectors need finite numbers, and the matrix holds NaN or infinity.',
    );
  });
});
