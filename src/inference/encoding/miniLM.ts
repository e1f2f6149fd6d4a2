/**
 * all-MiniLM-L6-v2 as an ONNX graph: a BERT encoder of six layers (Devlin et al. 2019, arXiv 1810.04805), the mean of
 * its tokens, unit length. The weights stay the half floats they are stored as and are widened when the model opens.
 * Knows no tokenizer: textEncoder.ts feeds it.
 */
import {
  add,
  cast,
  divide,
  Graph,
  gelu,
  linear,
  matMul,
  multiply,
  reduceSum,
  reshape,
  scale,
  softmax,
  subtract,
  transpose,
  transposeLast,
  unitLength,
  type Value,
  widen,
} from '../../onnx/index.ts';
import { readSafetensors } from './safetensors.ts';

const LAYERS = 6;
const HEADS = 12;
const HEAD_SIZE = 32;
const SIZE = HEADS * HEAD_SIZE;
/** BERT's own; far below the epsilon that other transformers take. */
const LAYER_NORM_EPSILON = 1e-12;
/** Added to the scores of padding: its exponential is 0 in single precision. */
const MASKED = -1e9;

/**
 * The model's bytes, from the bytes of its safetensors file.
 * Inputs `ids` and `mask` [texts, tokens] int64 (mask 1 for a token, 0 for padding); output `embedding` [texts, 384].
 */
export function buildMiniLM(weights: Buffer): Uint8Array {
  const graph = new Graph('all-MiniLM-L6-v2');
  const ids = graph.input('ids', ['texts', 'tokens'], 'int64');
  const mask = cast(graph.input('mask', ['texts', 'tokens'], 'int64'), 'float32');
  const bert = new Bert(graph, weights);

  let x = bert.embed(ids); // (texts, tokens, 384)
  const bias = scale(subtract(graph.scalar(1), reshape(mask, ['texts', 1, 1, 'tokens'])), MASKED);
  for (let layer = 0; layer < LAYERS; layer++) x = bert.layer(x, bias, `encoder.layer.${layer}`);

  const present = reshape(mask, ['texts', 'tokens', 1]);
  const mean = divide(reduceSum(multiply(x, present), [1]), reduceSum(present, [1])); // (texts, 384)
  graph.output('embedding', unitLength(mean));
  return graph.toBytes();
}

class Bert {
  readonly #graph: Graph;
  readonly #tensor: ReturnType<typeof readSafetensors>;

  constructor(graph: Graph, weights: Buffer) {
    this.#graph = graph;
    this.#tensor = readSafetensors(weights);
  }

  /** The sum of word, position and (one) segment embedding, normalised. */
  embed(ids: Value): Value {
    const graph = this.#graph;
    const look = (operator: string, inputs: Value[], shape: Value['shape'], attributes = {}) =>
      widen(graph.onProcessor(() => graph.node(operator, inputs, [shape], attributes, 'float16')[0]!));
    const gather = (table: Value, rows: Value, shape: Value['shape']) =>
      look('Gather', [table, rows], shape, { axis: 0 });
    const words = gather(this.#stored('embeddings.word_embeddings.weight'), ids, ['texts', 'tokens', SIZE]);
    const table = this.#stored('embeddings.position_embeddings.weight');
    const bounds = [graph.integers([0]), graph.shapeTensor(['tokens']), graph.integers([0])];
    const positions = look('Slice', [table, ...bounds], ['tokens', SIZE]);
    const segments = this.#stored('embeddings.token_type_embeddings.weight');
    const segment = gather(segments, graph.integers([0]), [1, SIZE]);
    return this.#layerNorm(add(words, add(positions, segment)), 'embeddings.LayerNorm');
  }

  /** Self-attention and a feed-forward network, each added to its input and then normalised. */
  layer(x: Value, bias: Value, name: string): Value {
    const heads = (part: string) =>
      transpose(
        reshape(this.#linear(x, `${name}.attention.self.${part}`), ['texts', 'tokens', HEADS, HEAD_SIZE]),
        [0, 2, 1, 3],
      ); // (texts, heads, tokens, 32)
    const scores = scale(matMul(heads('query'), transposeLast(heads('key'))), 1 / Math.sqrt(HEAD_SIZE));
    const attention = softmax(add(scores, bias)); // (texts, heads, tokens, tokens)
    const context = transpose(matMul(attention, heads('value')), [0, 2, 1, 3]);
    const joined = reshape(context, ['texts', 'tokens', SIZE]);
    const attended = this.#layerNorm(
      add(x, this.#linear(joined, `${name}.attention.output.dense`)),
      `${name}.attention.output.LayerNorm`,
    );
    const hidden = gelu(this.#linear(attended, `${name}.intermediate.dense`)); // (texts, tokens, 1536)
    return this.#layerNorm(add(attended, this.#linear(hidden, `${name}.output.dense`)), `${name}.output.LayerNorm`);
  }

  /** x Wᵀ + b: the file keeps W as (out, in). */
  #linear(x: Value, name: string): Value {
    return linear(x, transposeLast(this.#weight(`${name}.weight`)), this.#weight(`${name}.bias`));
  }

  #layerNorm(x: Value, name: string): Value {
    const inputs = [x, this.#weight(`${name}.weight`), this.#weight(`${name}.bias`)];
    const attributes = { axis: -1, epsilon: { float: LAYER_NORM_EPSILON } };
    return this.#graph.node('LayerNormalization', inputs, [x.shape], attributes)[0]!;
  }

  #weight(name: string): Value {
    return cast(this.#stored(name), 'float32');
  }

  #stored(name: string): Value {
    const { shape, data } = this.#tensor(name);
    return this.#graph.constant(name, shape, data, 'float16');
  }
}
