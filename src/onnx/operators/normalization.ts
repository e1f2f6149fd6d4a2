/**
 * Softmax, layer normalisation and unit length, over the last axis.
 */
import type { Value } from '../graph.ts';
import { shapeMismatch } from '../shape.ts';
import { add, divide, multiply, sqrt, square, subtract } from './arithmetic.ts';
import { reduceMean, reduceSum } from './reduction.ts';

/** Exponentials that sum to 1 over the last axis. */
export function softmax(a: Value): Value {
  return a.graph.differentiableNode('Softmax', [a], [a.shape], { axis: -1 }, ([result]) => ([gradient]) => {
    if (!gradient) return [];
    const weighted = multiply(gradient, result!);
    return [subtract(weighted, multiply(result!, reduceSum(weighted, [-1], { keepAxes: true })))];
  })[0]!;
}

/** (x − mean) / √(variance + 10⁻⁵) × gain + bias over the last axis (Ba et al. 2016); gain and bias (n). */
export function layerNorm(x: Value, gain: Value, bias: Value): Value {
  const size = x.shape.at(-1)!;
  for (const p of [gain, bias]) {
    if (p.shape.length !== 1 || p.shape[0] !== size) {
      throw shapeMismatch('LayerNormalization', x.shape, p.shape, 'gain and bias have one number a column');
    }
  }
  const { graph } = x;
  const one = x.shape.with(-1, 1);
  const [result, mean, inverseDeviation] = graph.node('LayerNormalization', [x, gain, bias], [x.shape, one, one], {
    axis: -1,
    epsilon: { float: 1e-5 },
  });
  const rowAxes = [...x.shape.keys()].slice(0, -1);
  return graph.differentiable([x, gain, bias], [result!], ([gradient]) => {
    if (!gradient) return [];
    const normalized = multiply(subtract(x, mean!), inverseDeviation!);
    const byGain = reduceSum(multiply(gradient, normalized), rowAxes);
    const byBias = reduceSum(gradient, rowAxes);
    if (!x.differentiable) return [undefined, byGain, byBias];
    const scaled = multiply(gradient, gain);
    const meanScaled = reduceMean(scaled, [-1], { keepAxes: true });
    const meanAlong = reduceMean(multiply(scaled, normalized), [-1], { keepAxes: true });
    const byX = multiply(inverseDeviation!, subtract(scaled, add(meanScaled, multiply(normalized, meanAlong))));
    return [byX, byGain, byBias];
  })[0]!;
}

/** Length of the last axis, (…, n) → (…, 1), never below √ε so that a zero vector has a gradient. */
export function vectorNorm(a: Value, epsilon = 1e-8): Value {
  return sqrt(add(reduceSum(square(a), [-1], { keepAxes: true }), a.graph.scalar(epsilon)));
}

/** a at unit length over the last axis; a zero vector stays zero. */
export function unitLength(a: Value, epsilon = 1e-8): Value {
  return divide(a, vectorNorm(a, epsilon));
}
