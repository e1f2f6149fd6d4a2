/**
 * Elementwise arithmetic with broadcasting. The gradient of a broadcast operand is summed back to its shape.
 */
import type { Value } from '../graph.ts';
import { broadcastShapes, repeatedAxes } from '../shape.ts';
import { reshape } from './layout.ts';
import { reduceSum } from './reduction.ts';

/** a + b. */
export function add(a: Value, b: Value): Value {
  return binary('Add', a, b, { byA: (gradient) => gradient, byB: (gradient) => gradient });
}

/** a − b. */
export function subtract(a: Value, b: Value): Value {
  return binary('Sub', a, b, { byA: (gradient) => gradient, byB: negate });
}

/** a × b, elementwise. */
export function multiply(a: Value, b: Value): Value {
  return binary('Mul', a, b, { byA: (gradient) => multiply(gradient, b), byB: (gradient) => multiply(gradient, a) });
}

/** a / b, elementwise. */
export function divide(a: Value, b: Value): Value {
  return binary('Div', a, b, {
    byA: (gradient) => divide(gradient, b),
    byB: (gradient, quotient) => negate(divide(multiply(gradient, quotient), b)),
  });
}

/** −a. */
export function negate(a: Value): Value {
  return unary('Neg', a, (gradient) => negate(gradient));
}

/** a × factor, a constant number. */
export function scale(a: Value, factor: number): Value {
  return factor === 1 ? a : multiply(a, a.graph.scalar(factor));
}

/** eᵃ. */
export function exp(a: Value): Value {
  return unary('Exp', a, (gradient, result) => multiply(gradient, result));
}

/** Natural logarithm; a must be positive. */
export function log(a: Value): Value {
  return unary('Log', a, (gradient) => divide(gradient, a));
}

/** √a; a must be positive where a gradient is asked for. */
export function sqrt(a: Value): Value {
  return unary('Sqrt', a, (gradient, result) => divide(scale(gradient, 0.5), result));
}

/** a². */
export function square(a: Value): Value {
  return multiply(a, a);
}

/** An elementwise operator of one operand; `derivative` takes the output's gradient and the output. */
export function unary(operator: string, a: Value, derivative: Derivative): Value {
  return a.graph.differentiableNode(operator, [a], [a.shape], {}, ([result]) => ([gradient]) => [
    gradient && derivative(gradient, result!),
  ])[0]!;
}

type Derivative = (gradient: Value, result: Value) => Value;

function binary(operator: string, a: Value, b: Value, { byA, byB }: { byA: Derivative; byB: Derivative }): Value {
  const shape = broadcastShapes(operator, a.shape, b.shape);
  return a.graph.differentiableNode(operator, [a, b], [shape], {}, ([result]) => ([gradient]) => {
    if (!gradient) return [];
    return [
      a.differentiable ? sumTo(byA(gradient, result!), a) : undefined,
      b.differentiable ? sumTo(byB(gradient, result!), b) : undefined,
    ];
  })[0]!;
}

/** Undoes broadcasting: sums over the axes along which `operand` was repeated. */
export function sumTo(gradient: Value, operand: Value): Value {
  const axes = repeatedAxes(gradient.shape, operand.shape);
  return axes.length === 0 ? gradient : reshape(reduceSum(gradient, axes), operand.shape);
}
