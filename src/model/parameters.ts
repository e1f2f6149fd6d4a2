/**
 * The parameters of a preference model: their names, shapes and starting values, and how they lie one after the
 * other in the flat vector that is stored, trained and hashed. The network that uses them is network.ts.
 */
import { PalateError } from '../errors.ts';
import { type Graph, reshape, slice, type Value } from '../onnx/index.ts';
import type { Random } from '../random.ts';
import type { Architecture } from './architecture.ts';

export interface ParameterSpec {
  readonly name: string;
  readonly shape: readonly number[];
  /** Weight decay applies: to matrices, not to gains, biases, tokens and coefficients. */
  readonly decay: boolean;
  /** How it starts: a constant, or normal numbers of this standard deviation. */
  readonly initial: { constant: number } | { deviation: number };
}

const matrix = (name: string, rows: number, columns: number, deviation = rows ** -0.5): ParameterSpec => ({
  name,
  shape: [rows, columns],
  decay: true,
  initial: deviation === 0 ? { constant: 0 } : { deviation },
});
const vectors = (name: string, shape: number[], initial: ParameterSpec['initial']): ParameterSpec => ({
  name,
  shape,
  decay: false,
  initial,
});
const coefficient = (name: string, constant: number) => vectors(name, [1], { constant });

/** Every parameter, in the order of the flat vector. */
export function parameterSpecs(a: Architecture): ParameterSpec[] {
  const d = a.width;
  return [
    // Item tower.
    matrix('item.image', a.imageInputs, d),
    matrix('item.text', a.textInputs, d),
    vectors('item.bias', [d], { constant: 0 }),
    vectors('item.missingPrompt', [d], { constant: 0 }),
    matrix('metric.image', a.imageInputs, a.imageMetric),
    vectors('metric.imageBias', [a.imageMetric], { constant: 0 }),
    matrix('metric.text', a.textInputs, a.textMetric),
    // Who speaks: a like, a dislike, a target; and the probe.
    vectors('label', [3, d], { deviation: 0.5 }),
    matrix('probe', a.imageMetric, d, 1),
    // Blocks.
    ...Array.from({ length: a.layers }, (_, layer) => blockSpecs(`block${layer}.`, a)).flat(),
    vectors('head.gain', [d], { constant: 1 }),
    vectors('head.bias', [d], { constant: 0 }),
    matrix('head.output', d, 2, 0),
    vectors('head.outputBias', [2], { constant: 0 }),
    // Preference tokens.
    vectors('tokens', [a.tokens, d], { deviation: 0.5 }),
    matrix('tokenPath.directions', d, a.heads * a.imageMetric),
    coefficient('tokenPath.gain', 0),
    // Metric path, a channel for pictures and one for prompts.
    ...metricSpecs('metricPath.image.', { kernelGain: 0.95, prototypeGain: 3.8 }),
    ...(a.components ? agreementSpecs('metricPath.image.') : []),
    ...metricSpecs('metricPath.text.', { kernelGain: 0, prototypeGain: 0 }),
    // Population prior: silent at the start, and kept so in the base model.
    matrix('prior.ridge', a.width + a.imageMetric + a.textMetric, 1, 0),
    coefficient('prior.constant', 0),
    coefficient('prior.gain', 0),
    coefficient('prior.logPseudoCount', Math.log(3)),
  ];
}

function blockSpecs(prefix: string, { width: d, hidden }: Architecture): ParameterSpec[] {
  return [
    vectors(`${prefix}attentionNorm.gain`, [d], { constant: 1 }),
    vectors(`${prefix}attentionNorm.bias`, [d], { constant: 0 }),
    matrix(`${prefix}queryKeyValue`, d, 3 * d),
    vectors(`${prefix}queryKeyValueBias`, [3 * d], { constant: 0 }),
    matrix(`${prefix}tokenKeys`, d, d),
    matrix(`${prefix}tokenValues`, d, d, 0),
    matrix(`${prefix}attentionOutput`, d, d, 0.02),
    vectors(`${prefix}attentionOutputBias`, [d], { constant: 0 }),
    vectors(`${prefix}feedForwardNorm.gain`, [d], { constant: 1 }),
    vectors(`${prefix}feedForwardNorm.bias`, [d], { constant: 0 }),
    matrix(`${prefix}feedForward`, d, hidden),
    vectors(`${prefix}feedForwardBias`, [hidden], { constant: 0 }),
    matrix(`${prefix}feedForwardOutput`, hidden, d, 0),
    vectors(`${prefix}feedForwardOutputBias`, [d], { constant: 0 }),
  ];
}

