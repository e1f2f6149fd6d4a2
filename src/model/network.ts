/**
 * The preference model, whole: from what a person judged and what is to be scored to logits for like and dislike,
 * and the losses it learns by. After "Preference tokens" of arXiv 2508.08220, over frozen encoders. graphs.ts cuts it
 * into the pieces that serve, trainingGraph.ts trains it: both call the functions here, and metricPath.ts is a part. It knows no database, no
 * runtime and no picture. Formulas: docs/model.md.
 *
 * Shapes: U users, N judgements that the blocks read, M that the metric path reads, T targets of each user, d width,
 * H heads, h = d / H, P preference tokens, m metric numbers.
 */
import * as onnx from '../onnx/index.ts';
import { add, linear, matMul, multiply, reshape, scale, softmax, subtract, type Value } from '../onnx/index.ts';
import type { Architecture } from './architecture.ts';
import { type MetricEvidence, metricScore, tasteDirection } from './metricPath.ts';
import type { Network } from './parameters.ts';

/** Sharpness κ of the cosine attention over the tokens; plain products there stay uniform (docs/model.md). */
const TOKEN_SHARPNESS = 8;
/** Added to a judgement's weight before its logarithm: a row of weight 0 is then out of reach of every softmax. */
const NO_WEIGHT = 1e-30;

// ---------------------------------------------------------------- item tower

/** What the model takes from images and their prompts; it depends on no user and is computed once an image. */
export interface Items {
  /** (…, d) */
  readonly embedding: Value;
  /** (…, m), unit length */
  readonly imageMetric: Value;
  /** (…, m'), unit length; zero without a prompt */
  readonly textMetric: Value;
}

/** image (…, imageInputs), text (…, textInputs), hasText (…, 1): 1 where there is a prompt, else 0. */
export function itemTower({ parameters: p }: Network, image: Value, text: Value, hasText: Value): Items {
  const missing = subtract(image.graph.scalar(1), hasText);
  const prompt = add(multiply(hasText, linear(text, p('item.text'))), multiply(missing, p('item.missingPrompt')));
  return {
    embedding: add(linear(image, p('item.image'), p('item.bias')), prompt),
    imageMetric: onnx.unitLength(linear(image, p('metric.image'), p('metric.imageBias'))),
    textMetric: multiply(hasText, onnx.unitLength(linear(text, p('metric.text')))),
  };
}

/** The parts of stored item vectors: (…, d + m + m'). */
export function itemsOf(a: Architecture, items: Value): Items {
  const [embedding, imageMetric, textMetric] = onnx.split(items, -1, [a.width, a.imageMetric, a.textMetric]);
  return { embedding: embedding!, imageMetric: imageMetric!, textMetric: textMetric! };
}

/** 1 where there is a prompt, else 0, read off its metric vector: (…, m') → (…, 1). */
const hasPrompt = (textMetric: Value): Value => onnx.reduceSum(onnx.square(textMetric), [-1], { keepAxes: true });

/** The judgements that the text channel reads: those of images with a prompt. recentText (U, M, m'), judged (U, M, 2). */
export const withPrompt = (recentText: Value, judged: Value): Value => multiply(judged, hasPrompt(recentText));

// ---------------------------------------------------------------- blocks

/** A history as the targets see it: computed once, it serves any number of targets. */
export interface HistoryState {
  /** For each layer: (H, U, N, h) */
  readonly keys: readonly Value[];
  readonly values: readonly Value[];
  /** log w of each judgement: a judgement of weight 2 attracts as much attention as two of weight 1. (1, U, 1, N) */
  readonly keyBias: Value;
  /** W / (W + 1), W the weight of the judgements read: (U, 1, 1) */
  readonly evidence: Value;
}

/** What the judgements' weights say to attention. judged (U, N, 2). */
export function judgementWeight(judged: Value): Pick<HistoryState, 'keyBias' | 'evidence'> {
  const { graph, shape } = judged;
  const weight = onnx.reduceSum(judged, [-1]); // (U, N)
  const total = reshape(onnx.reduceSum(weight, [-1]), [shape[0]!, 1, 1]);
  return {
    keyBias: reshape(onnx.log(add(weight, graph.scalar(NO_WEIGHT))), [1, shape[0]!, 1, shape[1]!]),
    evidence: onnx.divide(total, add(total, graph.scalar(1))),
  };
}

