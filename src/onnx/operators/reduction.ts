/**
 * Sums and means over axes.
 */
import type { Value } from '../graph.ts';
import { normalizeAxis, staticDim } from '../shape.ts';
import { scale } from './arithmetic.ts';
import { expand, reshape } from './layout.ts';

/** The sum over `axes`, which stay with size 1 where `keepAxes` is set. Over all axes it is a scalar. */
export function reduceSum(a: Value, axes: readonly number[], { keepAxes = false } = {}): Value {
  const reduced = new Set(axes.map((axis) => normalizeAxis('ReduceSum', a.shape, axis)));
  const kept = a.shape.map((dim, i) => (reduced.has(i) ? 1 : dim));
  const shape = keepAxes ? kept : a.shape.filter((_, i) => !reduced.has(i));
  const { graph } = a;
  const inputs = [a, graph.integers([...reduced])];
  return graph.differentiableNode('ReduceSum', inputs, [shape], { keepdims: keepAxes ? 1 : 0 }, () => ([gradient]) => [
    gradient && expand(reshape(gradient, kept), a.shape),
  ])[0]!;
}

/** The mean over `axes`, whose sizes must be fixed. */
export function reduceMean(a: Value, axes: readonly number[], { keepAxes = false } = {}): Value {
  const count = axes.reduce((product, axis) => product * staticDim('ReduceMean', a.shape, axis), 1);
  return scale(reduceSum(a, axes, { keepAxes }), 1 / count);
}

/** The sum of all elements: a scalar. */
export const sumAll = (a: Value): Value => reduceSum(a, [...a.shape.keys()]);

/** The mean of all elements: a scalar. */
export const meanAll = (a: Value): Value => reduceMean(a, [...a.shape.keys()]);