/** At the start the metric path is a good closed-form scorer: as sharp as kernel ridge is at its best, a₁ and a₂ given. */
function metricSpecs(prefix: string, gains: { kernelGain: number; prototypeGain: number }): ParameterSpec[] {
  return [
    coefficient(`${prefix}kernelGain`, gains.kernelGain),
    coefficient(`${prefix}prototypeGain`, gains.prototypeGain),
    coefficient(`${prefix}logSharpness`, Math.log(7.5)),
    coefficient(`${prefix}restSimilarity`, 0.1),
    coefficient(`${prefix}logPseudoCount`, 0),
  ];
}

/** How much more the components count where one's judgements agree in them, and how much less where they do in the rest. */
function agreementSpecs(prefix: string): ParameterSpec[] {
  return [coefficient(`${prefix}componentAgreement`, 6), coefficient(`${prefix}styleAgreement`, -2)];
}

export interface ParameterLayout {
  readonly specs: readonly ParameterSpec[];
  /** Length of the flat vector. */
  readonly size: number;
  /** Where a parameter lies: [start, end). Throws for a name that is not there. */
  range(name: string): { start: number; end: number };
}

export function parameterLayout(architecture: Architecture): ParameterLayout {
  const specs = parameterSpecs(architecture);
  const ranges = new Map<string, { start: number; end: number }>();
  let size = 0;
  for (const { name, shape } of specs) {
    const start = size;
    size += elements(shape);
    ranges.set(name, { start, end: size });
  }
  return {
    specs,
    size,
    range(name) {
      const range = ranges.get(name);
      if (!range) throw new PalateError('INTERNAL_SERVER_ERROR', `The model has no parameter named ${name}.`);
      return range;
    },
  };
}

/** A flat vector of starting values. */
export function initialParameters(architecture: Architecture, random: Random): Float32Array {
  const layout = parameterLayout(architecture);
  const flat = new Float32Array(layout.size);
  for (const { name, initial } of layout.specs) {
    const { start, end } = layout.range(name);
    for (let i = start; i < end; i++) {
      flat[i] = 'constant' in initial ? initial.constant : initial.deviation * random.normal();
    }
  }
  return flat;
}

/** The parameters by name, as values of a graph. */
export type Parameters = (name: string) => Value;

/** A model in a graph: what it is made of, and the numbers it is made with. */
export interface Network {
  readonly architecture: Architecture;
  readonly parameters: Parameters;
}

/** Constants: a model that serves. */
export function constantParameters(graph: Graph, architecture: Architecture, flat: Float32Array): Parameters {
  const layout = parameterLayout(architecture);
  if (flat.length !== layout.size) {
    throw new PalateError(
      'INTERNAL_SERVER_ERROR',
      `The weights hold ${flat.length} numbers; this architecture has ${layout.size} parameters.`,
    );
  }
  const made = new Map<string, Value>();
  const shapes = new Map(layout.specs.map(({ name, shape }) => [name, shape]));
  return (name) => {
    const { start, end } = layout.range(name);
    let value = made.get(name);
    if (!value) {
      value = graph.constant(`weights.${name}`, shapes.get(name)!, flat.slice(start, end));
      made.set(name, value);
    }
    return value;
  };
}

/** Views into one flat input that gradients are asked for: a model that learns. */
export function trainableParameters(flat: Value, architecture: Architecture): { list: Value[]; get: Parameters } {
  const layout = parameterLayout(architecture);
  const list = layout.specs.map(({ name, shape }) => {
    const { start, end } = layout.range(name);
    return flat.graph.parameter(reshape(slice(flat, 0, start, end), shape));
  });
  const byName = new Map(layout.specs.map(({ name }, i) => [name, list[i]!]));
  return {
    list,
    get(name) {
      layout.range(name);
      return byName.get(name)!;
    },
  };
}

const elements = (shape: readonly number[]): number => shape.reduce((product, dim) => product * dim, 1);
