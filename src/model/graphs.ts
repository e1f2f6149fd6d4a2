/**
 * The network cut into the three models that serve: items once an image, a state once a history, scores for any
 * number of targets of any number of users. All three call network.ts; none is a network of its own.
 */
import {
  add,
  concat,
  Graph,
  linear,
  mergeAxes,
  reduceSum,
  reshape,
  scale,
  split,
  subtract,
  transpose,
  unitLength,
  type Value,
  widen,
} from '../onnx/index.ts';
import { type Architecture, itemVectorSize } from './architecture.ts';
import type { MetricEvidence } from './metricPath.ts';
import {
  type HistoryState,
  historyState,
  itemsOf,
  itemTower,
  judgementWeight,
  metricMargins,
  profile,
  scoreTargets,
  withPrompt,
} from './network.ts';
import { constantParameters, type Network } from './parameters.ts';

/** z = scale · unit(P (f − mean)): the frozen step from an encoder's embedding to the model's input. */
export interface InputTransformWeights {
  /** (inputs) */
  readonly mean: Float32Array;
  /** P, (outputs, inputs), row-major */
  readonly projection: Float32Array;
  readonly scale: number;
}

/** Item vectors are stored as half floats; tests of exactness use single precision. */
export type ItemPrecision = 'float16' | 'float32';

const network = (graph: Graph, architecture: Architecture, weights: Float32Array): Network => ({
  architecture,
  parameters: constantParameters(graph, architecture, weights),
});

/**
 * Encoder embeddings → item vectors.
 * image (items, encoder's numbers), text (items, …), hasText (items, 1) → items (items, 256).
 */
export function itemGraph(
  architecture: Architecture,
  weights: Float32Array,
  transforms: { image: InputTransformWeights; text: InputTransformWeights },
): Uint8Array {
  const graph = new Graph('items');
  const image = transformInput(graph, 'image', transforms.image, architecture.imageInputs);
  const text = transformInput(graph, 'text', transforms.text, architecture.textInputs);
  const hasText = graph.input('hasText', ['items', 1]);
  const items = itemTower(network(graph, architecture, weights), image, text, hasText);
  graph.output('items', concat([items.embedding, items.imageMetric, items.textMetric], -1));
  return graph.toBytes();
}

function transformInput(graph: Graph, name: string, transform: InputTransformWeights, outputs: number): Value {
  const inputs = transform.mean.length;
  const mean = graph.constant(`${name}.mean`, [inputs], transform.mean);
  const projection = graph.constant(`${name}.projection`, [outputs, inputs], transform.projection);
  const centred = subtract(graph.input(name, ['items', inputs]), mean);
  return scale(unitLength(linear(centred, transpose(projection, [1, 0]))), transform.scale);
}

/**
 * Histories → user states.
 * items (users, N, 256), judged (users, N, 2), imageSums (users, 2, 96), imageTotals (users, 2, 1) →
 * keysValues (users, layers, 2, heads, N, h), profile (users, layers, heads, tokens), direction (users, 1, 96),
 * probe (users, 128): the probe after the last block.
 */
export function stateGraph(
  architecture: Architecture,
  weights: Float32Array,
  precision: ItemPrecision = 'float16',
): Uint8Array {
  const a = architecture;
  const graph = new Graph('state');
  const net = network(graph, a, weights);
  const items = widen(graph.input('items', ['users', a.history, itemVectorSize(a)], precision));
  const judged = graph.input('judged', ['users', a.history, 2]);
  const sums = graph.input('imageSums', ['users', 2, a.imageMetric]);
  const totals = graph.input('imageTotals', ['users', 2, 1]);
  const { embedding, imageMetric: recent } = itemsOf(a, items);
  const history = historyState(net, embedding, judged);
  const { attention, direction, state } = profile(net, history, { sums, totals, recent, judged });
  graph.output('keysValues', packHistory(a, history));
  graph.output('profile', byLayer(attention.map((layer) => transpose(layer, [1, 2, 0, 3]))));
  graph.output('direction', direction);
  graph.output('probe', mergeAxes(state, 0, 1));
  return graph.toBytes();
}

/**
 * States of several users and targets of each → scores; a user with fewer targets than another has rows that are not
 * read. recent holds the metric numbers of the newest M judgements.
 * keysValues, direction as from the state graph; judged (users, N, 2); recent (users, judgements, 128), recentJudged
 * (users, judgements, 2); imageSums (users, 2, 96), imageTotals, textSums, textTotals; items (users, targets, 256),
 * popularity (users, targets, 2) → logits (users, targets, 2), tokenAttention (users, targets, layers, heads,
 * tokens), historyAttention (users, targets, N), averaged over layers and heads.
 */
