/**
 * Nonlinear functions of one number.
 */
import type { Value } from '../graph.ts';
import { add, exp, multiply, scale, square, subtract, unary } from './arithmetic.ts';

/** 1 / (1 + e⁻ᵃ). */
export function sigmoid(a: Value): Value {
  return unary('Sigmoid', a, (gradient, result) =>
    multiply(gradient, multiply(result, subtract(a.graph.scalar(1), result))),
  );
}

/** log(1 + eᵃ), so that −log σ(a) is softplus(−a). */
export function softplus(a: Value): Value {
  return unary('Softplus', a, (gradient) => multiply(gradient, sigmoid(a)));
}

/** a Φ(a), Φ the normal distribution function: exact, by the error function (Hendrycks & Gimpel 2016). */
export function gelu(a: Value): Value {
  const { graph } = a;
  const { result, distribution } = graph.withoutTape(() => {
    const erf = graph.node('Erf', [scale(a, Math.SQRT1_2)], [a.shape])[0]!;
    const distribution = scale(add(erf, graph.scalar(1)), 0.5);
    return { distribution, result: multiply(a, distribution) };
  });
  return graph.differentiable([a], [result], ([gradient]) => [
    gradient && multiply(gradient, add(distribution, multiply(a, normalDensity(a)))),
  ])[0]!;
}

/** The density of the normal distribution, φ(a). */
function normalDensity(a: Value): Value {
  return scale(exp(scale(square(a), -0.5)), 1 / Math.sqrt(2 * Math.PI));
}
