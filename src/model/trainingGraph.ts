/**
 * The training step as one model: forward, losses, gradient, clipping and AdamW over the flat parameter vector, so
 * that the runtime that serves is the one that learns. Both phases run it; what they train is an input.
 */
import {
  add,
  concat,
  divide,
  Graph,
  gradients,
  multiply,
  productOf,
  reshape,
  scale,
  slice,
  split,
  sqrt,
  square,
  subtract,
  sumAll,
  type Value,
} from '../onnx/index.ts';
import { type Architecture, itemVectorSize } from './architecture.ts';
import { evidenceOf } from './metricPath.ts';
import {
  baseLoss,
  contrastiveLoss,
  historyState,
  type Items,
  itemsOf,
  itemTower,
  profile,
  scoreTargets,
  tokenInformationLoss,
  tokenLoss,
  twinLoss,
  withPrompt,
} from './network.ts';
import { type Network, parameterLayout, trainableParameters } from './parameters.ts';

/** The sizes of one batch. */
export interface BatchShape {
  readonly users: number;
  /** M: judgements of each user; the blocks read the first N of them. */
  readonly judgements: number;
  /** Liked targets of each user, and as many disliked ones. */
  readonly pairs: number;
}

/** Which losses count, and how much. */
export interface LossWeights {
  readonly base: number;
  readonly contrastive: number;
  /** The token path's own ranking loss. */
  readonly token: number;
  /** Mutual information between the tokens of two halves of a history. */
  readonly information: number;
  /** Each half of a history told from those of other people by its profile. */
  readonly twins: number;
}

/** Decoupled weight decay (Loshchilov & Hutter 2019), with the global gradient norm clipped. */
export interface OptimizerSettings {
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly maxGradientNorm: number;
}

export const ADAMW: OptimizerSettings = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, maxGradientNorm: 1 };

/** Everything one user's batch row gives, from judgements to logits: what serving computes piece by piece. */
export function fullForward(network: Network, shape: BatchShape, rows: Items, judged: Value, popularity: Value) {
  const { judgements, pairs } = shape;
  const { history: blockRows } = network.architecture;
  const cut = (value: Value) => split(value, 1, [judgements, 2 * pairs]);
  const [embedding, targetEmbedding] = cut(rows.embedding);
  const [imageMetric, targetImageMetric] = cut(rows.imageMetric);
  const [textMetric, targetTextMetric] = cut(rows.textMetric);
  const history = historyState(network, slice(embedding!, 1, 0, blockRows), slice(judged, 1, 0, blockRows));
  const imageEvidence = evidenceOf(imageMetric!, judged);
  const textEvidence = evidenceOf(textMetric!, withPrompt(textMetric!, judged));
  const person = profile(network, history, imageEvidence);
  const scores = scoreTargets(
    network,
    { history, imageEvidence, textEvidence, tokenDirection: person.direction },
    {
      embedding: targetEmbedding!,
      imageMetric: targetImageMetric!,
      textMetric: targetTextMetric!,
      popularity,
    },
  );
  return { scores, person, embedding: embedding!, imageMetric: imageMetric! };
}

/** The inputs of one batch: history rows first, then `pairs` liked and `pairs` disliked targets. */
export function batchInputs(graph: Graph, { imageInputs, textInputs }: Architecture, shape: BatchShape) {
  const { users, judgements, pairs } = shape;
  const rows = judgements + 2 * pairs;
  return {
    image: graph.input('image', [users, rows, imageInputs]),
    text: graph.input('text', [users, rows, textInputs]),
    hasText: graph.input('hasText', [users, rows, 1]),
    judged: graph.input('judged', [users, judgements, 2]),
    popularity: graph.input('popularity', [users, 2 * pairs, 2]),
  };
}

/** Which rows a batch brings: pictures and prompts after their transforms, or item vectors, whose tower is frozen. */
export type BatchRows = 'inputs' | 'items';

/**
 * The inputs of a batch of item vectors, in the order of `batchInputs`. pairWeights (users, pairs, 2): how much each
 * pair counts in the base loss, and in the contrastive and token losses.
 */
function itemBatch(graph: Graph, architecture: Architecture, { users, judgements, pairs }: BatchShape) {
  const items = graph.input('items', [users, judgements + 2 * pairs, itemVectorSize(architecture)]);
  return {
    rows: itemsOf(architecture, items),
    judged: graph.input('judged', [users, judgements, 2]),
    popularity: graph.input('popularity', [users, 2 * pairs, 2]),
    pairWeights: graph.input('pairWeights', [users, pairs, 2]),
  };
}

function inputBatch(graph: Graph, network: Network, shape: BatchShape) {
  const { image, text, hasText, judged, popularity } = batchInputs(graph, network.architecture, shape);
  return { rows: itemTower(network, image, text, hasText), judged, popularity, pairWeights: undefined };
}

/**
 * The step. Inputs: the batch; `weights`, `firstMoment`, `secondMoment` (flat); `rates` (flat): each parameter's
 * share of the learning rate, 0 for one that is frozen; `decay` (flat): weight decay; `learningRate`,
 * `correction1`, `correction2` (scalars): 1 / (1 − βᵗ). Outputs: `newWeights`, `newFirstMoment`, `newSecondMoment`,
 * those of `base`, `contrastive`, `token`, `information` and `twins` that count, `loss`, `gradientNorm` (before
 * clipping).
 */