/** embedding (U, N, d), judged (U, N, 2): weights in the column of a like or a dislike; 0 in both where no row is. */
export function historyState(network: Network, embedding: Value, judged: Value): HistoryState {
  const { architecture: a, parameters: p } = network;
  const { keyBias, evidence } = judgementWeight(judged);
  const present = add(onnx.reduceSum(judged, [-1], { keepAxes: true }), judged.graph.scalar(NO_WEIGHT));
  const [labels] = onnx.split(p('label'), 0, [2, 1]);
  let x = add(embedding, linear(onnx.divide(judged, present), labels!));
  const keys: Value[] = [];
  const values: Value[] = [];
  for (let layer = 0; layer < a.layers; layer++) {
    const rows = queryKeyValue(network, layer, x);
    keys.push(rows.key);
    values.push(rows.value);
    if (layer === a.layers - 1) break; // of the last layer, the targets need the keys and values only
    const toHistory = add(matMul(rows.query, onnx.transposeLast(rows.key)), keyBias); // (H, U, N, N)
    const { over, tokens } = attend(network, layer, rows.query, toHistory);
    x = finishBlock(network, layer, x, add(matMul(over, rows.value), tokens.output));
  }
  return { keys, values, keyBias, evidence };
}

interface TargetRows {
  /** After the last block: (U, T, d) */
  readonly x: Value;
  /** For each layer, attention over the preference tokens: (H, U, T, P); each sums to 1. */
  readonly tokenAttention: readonly Value[];
  /** For each layer, attention over the judgements: (H, U, T, N); with the target's own it sums to 1. */
  readonly historyAttention: readonly Value[];
}

/** Rows that attend to a history, to the tokens and each to itself, and that nothing attends to. x (U, T, d). */
function targetRows(network: Network, history: HistoryState, rows: Value): TargetRows {
  const judgements = Number(history.keyBias.shape.at(-1));
  let x = rows;
  const tokenAttention: Value[] = [];
  const historyAttention: Value[] = [];
  for (let layer = 0; layer < network.architecture.layers; layer++) {
    const { query, key, value } = queryKeyValue(network, layer, x);
    const toHistory = add(matMul(query, onnx.transposeLast(history.keys[layer]!)), history.keyBias); // (H, U, T, N)
    const toSelf = onnx.reduceSum(multiply(query, key), [-1], { keepAxes: true }); // (H, U, T, 1)
    const { over, tokens } = attend(network, layer, query, onnx.concat([toHistory, toSelf], -1));
    const [overHistory, overSelf] = onnx.split(over, -1, [judgements, 1]);
    const own = add(matMul(overHistory!, history.values[layer]!), multiply(overSelf!, value));
    x = finishBlock(network, layer, x, add(own, tokens.output));
    tokenAttention.push(tokens.attention);
    historyAttention.push(overHistory!);
  }
  return { x, tokenAttention, historyAttention };
}

/** Pre-norm projection of rows (U, R, d) to queries / √h, keys and values, each (H, U, R, h). */
function queryKeyValue({ architecture: a, parameters: p }: Network, layer: number, x: Value) {
  const block = `block${layer}.`;
  const [users, rows] = x.shape;
  const size = a.width / a.heads;
  const normalized = onnx.layerNorm(x, p(`${block}attentionNorm.gain`), p(`${block}attentionNorm.bias`));
  const projected = linear(normalized, p(`${block}queryKeyValue`), p(`${block}queryKeyValueBias`));
  const byHead = onnx.transpose(reshape(projected, [users!, rows!, 3, a.heads, size]), [2, 3, 0, 1, 4]);
  const [query, key, value] = onnx
    .split(byHead, 0, [1, 1, 1])
    .map((part) => reshape(part, [a.heads, users!, rows!, size]));
  return { query: scale(query!, size ** -0.5), key: key!, value: value! };
}

interface Attended {
  /** Over the rows that `elsewhere` speaks of: (H, U, R, K) */
  readonly over: Value;
  /** What the tokens give, and the attention over them alone: (H, U, R, h), (H, U, R, P); the latter sums to 1. */
  readonly tokens: { readonly output: Value; readonly attention: Value };
}

/**
 * The rows ask, judgements and preference tokens answer: the tokens as an extra term with a softmax of their own, or
 * (`tokensInSoftmax`) in one softmax with the judgements. query (H, U, R, h); elsewhere (H, U, R, K): logits.
 */
