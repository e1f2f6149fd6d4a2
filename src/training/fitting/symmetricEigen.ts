/**
 * Eigenvectors of a symmetric matrix: Householder's reduction to three diagonals, then QL with implicit shifts
 * (Golub and Van Loan, Matrix Computations, 8.3; EISPACK's tql2). Some 8 seconds for 1,664 rows on one core; the same
 * bits on every run. Knows numbers only.
 */
import { PalateError } from '../../errors.ts';
import { type Matrix, matrix, row } from './linearAlgebra.ts';

export interface Eigen {
  /** Largest first. */
  readonly values: Float64Array;
  /** (count, n): row i is the unit eigenvector of `values[i]`; its largest number is positive. */
  readonly vectors: Matrix;
}

/** The `count` largest eigenvalues (all by default) of a symmetric (n, n) matrix and their eigenvectors. */
export function symmetricEigen(a: Matrix, count: number = a.rows): Eigen {
  if (a.rows !== a.columns) {
    throw new PalateError('INVALID', `Eigenvectors need a square matrix, not ${a.rows} × ${a.columns}.`);
  }
  if (!a.data.every(Number.isFinite)) {
    throw new PalateError('INVALID', 'Eigenvectors need finite numbers, and the matrix holds NaN or infinity.');
  }
  const n = a.rows;
  const { diagonal, offDiagonal, reflectors, factors } = tridiagonalise(a);
  const rotated = tridiagonalEigen(diagonal, offDiagonal);
  const order = Array.from({ length: n }, (_, i) => i).sort((i, j) => diagonal[j]! - diagonal[i]! || i - j);
  const kept = Math.min(count, n);
  const vectors = matrix(kept, n);
  for (let i = 0; i < kept; i++) {
    const vector = row(vectors, i);
    vector.set(row(rotated, order[i]!));
    reflectBack(vector, reflectors, factors);
    orient(vector);
  }
  return { values: Float64Array.from(order.slice(0, kept), (i) => diagonal[i]!), vectors };
}

interface Tridiagonal {
  readonly diagonal: Float64Array;
  /** offDiagonal[i] stands between i and i + 1; the last is 0. */
  readonly offDiagonal: Float64Array;
  /** Row k holds the reflector of step k, from column k + 1 on. */
  readonly reflectors: Matrix;
  /** 2 / ‖v‖² of each reflector v, 0 where none was needed. */
  readonly factors: Float64Array;
}

/** A = Q T Qᵀ with T of three diagonals, Q the product of the reflections I − factor v vᵀ in order. */
function tridiagonalise(a: Matrix): Tridiagonal {
  const n = a.rows;
  const reflectors = matrix(n, n, a.data.slice());
  const data = reflectors.data;
  const offDiagonal = new Float64Array(n);
  const factors = new Float64Array(n);
  const p = new Float64Array(n);
  for (let k = 0; k < n - 1; k++) {
    const v = row(reflectors, k);
    let square = 0;
    for (let j = k + 1; j < n; j++) square += v[j]! * v[j]!;
    const first = v[k + 1]!;
    // The last step has one number left: it is three-diagonal already.
    if (k === n - 2 || square === first * first) {
      offDiagonal[k] = first;
      continue;
    }
    const alpha = first > 0 ? -Math.sqrt(square) : Math.sqrt(square);
    offDiagonal[k] = alpha;
    v[k + 1] = first - alpha;
    const factor = 1 / (alpha * (alpha - first)); // = 2 / ‖v‖²
    factors[k] = factor;
    // p = factor B v, B the trailing block, of which the upper triangle is kept.
    p.fill(0, k + 1);
    for (let i = k + 1; i < n; i++) {
      const at = i * n;
      const vi = v[i]!;
      let sum = data[at + i]! * vi;
      for (let j = i + 1; j < n; j++) {
        const value = data[at + j]!;
        sum += value * v[j]!;
        p[j]! += value * vi;
      }
      p[i]! += sum;
    }
    let vp = 0;
    for (let i = k + 1; i < n; i++) {
      p[i]! *= factor;
      vp += v[i]! * p[i]!;
    }
    const half = (factor * vp) / 2;
    for (let i = k + 1; i < n; i++) p[i]! -= half * v[i]!;
    // B ← B − v pᵀ − p vᵀ
    for (let i = k + 1; i < n; i++) {
      const at = i * n;
      const vi = v[i]!;
      const pi = p[i]!;
      for (let j = i; j < n; j++) data[at + j]! -= vi * p[j]! + pi * v[j]!;
    }
  }
  return { diagonal: Float64Array.from({ length: n }, (_, i) => data[i * n + i]!), offDiagonal, reflectors, factors };
}