export function scoreGraph(
  architecture: Architecture,
  weights: Float32Array,
  precision: ItemPrecision = 'float16',
): Uint8Array {
  const a = architecture;
  const graph = new Graph('score');
  const net = network(graph, a, weights);
  const size = a.width / a.heads;
  const keysValues = graph.input('keysValues', ['users', a.layers, 2, a.heads, a.history, size]);
  const tokenDirection = graph.input('direction', ['users', 1, a.imageMetric]);
  const judged = graph.input('judged', ['users', a.history, 2]);
  const recent = widen(graph.input('recent', ['users', 'judgements', a.imageMetric + a.textMetric], precision));
  const recentJudged = graph.input('recentJudged', ['users', 'judgements', 2]);
  const [recentImage, recentText] = split(recent, -1, [a.imageMetric, a.textMetric]);
  const evidence = (channel: string, metric: number, rows: Value, weights: Value): MetricEvidence => ({
    sums: graph.input(`${channel}Sums`, ['users', 2, metric]),
    totals: graph.input(`${channel}Totals`, ['users', 2, 1]),
    recent: rows,
    judged: weights,
  });
  const items = widen(graph.input('items', ['users', 'targets', itemVectorSize(a)], precision));
  const state = {
    history: unpackHistory(a, keysValues, judged),
    imageEvidence: evidence('image', a.imageMetric, recentImage!, recentJudged),
    textEvidence: evidence('text', a.textMetric, recentText!, withPrompt(recentText!, recentJudged)),
    tokenDirection,
  };
  const popularity = graph.input('popularity', ['users', 'targets', 2]);
  const scores = scoreTargets(net, state, { ...itemsOf(a, items), popularity });
  graph.output('logits', scores.logits);
  graph.output('tokenAttention', byLayer(scores.tokenAttention.map((layer) => transpose(layer, [1, 2, 0, 3]))));
  const layersAndHeads = scores.historyAttention.map((layer) => reduceSum(layer, [0])).reduce(add); // (users, targets, N)
  graph.output('historyAttention', scale(layersAndHeads, 1 / (a.layers * a.heads)));
  return graph.toBytes();
}

/**
 * One state and any number of targets → the score without prior and blocks, which is most of it and takes a matrix
 * product and an exponential a judgement: what a first pass over many targets orders by. metrics (1, targets, 128) of
 * halves; the rest as for the score graph → margins (targets).
 */
export function firstPassGraph(architecture: Architecture, weights: Float32Array): Uint8Array {
  const a = architecture;
  const graph = new Graph('firstPass');
  const net = network(graph, a, weights);
  const halves = (name: string, rows: string) =>
    split(widen(graph.input(name, [1, rows, a.imageMetric + a.textMetric], 'float16')), -1, [
      a.imageMetric,
      a.textMetric,
    ]);
  const [imageMetric, textMetric] = halves('metrics', 'targets');
  const [recentImage, recentText] = halves('recent', 'judgements');
  const recentJudged = graph.input('recentJudged', [1, 'judgements', 2]);
  const evidence = (channel: string, metric: number, rows: Value, weights: Value): MetricEvidence => ({
    sums: graph.input(`${channel}Sums`, [1, 2, metric]),
    totals: graph.input(`${channel}Totals`, [1, 2, 1]),
    recent: rows,
    judged: weights,
  });
  const state = {
    imageEvidence: evidence('image', a.imageMetric, recentImage!, recentJudged),
    textEvidence: evidence('text', a.textMetric, recentText!, withPrompt(recentText!, recentJudged)),
    tokenDirection: graph.input('direction', [1, 1, a.imageMetric]),
    evidence: judgementWeight(graph.input('judged', [1, a.history, 2])).evidence,
  };
  const margins = metricMargins(net, state, { imageMetric: imageMetric!, textMetric: textMetric! });
  const nothing = scale(reduceSum(imageMetric!, [-1], { keepAxes: true }), 0); // of a network without these paths
  graph.output('margins', reshape([nothing, ...margins].reduce(add), ['targets']));
  return graph.toBytes();
}

/** A row a user, so that states of any users are put together by copying rows: (users, layers, 2, heads, N, h). */
function packHistory(a: Architecture, { keys, values }: HistoryState): Value {
  const layers = keys.map((key, layer) => {
    const pair = [key, values[layer]!].map((part) => {
      const users = part.shape[1]!;
      return reshape(transpose(part, [1, 0, 2, 3]), [users, 1, 1, a.heads, a.history, a.width / a.heads]);
    });
    return concat(pair, 2);
  });
  return concat(layers, 1);
}

function unpackHistory(a: Architecture, keysValues: Value, judged: Value): HistoryState {
  const users = keysValues.shape[0]!;
  const size = a.width / a.heads;
  const byLayer = split(transpose(keysValues, [1, 2, 3, 0, 4, 5]), 0, Array(a.layers).fill(1)).map((layer) =>
    split(layer, 1, [1, 1]).map((part) => reshape(part, [a.heads, users, a.history, size])),
  );
  return {
    keys: byLayer.map(([key]) => key!),
    values: byLayer.map(([, value]) => value!),
    ...judgementWeight(judged),
  };
}

/** Layers side by side: each (users, targets, heads, tokens) → (users, targets, layers, heads, tokens). */
function byLayer(layers: readonly Value[]): Value {
  const apart = layers.map((layer) => reshape(layer, [...layer.shape.slice(0, 2), 1, ...layer.shape.slice(2)]));
  const joined = concat(apart, 2);
  return joined.shape[1] === 1 ? mergeAxes(joined, 0, 1) : joined;
}