function attend({ architecture: a, parameters: p }: Network, layer: number, query: Value, elsewhere: Value): Attended {
  const size = a.width / a.heads;
  const byHead = (rows: Value) => onnx.transpose(reshape(rows, [a.tokens, a.heads, size]), [1, 0, 2]); // (H, P, h)
  const keys = byHead(linear(p('tokens'), p(`block${layer}.tokenKeys`)));
  const values = byHead(linear(p('tokens'), p(`block${layer}.tokenValues`)));
  const queries = onnx.mergeAxes(query, 1, 2); // (H, U·R, h)
  const agreement = a.parts.cosineTokens
    ? scale(matMul(onnx.unitLength(queries), onnx.transposeLast(onnx.unitLength(keys))), TOKEN_SHARPNESS)
    : matMul(queries, onnx.transposeLast(keys));
  const attention = softmax(agreement); // (H, U·R, P)
  const perToken = query.shape.with(-1, a.tokens);
  const draw = (weights: Value) => reshape(matMul(weights, values), query.shape);
  if (!a.parts.tokensInSoftmax) {
    return { over: softmax(elsewhere), tokens: { output: draw(attention), attention: reshape(attention, perToken) } };
  }
  const joint = softmax(onnx.concat([elsewhere, reshape(agreement, perToken)], -1));
  const [over, overTokens] = onnx.split(joint, -1, [Number(elsewhere.shape.at(-1)), a.tokens]);
  const output = draw(onnx.mergeAxes(overTokens!, 1, 2));
  return { over: over!, tokens: { output, attention: reshape(attention, perToken) } };
}

/** What attention gave (H, U, R, h) joins the rows (U, R, d), then the feed-forward layer. */
function finishBlock({ architecture: a, parameters: p }: Network, layer: number, x: Value, attended: Value): Value {
  const block = `block${layer}.`;
  const [users, rows] = x.shape;
  const joined = reshape(onnx.transpose(attended, [1, 2, 0, 3]), [users!, rows!, a.width]);
  const y = add(x, linear(joined, p(`${block}attentionOutput`), p(`${block}attentionOutputBias`)));
  const normalized = onnx.layerNorm(y, p(`${block}feedForwardNorm.gain`), p(`${block}feedForwardNorm.bias`));
  const inner = onnx.gelu(linear(normalized, p(`${block}feedForward`), p(`${block}feedForwardBias`)));
  return add(y, linear(inner, p(`${block}feedForwardOutput`), p(`${block}feedForwardOutputBias`)));
}

// ---------------------------------------------------------------- probe, profile, token path

export interface Profile {
  /** For each layer, the probe's attention over the tokens: (H, U, 1, P). All of it together is the profile. */
  readonly attention: readonly Value[];
  /** unit(Σ_h Σ_k π_hk C_h tok_k), π the last layer's attention: where the person's tokens point. (U, 1, m) */
  readonly direction: Value;
  /** The probe after the last block: (U, 1, d) */
  readonly state: Value;
}

/**
 * A probe that depends on the history alone, x = U_p t / |t|, sent through the blocks: its attention over the tokens
 * says which of them the person holds.
 */
export function profile(network: Network, history: HistoryState, evidence: MetricEvidence): Profile {
  const { architecture: a, parameters: p } = network;
  const taste = onnx.stopGradient(onnx.unitLength(tasteDirection(network, 'image', evidence)));
  const { x, tokenAttention } = targetRows(network, history, linear(taste, p('probe')));
  const users = taste.shape[0]!;
  const last = onnx.transpose(tokenAttention.at(-1)!, [1, 2, 0, 3]); // (U, 1, H, P)
  const pointers = reshape(linear(p('tokens'), p('tokenPath.directions')), [a.tokens, a.heads, a.imageMetric]);
  const byHead = reshape(onnx.transpose(pointers, [1, 0, 2]), [a.heads * a.tokens, a.imageMetric]);
  return {
    attention: tokenAttention,
    direction: onnx.unitLength(linear(reshape(last, [users, 1, a.heads * a.tokens]), byHead)),
    state: x,
  };
}

// ---------------------------------------------------------------- score

/** All that scoring needs to know of each user; it depends on no target. */
export interface UserState {
  readonly history: HistoryState;
  readonly imageEvidence: MetricEvidence;
  readonly textEvidence: MetricEvidence;
  /** `Profile.direction`: (U, 1, m) */
  readonly tokenDirection: Value;
}

export interface Targets extends Items {
  /** What others made of this very image: Σ r (like 1, dislike −1) and how many, (U, T, 2), without the user's own. */
  readonly popularity: Value;
}

