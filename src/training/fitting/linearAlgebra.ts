/**
 * Dense linear algebra in plain loops: what fitting a transform, a discriminant and the baselines needs, in double
 * precision, on one core. Loops run along rows, which lie together in memory. Knows numbers only.
 */
import { PalateError } from '../../errors.ts';

/** Row-major: element (i, j) is `data[i * columns + j]`. */
export interface Matrix {
  readonly rows: number;
  readonly columns: number;
  readonly data: Float64Array;
}

/** A matrix of zeros, or one over the given numbers (copied when they are not doubles already). */
export function matrix(rows: number, columns: number, data?: ArrayLike<number>): Matrix {
  if (data && data.length !== rows * columns) {
    throw new PalateError(
      'INVALID',
      `A ${rows} × ${columns} matrix has ${rows * columns} numbers, not ${data.length}.`,
    );
  }
  if (!data) return { rows, columns, data: new Float64Array(rows * columns) };
  return { rows, columns, data: data instanceof Float64Array ? data : Float64Array.from(data) };
}

/** Row i, as a view: writing to it writes to the matrix. */
export function row(m: Matrix, i: number): Float64Array {
  return m.data.subarray(i * m.columns, (i + 1) * m.columns);
}

/** The named rows, in that order, copied. */
export function takeRows(m: Matrix, rows: ArrayLike<number>): Matrix {
  const taken = matrix(rows.length, m.columns);
  for (let i = 0; i < rows.length; i++) taken.data.set(row(m, rows[i]!), i * m.columns);
  return taken;
}

export function transpose(m: Matrix): Matrix {
  const result = matrix(m.columns, m.rows);
  for (let i = 0; i < m.rows; i++) {
    for (let j = 0; j < m.columns; j++) result.data[j * m.rows + i] = m.data[i * m.columns + j]!;
  }
  return result;
}

export function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

/** Euclidean length. */
export function norm(a: ArrayLike<number>): number {
  return Math.sqrt(dot(a, a));
}

/** The mean of the rows. */
export function columnMeans(m: Matrix): Float64Array {
  const means = new Float64Array(m.columns);
  for (let i = 0; i < m.rows; i++) {
    const offset = i * m.columns;
    for (let j = 0; j < m.columns; j++) means[j]! += m.data[offset + j]!;
  }
  return means.map((sum) => sum / m.rows);
}

/** A B: (n, k) × (k, m) → (n, m). */
export function multiply(a: Matrix, b: Matrix): Matrix {
  if (a.columns !== b.rows) {
    throw new PalateError(
      'INVALID',
      `Cannot multiply ${a.rows} × ${a.columns} by ${b.rows} × ${b.columns}: ${a.columns} columns meet ${b.rows} rows.`,
    );
  }
  return multiplyTransposed(a, transpose(b));
}

/** Rows of B that stay in the nearest cache while all rows of A pass by. */
const BLOCK_ROWS = 32;

/** A Bᵀ: (n, k) × (m, k) → (n, m). Four rows of B at a time share each number that is read from A. */
export function multiplyTransposed(a: Matrix, b: Matrix): Matrix {
  if (a.columns !== b.columns) {
    throw new PalateError(
      'INVALID',
      `Cannot multiply ${a.rows} × ${a.columns} by the transpose of ${b.rows} × ${b.columns}: the columns differ.`,
    );
  }
  const product = matrix(a.rows, b.rows);
  for (let start = 0; start < b.rows; start += BLOCK_ROWS) {
    const end = Math.min(start + BLOCK_ROWS, b.rows);
    for (let i = 0; i < a.rows; i++) dotRows(a, i, b, start, end, product);
  }
  return product;
}

/** A Aᵀ: (n, k) → (n, n), the inner products of the rows. Half the work of `multiplyTransposed(a, a)`. */
export function gram(a: Matrix): Matrix {
  const product = matrix(a.rows, a.rows);
  for (let start = 0; start < a.rows; start += BLOCK_ROWS) {
    const end = Math.min(start + BLOCK_ROWS, a.rows);
    for (let i = start; i < a.rows; i++) dotRows(a, i, a, start, end, product);
  }
  for (let i = 0; i < a.rows; i++) {
    for (let j = i + 1; j < a.rows; j++) product.data[i * a.rows + j] = product.data[j * a.rows + i]!;
  }
  return product;
}

/** product[i, j] = ⟨row i of a, row j of b⟩ for j from start to end − 1. */
function dotRows(a: Matrix, i: number, b: Matrix, start: number, end: number, product: Matrix): void {
  const k = a.columns;
  const x = a.data;
  const y = b.data;
  const from = i * k;
  let j = start;
  for (; j + 4 <= end; j += 4) {
    const y0 = j * k;
    const y1 = y0 + k;
    const y2 = y1 + k;
    const y3 = y2 + k;
    let s0 = 0;
    let s1 = 0;
    let s2 = 0;
    let s3 = 0;
    for (let c = 0; c < k; c++) {
      const value = x[from + c]!;
      s0 += value * y[y0 + c]!;
      s1 += value * y[y1 + c]!;
      s2 += value * y[y2 + c]!;
      s3 += value * y[y3 + c]!;
    }
    const at = i * product.columns + j;
    product.data[at] = s0;
    product.data[at + 1] = s1;
    product.data[at + 2] = s2;
    product.data[at + 3] = s3;
  }
  for (; j < end; j++) product.data[i * product.columns + j] = dot(row(a, i), row(b, j));
}

/**
 * The lower triangle L with L Lᵀ = A, for a symmetric positive definite A (its lower triangle is read).
 * Throws when A is not positive definite.
 */
export function cholesky(a: Matrix): Matrix {
  const n = a.rows;
  const l = matrix(n, n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = a.data[i * n + j]!;
      for (let k = 0; k < j; k++) sum -= l.data[i * n + k]! * l.data[j * n + k]!;
      if (i !== j) l.data[i * n + j] = sum / l.data[j * n + j]!;
      else if (sum > 0) l.data[i * n + i] = Math.sqrt(sum);
      else {
        throw new PalateError('INVALID', `The matrix is not positive definite: pivot ${i} is ${sum}. Add a ridge.`);
      }
    }
  }
  return l;
}

/** x with L x = b. */
export function solveLower(l: Matrix, b: ArrayLike<number>): Float64Array {
  const n = l.rows;
  const x = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    let sum = b[i]!;
    for (let k = 0; k < i; k++) sum -= l.data[i * n + k]! * x[k]!;
    x[i] = sum / l.data[i * n + i]!;
  }
  return x;
}

/** x with Lᵀ x = b. */
export function solveLowerTransposed(l: Matrix, b: ArrayLike<number>): Float64Array {
  const n = l.rows;
  const x = Float64Array.from(b);
  for (let i = n - 1; i >= 0; i--) {
    x[i] = x[i]! / l.data[i * n + i]!;
    for (let k = 0; k < i; k++) x[k]! -= l.data[i * n + k]! * x[i]!;
  }
  return x;
}

/** x with A x = b, given the Cholesky factor L of A. */
export function solveCholesky(l: Matrix, b: ArrayLike<number>): Float64Array {
  return solveLowerTransposed(l, solveLower(l, b));
}
