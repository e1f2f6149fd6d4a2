/**
 * The metric path: the closed-form scorer at the heart of the model. What a person judged, as metric vectors, to a
 * score of each target: a kernel density ratio and a prototype. Formulas: docs/model.md; shapes: network.ts.
 */
import * as onnx from '../onnx/index.ts';
import { add, matMul, multiply, scale, subtract, type Value } from '../onnx/index.ts';
import type { Network, Parameters } from './parameters.ts';

/** n₁: judgements from which on more of them hardly change how far they agree. */
const AGREEMENT_COUNT = 20;
/** Keeps the agreement of no judgements at 0 / 1e-6. */
const NO_LENGTH = 1e-6;

/** What a person judged, as one metric channel (pictures or prompts) sees it. */
export interface MetricEvidence {
  /** Σ w e over all likes and over all dislikes: (U, 2, m) */
  readonly sums: Value;
  /** Σ w over all likes and over all dislikes: (U, 2, 1) */
  readonly totals: Value;
  /** Metric vectors of the newest judgements: (U, M, m) */
  readonly recent: Value;
  /** Their weights, in the column of a like or of a dislike: (U, M, 2) */
  readonly judged: Value;
}

/** Sums over the judgements given, where those are all there are. */
export function evidenceOf(recent: Value, judged: Value): MetricEvidence {
  const byColumn = onnx.transposeLast(judged);
  return {
    sums: matMul(byColumn, recent),
    totals: onnx.reduceSum(byColumn, [-1], { keepAxes: true }),
    recent,
    judged,
  };
}

/** t = μ₊ − μ₋, μ_c = Σ w e / (n₀ + Σ w): (U, 1, m), zero without a judgement. */
export function tasteDirection({ parameters: p }: Network, channel: string, { sums, totals }: MetricEvidence): Value {
  const pseudoCount = onnx.exp(p(`metricPath.${channel}.logPseudoCount`));
  const [liked, disliked] = onnx.split(onnx.divide(sums, add(pseudoCount, totals)), 1, [1, 1]);
  return subtract(liked!, disliked!);
}

/**
 * s_met = a₁ (U₊ − U₋) + a₂ G e·t, with U_c = log[(n₀ e^{τ s₀} + Σ w e^{τ eᵢ·e}) / (n₀ + Σ w)]: a kernel density
 * ratio and a prototype. targets (U, T, m) → (U, T, 1). Zero with no history, no bias from unequal counts. Of pictures
 * whose metric has components, the ratio reads the style alone and the prototype the components alone, G as they agree.
 */
export function metricScore(
  network: Network,
  channel: 'image' | 'text',
  targets: Value,
  evidence: MetricEvidence,
): Value {
  const p = (name: string) => network.parameters(`metricPath.${channel}.${name}`);
  const components = (channel === 'image' && network.architecture.components) || 0;
  const direction = tasteDirection(network, channel, evidence);
  if (components === 0) {
    const prototype = multiply(p('prototypeGain'), alongDirection(targets, direction));
    return add(densityRatio(p, targets, evidence), prototype);
  }
  const apart = (value: Value) => onnx.split(value, -1, [Number(value.shape.at(-1)) - components, components]);
  const [style, component] = apart(targets);
  const [recentStyle, recentComponent] = apart(evidence.recent);
  const [, componentDirection] = apart(direction);
  const gate = onnx.exp(
    add(
      multiply(p('componentAgreement'), agreement(recentComponent!, evidence.judged)),
      multiply(p('styleAgreement'), agreement(recentStyle!, evidence.judged)),
    ),
  ); // (U, 1, 1)
  const prototype = multiply(multiply(p('prototypeGain'), gate), alongDirection(component!, componentDirection!));
  return add(densityRatio(p, style!, { ...evidence, recent: recentStyle! }), prototype);
}

/** e·t: (U, T, m), (U, 1, m) → (U, T, 1) */
const alongDirection = (targets: Value, direction: Value): Value => matMul(targets, onnx.transposeLast(direction));

/** a₁ (U₊ − U₋): targets (U, T, m) → (U, T, 1) */
function densityRatio(p: Parameters, targets: Value, { recent, judged }: MetricEvidence): Value {
  const sharpness = onnx.exp(p('logSharpness'));
  const pseudoCount = onnx.exp(p('logPseudoCount'));
  const kernel = onnx.exp(multiply(sharpness, matMul(targets, onnx.transposeLast(recent)))); // (U, T, M)
  const rest = multiply(pseudoCount, onnx.exp(multiply(sharpness, p('restSimilarity'))));
  const read = onnx.reduceSum(judged, [1], { keepAxes: true }); // (U, 1, 2)
  const density = onnx.divide(add(rest, matMul(kernel, judged)), add(pseudoCount, read)); // (U, T, 2)
  const [liked, disliked] = onnx.split(onnx.log(density), -1, [1, 1]);
  return multiply(p('kernelGain'), subtract(liked!, disliked!));
}

/**
 * How far a person's judgements point the same way: ρ = (S − L) / (S + L + L W / n₁), S = ‖Σ w r e‖² with r = 1 for a
 * like and −1 for a dislike, L = Σ w ‖e‖², W = Σ w. In (−1, 1): about 0 where they have nothing in common, 0 with one
 * judgement or none; with many, c / (c + 1/n₁), c the part of their length that they share.
 * recent (U, M, m), judged (U, M, 2) → (U, 1, 1).
 */
function agreement(recent: Value, judged: Value): Value {
  const { graph } = recent;
  const [liked, disliked] = onnx.split(judged, -1, [1, 1]);
  const weights = onnx.transposeLast(add(liked!, disliked!)); // (U, 1, M)
  const sum = matMul(onnx.transposeLast(subtract(liked!, disliked!)), recent); // (U, 1, m)
  const together = onnx.reduceSum(onnx.square(sum), [-1], { keepAxes: true });
  const apart = matMul(weights, onnx.reduceSum(onnx.square(recent), [-1], { keepAxes: true })); // (U, 1, 1)
  const total = onnx.reduceSum(weights, [-1], { keepAxes: true });
  const most = add(together, multiply(apart, add(scale(total, 1 / AGREEMENT_COUNT), graph.scalar(1))));
  return onnx.divide(subtract(together, apart), add(most, graph.scalar(NO_LENGTH)));
}