export interface Scores {
  /** l⁺, l⁻: (U, T, 2). Their difference is the score s, the sum of the parts. */
  readonly logits: Value;
  /** e · direction, −1 to 1: (U, T, 1) */
  readonly tokenAgreement: Value;
  readonly tokenAttention: readonly Value[];
  readonly historyAttention: readonly Value[];
}

/** s = prior + s_met + s_tok + s_blocks; l⁺ = c + s/2, l⁻ = c − s/2, c and s_blocks from the head. */
export function scoreTargets(network: Network, state: UserState, targets: Targets): Scores {
  const { architecture: a, parameters: p } = network;
  const { parts } = a;
  const [, targetLabel] = onnx.split(p('label'), 0, [2, 1]);
  const rows = targetRows(network, state.history, add(targets.embedding, targetLabel!));
  const normalized = onnx.layerNorm(rows.x, p('head.gain'), p('head.bias'));
  const weigh = (part: Value) => (parts.evidenceGate ? multiply(part, state.history.evidence) : part);
  let logits = weigh(linear(normalized, p('head.output'), p('head.outputBias')));

  const tokenAgreement = matMul(targets.imageMetric, onnx.transposeLast(state.tokenDirection));
  const margins = metricMargins(network, { ...state, evidence: state.history.evidence }, targets, tokenAgreement);
  if (parts.prior) margins.unshift(populationPrior(network, targets));
  if (margins.length > 0) {
    const half = scale(margins.reduce(add), 0.5);
    logits = add(logits, onnx.concat([half, onnx.negate(half)], -1));
  }
  return { logits, tokenAgreement, tokenAttention: rows.tokenAttention, historyAttention: rows.historyAttention };
}

/** What the metric path and the token path read of each user. */
export type MetricState = Pick<UserState, 'imageEvidence' | 'textEvidence' | 'tokenDirection'> & {
  /** W / (W + 1) of the judgements that the blocks read: (U, 1, 1) */
  readonly evidence: Value;
};

/** s_met and s_tok, those that the network has: each (U, T, 1). tokenAgreement as in `Scores`. */
export function metricMargins(
  { architecture, parameters }: Network,
  state: MetricState,
  targets: Pick<Items, 'imageMetric' | 'textMetric'>,
  tokenAgreement = matMul(targets.imageMetric, onnx.transposeLast(state.tokenDirection)),
): Value[] {
  const network = { architecture, parameters };
  const { parts } = architecture;
  const margins: Value[] = [];
  if (parts.metricPath) {
    margins.push(metricScore(network, 'image', targets.imageMetric, state.imageEvidence));
    const ofPrompt = metricScore(network, 'text', targets.textMetric, state.textEvidence);
    margins.push(multiply(hasPrompt(targets.textMetric), ofPrompt));
  }
  if (parts.tokenPath) {
    const token = multiply(parameters('tokenPath.gain'), tokenAgreement);
    margins.push(parts.evidenceGate ? multiply(token, state.evidence) : token);
  }
  return margins;
}

/** a₀ (Σ r + K g(item)) / (n + K), g linear in the item vector: what people in general make of an image. (U, T, 1) */
function populationPrior({ parameters: p }: Network, targets: Targets): Value {
  const { embedding, imageMetric, textMetric, popularity } = targets;
  const item = onnx.concat([embedding, imageMetric, textMetric], -1);
  const expected = add(linear(item, p('prior.ridge')), p('prior.constant'));
  const pseudoCount = onnx.exp(p('prior.logPseudoCount'));
  const [sum, count] = onnx.split(popularity, -1, [1, 1]);
  const shrunken = onnx.divide(add(sum!, multiply(pseudoCount, expected)), add(count!, pseudoCount));
  return multiply(p('prior.gain'), shrunken);
}

// ---------------------------------------------------------------- losses

/** The mean over a batch's pairs, each counted by its weight where weights (of the same shape) are given. */
function meanOfPairs(values: Value, weights: Value | undefined): Value {
  if (!weights) return onnx.meanAll(values);
  const total = add(onnx.sumAll(weights), values.graph.scalar(NO_WEIGHT));
  return onnx.divide(onnx.sumAll(multiply(values, weights)), total);
}

/**
 * Cross entropy of like against dislike, of the liked and of the disliked targets: (CE(pos, like) + CE(neg, dislike))
 * / 2. Logits (U, pairs, 2) of liked and of disliked targets; weights of the pairs (U, pairs, 1), or all alike.
 */
