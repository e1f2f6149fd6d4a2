/**
 * Moving elements without changing them: reshape, transpose, split, concatenate, slice, expand.
 */
import type { Graph, Value } from '../graph.ts';
import type { Dim } from '../modelFile.ts';
import {
  assertSameElements,
  broadcastShapes,
  normalizeAxis,
  productOf,
  type Shape,
  sameShape,
  shapeMismatch,
  staticDim,
} from '../shape.ts';
import { sumTo } from './arithmetic.ts';

/** The same elements in another shape; symbolic sizes may be merged (`productOf`) and split again. */
export function reshape(a: Value, shape: Shape): Value {
  if (sameShape(a.shape, shape)) return a;
  assertSameElements('Reshape', a.shape, shape);
  const inputs = [a, reshapeTarget(a.graph, shape)];
  return a.graph.differentiableNode('Reshape', inputs, [shape], {}, () => ([gradient]) => [
    gradient && reshape(gradient, a.shape),
  ])[0]!;
}

/** One unknown size can be left to the runtime (−1); more are read from the inputs. */
function reshapeTarget(graph: Graph, shape: Shape): Value {
  const unknown = shape.filter((dim) => typeof dim === 'string').length;
  return unknown === 1
    ? graph.integers(shape.map((dim) => (typeof dim === 'string' ? -1 : dim)))
    : graph.shapeTensor(shape);
}

/** Merges the axes from `first` to `last` into one. */
export function mergeAxes(a: Value, first: number, last: number): Value {
  const { shape } = a;
  return reshape(a, [...shape.slice(0, first), productOf(shape.slice(first, last + 1)), ...shape.slice(last + 1)]);
}

/** Axis i of the result is axis `permutation[i]` of a. */
export function transpose(a: Value, permutation: readonly number[]): Value {
  const sorted = [...permutation].sort((x, y) => x - y);
  if (!sameShape(sorted, [...a.shape.keys()])) {
    throw shapeMismatch('Transpose', a.shape, permutation, 'the second must name each axis of the first once');
  }
  const shape = permutation.map((axis) => a.shape[axis]!);
  const inverse = permutation.map((_, i) => permutation.indexOf(i));
  return a.graph.differentiableNode('Transpose', [a], [shape], { perm: permutation }, () => ([gradient]) => [
    gradient && transpose(gradient, inverse),
  ])[0]!;
}

/** Cuts `axis` into consecutive pieces of the given sizes. */
export function split(a: Value, axis: number, sizes: readonly number[]): Value[] {
  const index = normalizeAxis('Split', a.shape, axis);
  const total = sizes.reduce((sum, size) => sum + size, 0);
  if (staticDim('Split', a.shape, index) !== total) {
    throw shapeMismatch('Split', a.shape, sizes, `the pieces are ${total} of axis ${axis}`);
  }
  const { graph } = a;
  const shapes = sizes.map((size) => a.shape.with(index, size));
  return graph.differentiableNode('Split', [a, graph.integers(sizes)], shapes, { axis: index }, () => (gradients) => [
    concat(
      gradients.map((gradient, i) => gradient ?? expand(graph.scalar(0), shapes[i]!)),
      index,
    ),
  ]);
}

/** Joins along `axis`, whose sizes must be fixed where a gradient is asked for. */
export function concat(parts: readonly Value[], axis: number): Value {
  const [first, ...rest] = parts;
  const index = normalizeAxis('Concat', first!.shape, axis);
  for (const part of rest) {
    if (!sameShape(part.shape.with(index, 1), first!.shape.with(index, 1))) {
      throw shapeMismatch('Concat', first!.shape, part.shape, `they may differ only along axis ${axis}`);
    }
  }
  const sizes = parts.map((part) => part.shape[index]!);
  const total: Dim = sizes.every((size) => typeof size === 'number')
    ? sizes.reduce((sum, size) => sum + size, 0)
    : sizes.join('+');
  return first!.graph.differentiableNode('Concat', parts, [first!.shape.with(index, total)], { axis: index }, () => {
    return ([gradient]) =>
      gradient
        ? split(
            gradient,
            index,
            parts.map((part) => staticDim('Concat', part.shape, index)),
          )
        : [];
  })[0]!;
}

/** Elements from `start` up to (not including) `end` along `axis`. */
export function slice(a: Value, axis: number, start: number, end: number): Value {
  const index = normalizeAxis('Slice', a.shape, axis);
  const size = staticDim('Slice', a.shape, index);
  if (!(0 <= start && start < end && end <= size)) {
    throw shapeMismatch('Slice', a.shape, [start, end], `the range must lie within axis ${axis}`);
  }
  const { graph } = a;
  const inputs = [a, graph.integers([start]), graph.integers([end]), graph.integers([index])];
  return graph.differentiableNode('Slice', inputs, [a.shape.with(index, end - start)], {}, () => ([gradient]) => {
    if (!gradient) return [];
    const pads = [
      ...a.shape.map((_, i) => (i === index ? start : 0)),
      ...a.shape.map((_, i) => (i === index ? size - end : 0)),
    ];
    return graph.node('Pad', [gradient, graph.integers(pads)], [a.shape]);
  })[0]!;
}

/** Repeats a to `shape` by broadcasting. */
export function expand(a: Value, shape: Shape): Value {
  if (sameShape(a.shape, shape)) return a;
  if (!sameShape(broadcastShapes('Expand', a.shape, shape), shape)) {
    throw shapeMismatch('Expand', a.shape, shape, 'the first must broadcast to the second');
  }
  return a.graph.differentiableNode('Expand', [a, a.graph.shapeTensor(shape)], [shape], {}, () => ([gradient]) => [
    gradient && sumTo(gradient, a),
  ])[0]!;
}