export function trainingGraph(
  architecture: Architecture,
  shape: BatchShape,
  lossWeights: LossWeights,
  { optimizer = ADAMW, exposeGradient = false, rows = 'inputs' }: TrainingGraphOptions = {},
): Uint8Array {
  const graph = new Graph('training');
  const { size } = parameterLayout(architecture);
  const weights = graph.input('weights', [size]);
  const { list, get } = trainableParameters(weights, architecture);
  const network: Network = { architecture, parameters: get };
  const batch = rows === 'items' ? itemBatch(graph, architecture, shape) : inputBatch(graph, network, shape);
  const forward = fullForward(network, shape, batch.rows, batch.judged, batch.popularity);

  const losses = lossTerms(network, shape, lossWeights, forward, batch);
  const loss = losses.map(({ value, weight }) => scale(value, weight)).reduce(add);
  graph.output('loss', loss);
  for (const { name, value } of losses) graph.output(name, value);

  const byParameter = gradients(loss, list, { unused: 'zero' });
  graph.withoutTape(() => {
    const gradient = concat(
      byParameter.map((value) => reshape(value, [productOf(value.shape)])),
      0,
    );
    if (exposeGradient) {
      graph.output('gradient', gradient);
      graph.output('logits', forward.scores.logits);
      for (const [layer, attention] of forward.scores.tokenAttention.entries()) {
        graph.output(`tokenAttention${layer}`, attention);
      }
    }
    adamW(graph, weights, gradient, optimizer);
  });
  return graph.toBytes();
}

export interface TrainingGraphOptions {
  readonly optimizer?: OptimizerSettings;
  /** Also outputs `gradient`, `logits` and `tokenAttention{layer}`. */
  readonly exposeGradient?: boolean;
  /** 'inputs' if left out. */
  readonly rows?: BatchRows;
}

interface LossTerm {
  readonly name: keyof LossWeights;
  readonly weight: number;
  readonly value: Value;
}

/** The losses that count; one of weight 0 is not computed. */
function lossTerms(
  network: Network,
  { pairs }: BatchShape,
  weights: LossWeights,
  { scores, embedding, imageMetric }: ReturnType<typeof fullForward>,
  { judged, pairWeights }: { judged: Value; pairWeights: Value | undefined },
): LossTerm[] {
  const [liked, disliked] = split(scores.logits, 1, [pairs, pairs]);
  const [ofBase, ofRanking] = pairWeights ? split(pairWeights, -1, [1, 1]) : [];
  const [agreementLiked, agreementDisliked] = split(scores.tokenAgreement, 1, [pairs, pairs]);
  const halves =
    weights.information > 0 || weights.twins > 0 ? readHalves(network, embedding, imageMetric, judged) : null;
  const terms: Record<keyof LossWeights, () => Value> = {
    base: () => baseLoss(liked!, disliked!, ofBase),
    contrastive: () => contrastiveLoss(liked!, disliked!, ofRanking),
    token: () => tokenLoss(agreementLiked!, agreementDisliked!, ofRanking),
    information: () => {
      const { first, second, weight } = halves!;
      const byLayer = first.map((layer, i) => tokenInformationLoss(layer, second[i]!, weight));
      return scale(byLayer.reduce(add), 1 / byLayer.length);
    },
    twins: () => twinLoss(halves!.first, halves!.second, halves!.weight),
  };
  return (Object.keys(terms) as (keyof LossWeights)[])
    .filter((name) => weights[name] > 0)
    .map((name) => ({ name, weight: weights[name], value: terms[name]() }));
}

/**
 * The profiles of the two halves of the blocks' history, read apart; a batch's rows are dealt so that halves are alike.
 * weight (U, 1, 1): how much both halves tell.
 */
function readHalves(network: Network, embedding: Value, imageMetric: Value, judged: Value) {
  const half = network.architecture.history / 2;
  const [first, second] = [0, half].map((start) => {
    const cut = (value: Value) => slice(value, 1, start, start + half);
    const history = historyState(network, cut(embedding), cut(judged));
    const person = profile(network, history, evidenceOf(cut(imageMetric), cut(judged)));
    return { attention: person.attention, evidence: history.evidence };
  });
  return {
    first: first!.attention,
    second: second!.attention,
    weight: multiply(first!.evidence, second!.evidence),
  };
}

/** w ← w − η r (m̂ / (√v̂ + ε) + λ w), m and v of the clipped gradient, r the parameter's share of the rate η. */
function adamW(graph: Graph, weights: Value, gradient: Value, settings: OptimizerSettings): void {
  const { beta1, beta2, epsilon, maxGradientNorm } = settings;
  const { shape } = weights;
  const rates = graph.input('rates', shape);
  const decay = graph.input('decay', shape);
  const learningRate = graph.input('learningRate', []);
  const trained = graph.node('Sign', [rates], [shape])[0]!; // 1, or 0 where frozen
  const ofTrained = multiply(gradient, trained);
  const norm = sqrt(sumAll(square(ofTrained)));
  const room = divide(graph.scalar(maxGradientNorm), add(norm, graph.scalar(1e-12)));
  const clipped = multiply(ofTrained, graph.node('Min', [room, graph.scalar(1)], [[]])[0]!);
  const moment = (name: string, beta: number, update: Value) =>
    add(scale(graph.input(name, shape), beta), scale(update, 1 - beta));
  const first = moment('firstMoment', beta1, clipped);
  const second = moment('secondMoment', beta2, square(clipped));
  const step = divide(
    multiply(first, graph.input('correction1', [])),
    add(sqrt(multiply(second, graph.input('correction2', []))), graph.scalar(epsilon)),
  );
  const update = multiply(multiply(learningRate, rates), add(step, multiply(decay, weights)));
  graph.output('newWeights', subtract(weights, update));
  graph.output('newFirstMoment', first);
  graph.output('newSecondMoment', second);
  graph.output('gradientNorm', norm);
}