export function baseLoss(liked: Value, disliked: Value, weights?: Value): Value {
  const margin = (logits: Value) => {
    const [like, dislike] = onnx.split(logits, -1, [1, 1]);
    return subtract(like!, dislike!);
  };
  const ofLiked = meanOfPairs(onnx.softplus(onnx.negate(margin(liked))), weights);
  const ofDisliked = meanOfPairs(onnx.softplus(margin(disliked)), weights);
  return scale(add(ofLiked, ofDisliked), 0.5);
}

/**
 * Contrastive preference loss: of a pair, the liked target's l⁺ should be the greater and the disliked one's l⁻:
 * −log σ(l⁺_pos − l⁺_neg) − log σ(l⁻_neg − l⁻_pos). Shapes as in `baseLoss`.
 */
export function contrastiveLoss(liked: Value, disliked: Value, weights?: Value): Value {
  const [like, dislike] = onnx.split(subtract(liked, disliked), -1, [1, 1]);
  const ofLike = meanOfPairs(onnx.softplus(onnx.negate(like!)), weights);
  return add(ofLike, meanOfPairs(onnx.softplus(dislike!), weights));
}

/** The same ranking asked of the token path alone, so that the tokens' directions come to carry taste. */
export function tokenLoss(agreementLiked: Value, agreementDisliked: Value, weights?: Value): Value {
  const sharpness = 4;
  return meanOfPairs(onnx.softplus(scale(subtract(agreementDisliked, agreementLiked), sharpness)), weights);
}

/**
 * Minus the mutual information, over a batch, between the tokens that two disjoint halves of one history choose
 * (Ji et al. 2019, IIC): a person should be told by their tokens whichever half is read, and people apart.
 * first, second (H, U, 1, P); weight (U, 1, 1), how much each user's halves tell.
 */
export function tokenInformationLoss(first: Value, second: Value, weight: Value): Value {
  const { graph } = first;
  const [heads, users, , tokens] = first.shape;
  const flat = (attention: Value) => reshape(attention, [heads!, users!, tokens!]);
  const share = onnx.divide(weight, add(onnx.sumAll(weight), graph.scalar(1e-6))); // sums to 1 over users
  const weighted = multiply(flat(first), reshape(share, [1, users!, 1]));
  const joint = matMul(onnx.transposeLast(weighted), flat(second)); // (H, P, P)
  const symmetric = add(scale(add(joint, onnx.transposeLast(joint)), 0.5), graph.scalar(1e-6));
  const rows = onnx.reduceSum(symmetric, [2], { keepAxes: true });
  const columns = onnx.reduceSum(symmetric, [1], { keepAxes: true });
  const information = multiply(symmetric, onnx.log(onnx.divide(symmetric, multiply(rows, columns))));
  return scale(onnx.sumAll(information), -1 / Number(heads));
}

/**
 * Of a batch, each person should find their own other half by its profile: cross entropy of the Hellinger affinities
 * ⟨√π, √π'⟩ of first halves to second halves and back (InfoNCE, van den Oord et al. 2018). It trains the very
 * similarity that orders similar users. first, second: a layer each, (H, U, 1, P); weight (U, 1, 1).
 */
export function twinLoss(first: readonly Value[], second: readonly Value[], weight: Value): Value {
  const sharpness = 20;
  const { graph } = weight;
  const users = Number(weight.shape[0]);
  const roots = (layers: readonly Value[]) =>
    onnx.concat(
      layers.map((layer) => {
        const [heads, , , tokens] = layer.shape.map(Number) as [number, number, number, number];
        const byUser = reshape(onnx.transpose(layer, [1, 2, 0, 3]), [users, heads * tokens]);
        return scale(onnx.sqrt(byUser), (heads * layers.length) ** -0.5);
      }),
      -1,
    ); // (U, layers·H·P), unit length
  const affinity = scale(matMul(roots(first), onnx.transposeLast(roots(second))), sharpness); // (U, U)
  const own = graph.constant('ownTwin', [users, users], identityMatrix(users));
  const share = reshape(onnx.divide(weight, add(onnx.sumAll(weight), graph.scalar(1e-6))), [users]);
  const found = (rows: Value) => onnx.reduceSum(multiply(softmax(rows), own), [-1]); // (U)
  const bothWays = add(onnx.log(found(affinity)), onnx.log(found(onnx.transposeLast(affinity))));
  return scale(onnx.sumAll(multiply(bothWays, share)), -0.5);
}

function identityMatrix(size: number): Float32Array {
  const matrix = new Float32Array(size * size);
  for (let i = 0; i < size; i++) matrix[i * size + i] = 1;
  return matrix;
}