/** Two or three QL steps find an eigenvalue; LAPACK gives up after 30. */
const MOST_STEPS = 30;

/**
 * Turns `d` (diagonal) into the eigenvalues, destroys `e` (off the diagonal), and returns the eigenvectors as rows.
 */
function tridiagonalEigen(d: Float64Array, e: Float64Array): Matrix {
  const n = d.length;
  // Beside the largest numbers, not the neighbours: those of eigenvalues that are 0 are rounding errors themselves.
  const negligible =
    Number.EPSILON * d.reduce((most, value, i) => Math.max(most, Math.abs(value), Math.abs(e[i] ?? 0)), 0);
  const vectors = matrix(n, n);
  for (let i = 0; i < n; i++) vectors.data[i * n + i] = 1;
  for (let l = 0; l < n; l++) {
    for (let step = 0; ; step++) {
      let m = l;
      while (m < n - 1 && Math.abs(e[m]!) > negligible) m++;
      if (m === l) break;
      if (step === MOST_STEPS) {
        throw new PalateError('INVALID', `Eigenvalue ${l} was not found in ${MOST_STEPS} steps: scale the matrix.`);
      }
      let g = (d[l + 1]! - d[l]!) / (2 * e[l]!);
      let r = Math.hypot(g, 1);
      g = d[m]! - d[l]! + e[l]! / (g + (g >= 0 ? r : -r));
      let s = 1;
      let c = 1;
      let p = 0;
      let deflated = false;
      for (let i = m - 1; i >= l; i--) {
        const f = s * e[i]!;
        const b = c * e[i]!;
        r = Math.hypot(f, g);
        e[i + 1] = r;
        if (r === 0) {
          d[i + 1]! -= p;
          e[m] = 0;
          deflated = true;
          break;
        }
        s = f / r;
        c = g / r;
        g = d[i + 1]! - p;
        r = (d[i]! - g) * s + 2 * c * b;
        p = s * r;
        d[i + 1] = g + p;
        g = c * r - b;
        rotateRows(vectors, i, c, s);
      }
      if (deflated) continue;
      d[l]! -= p;
      e[l] = g;
      e[m] = 0;
    }
  }
  return vectors;
}

/** Rotates rows i and i + 1 into each other. */
function rotateRows(m: Matrix, i: number, c: number, s: number): void {
  const n = m.columns;
  const data = m.data;
  const upper = i * n;
  const lower = upper + n;
  for (let k = 0; k < n; k++) {
    const x = data[upper + k]!;
    const y = data[lower + k]!;
    data[lower + k] = s * x + c * y;
    data[upper + k] = c * x - s * y;
  }
}

/** y ← Q y: from an eigenvector of the three diagonals to one of the matrix they came from. */
function reflectBack(y: Float64Array, reflectors: Matrix, factors: Float64Array): void {
  const n = y.length;
  for (let k = n - 2; k >= 0; k--) {
    if (factors[k] === 0) continue;
    const v = row(reflectors, k);
    let sum = 0;
    for (let j = k + 1; j < n; j++) sum += v[j]! * y[j]!;
    const scale = factors[k]! * sum;
    for (let j = k + 1; j < n; j++) y[j]! -= scale * v[j]!;
  }
}

/** An eigenvector has no sign of its own: the largest number is made positive. */
function orient(vector: Float64Array): void {
  let largest = 0;
  for (const value of vector) if (Math.abs(value) > Math.abs(largest)) largest = value;
  if (largest < 0) for (let i = 0; i < vector.length; i++) vector[i] = -vector[i]!;
}
