/**
 * Shapes with symbolic sizes: comparing, broadcasting and counting them, so that tensors that do not fit fail
 * while the graph is built. A symbolic size is a name (`users`), a product of names reads `users*targets`.
 */
import { PalateError } from '../errors.ts';
import type { Dim } from './modelFile.ts';

export type Shape = readonly Dim[];

export const formatShape = (shape: Shape): string => `[${shape.join(', ')}]`;

/** Two shapes that an operator cannot take together: the operator and both shapes, in words. */
export function shapeMismatch(operator: string, a: Shape, b: Shape, why: string): PalateError {
  return new PalateError(
    'INTERNAL_SERVER_ERROR',
    `${operator}: shapes ${formatShape(a)} and ${formatShape(b)} do not fit: ${why}.`,
  );
}

export const sameShape = (a: Shape, b: Shape): boolean => a.length === b.length && a.every((dim, i) => dim === b[i]);

/** NumPy broadcasting: aligned at the last axis; sizes agree or one of them is 1. */
export function broadcastShapes(operator: string, a: Shape, b: Shape): Shape {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, i): Dim => {
    const x = a[a.length - rank + i] ?? 1;
    const y = b[b.length - rank + i] ?? 1;
    if (x !== y && x !== 1 && y !== 1) {
      throw shapeMismatch(operator, a, b, `axis ${i - rank} is ${x} in one and ${y} in the other`);
    }
    return x === 1 ? y : x;
  });
}

/** The axes of `result` along which a value of shape `source` was repeated to get there. */
export function repeatedAxes(result: Shape, source: Shape): number[] {
  const lead = result.length - source.length;
  return [...result.keys()].filter((i) => i < lead || (source[i - lead] === 1 && result[i] !== 1));
}

/** The size of several axes taken as one. */
export function productOf(dims: Shape): Dim {
  const { count, symbols } = elementsOf(dims);
  if (symbols.length === 0) return count;
  return count === 1 ? symbols.join('*') : `${count}*${symbols.join('*')}`;
}

/** How many elements: a number times named sizes (sorted). */
export function elementsOf(dims: Shape): { count: number; symbols: string[] } {
  let count = 1;
  const symbols: string[] = [];
  for (const dim of dims) {
    for (const factor of typeof dim === 'number' ? [dim] : dim.split('*')) {
      if (typeof factor === 'number' || /^\d+$/.test(factor)) count *= Number(factor);
      else symbols.push(factor);
    }
  }
  return { count, symbols: symbols.sort() };
}

/** Checks that a reshape keeps every element. */
export function assertSameElements(operator: string, from: Shape, to: Shape): void {
  const a = elementsOf(from);
  const b = elementsOf(to);
  if (a.count !== b.count || a.symbols.join('*') !== b.symbols.join('*')) {
    throw shapeMismatch(operator, from, to, `${productOf(from)} elements are not ${productOf(to)}`);
  }
}

/** A non-negative axis; throws when the shape has no such axis. */
export function normalizeAxis(operator: string, shape: Shape, axis: number): number {
  const index = axis < 0 ? axis + shape.length : axis;
  if (!Number.isInteger(axis) || index < 0 || index >= shape.length) {
    throw new PalateError('INTERNAL_SERVER_ERROR', `${operator}: shape ${formatShape(shape)} has no axis ${axis}.`);
  }
  return index;
}

/** A size that must be known while the graph is built. */
export function staticDim(operator: string, shape: Shape, axis: number): number {
  const dim = shape[normalizeAxis(operator, shape, axis)];
  if (typeof dim === 'number') return dim;
  throw new PalateError(
    'INTERNAL_SERVER_ERROR',
    `${operator}: axis ${axis} of ${formatShape(shape)} must have a fixed size.`,
  );
}
