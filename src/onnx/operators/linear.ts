/**
 * Matrix products.
 */
import type { Value } from '../graph.ts';
import { broadcastShapes, type Shape, shapeMismatch } from '../shape.ts';
import { sumTo } from './arithmetic.ts';
import { mergeAxes, reshape, transpose } from './layout.ts';
import { reduceSum } from './reduction.ts';

/** Exchanges the last two axes. */
export function transposeLast(a: Value): Value {
  const rank = a.shape.length;
  const axes = [...a.shape.keys()];
  return transpose(a, [...axes.slice(0, -2), rank - 1, rank - 2]);
}

/** The matrix product over the last two axes, (…, m, k) × (…, k, n) → (…, m, n); leading axes broadcast. */
export function matMul(a: Value, b: Value): Value {
  return a.graph.differentiableNode('MatMul', [a, b], [matMulShape(a.shape, b.shape)], {}, () => ([gradient]) => {
    if (!gradient) return [];
    return [
      a.differentiable ? sumTo(matMul(gradient, transposeLast(b)), a) : undefined,
      b.differentiable ? sumTo(matMul(transposeLast(a), gradient), b) : undefined,
    ];
  })[0]!;
}

function matMulShape(a: Shape, b: Shape): Shape {
  if (a.length < 2 || b.length < 2) throw shapeMismatch('MatMul', a, b, 'both need two axes or more');
  if (a.at(-1) !== b.at(-2)) {
    throw shapeMismatch('MatMul', a, b, `${a.at(-1)} columns of the first meet ${b.at(-2)} rows of the second`);
  }
  const lead = broadcastShapes('MatMul', a.slice(0, -2), b.slice(0, -2));
  return [...lead, a.at(-2)!, b.at(-1)!];
}

/**
 * The matrix product of whole numbers, (m, k) of uint8 less `zero` × (k, n) of int8 → (m, n) of int32. No gradient.
 * Exact on every processor where no number of b is beyond ±64: some add pairs of products in 16 bits.
 */
export function matMulInteger(a: Value, b: Value, zero: number): Value {
  const { graph } = a;
  const zeroPoint = graph.constant(`${b.name}.zero`, [], Uint8Array.of(zero), 'uint8');
  return graph.node('MatMulInteger', [a, b, zeroPoint], [matMulShape(a.shape, b.shape)], {}, 'int32')[0]!;
}

/**
 * x W + b over the last axis: x (…, k), weight (k, n), bias (n) → (…, n). One matrix product whatever x's rank.
 */
export function linear(x: Value, weight: Value, bias?: Value): Value {
  const lead = x.shape.slice(0, -1);
  const rows = x.shape.length === 2 ? x : mergeAxes(x, 0, x.shape.length - 2);
  return reshape(gemm(rows, weight, bias), [...lead, weight.shape.at(-1)!]);
}

function gemm(a: Value, b: Value, bias?: Value): Value {
  const shape = matMulShape(a.shape, b.shape);
  if (bias && (bias.shape.length !== 1 || bias.shape[0] !== shape[1])) {
    throw shapeMismatch('Gemm', shape, bias.shape, 'a bias has one number a column');
  }
  const inputs = bias ? [a, b, bias] : [a, b];
  const { graph } = a;
  return graph.differentiableNode('Gemm', inputs, [shape], {}, () => ([gradient]) => {
    if (!gradient) return [];
    return [
      a.differentiable ? graph.node('Gemm', [gradient, b], [a.shape], { transB: 1 })[0] : undefined,
      b.differentiable ? graph.node('Gemm', [a, gradient], [b.shape], { transA: 1 })[0] : undefined,
      bias?.differentiable ? reduceSum(gradient, [0]) : undefined,
    ];
  })[0]!;
}
