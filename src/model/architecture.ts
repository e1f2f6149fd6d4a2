/**
 * The sizes of a preference model, and the parts of it that can be left out. Everything here is fixed when a model
 * is made and stands in its manifest.
 */
export interface Architecture {
  /** Numbers of a picture after the input transform. */
  readonly imageInputs: number;
  /** Numbers of a prompt after the input transform. */
  readonly textInputs: number;
  /** d: the width of the blocks and of an item embedding. */
  readonly width: number;
  /** Numbers of the metric vector of a picture, and of a prompt. */
  readonly imageMetric: number;
  readonly textMetric: number;
  /**
   * How many of a picture's metric numbers, the last ones, are leading components: the metric path reads them apart
   * from the others. None where it is left out.
   */
  readonly components?: number | undefined;
  readonly layers: number;
  readonly heads: number;
  /** Inner width of a block's feed-forward layer. */
  readonly hidden: number;
  /** How many preference tokens. */
  readonly tokens: number;
  /** N: how many judgements the blocks read. */
  readonly history: number;
  readonly parts: Parts;
}

/** The parts around the blocks. With all of them off, what is left is the network of arXiv 2508.08220. */
export interface Parts {
  readonly prior: boolean;
  readonly metricPath: boolean;
  readonly tokenPath: boolean;
  /** Attention over the tokens by κ cos(q, k), κ = 8; else by q·k / √(d / heads). */
  readonly cosineTokens: boolean;
  /** Judgements and tokens share one softmax in every block; else the tokens are an extra term with one of their own. */
  readonly tokensInSoftmax: boolean;
  /** Blocks and token path weigh W / (W + 1), W the weight of the judgements read: nothing judged, nothing said. */
  readonly evidenceGate: boolean;
}

export const ALL_PARTS: Parts = {
  prior: true,
  metricPath: true,
  tokenPath: true,
  cosineTokens: true,
  tokensInSoftmax: false,
  evidenceGate: true,
};

/** What the base model is. An item vector is width + imageMetric + textMetric = 256 numbers, 512 bytes. */
export const BASE_ARCHITECTURE: Architecture = {
  imageInputs: 256,
  textInputs: 64,
  width: 128,
  imageMetric: 96,
  textMetric: 32,
  components: 16,
  layers: 3,
  heads: 4,
  hidden: 512,
  tokens: 10,
  history: 16,
  parts: ALL_PARTS,
};

/** Numbers in one item vector: item embedding, image metric, text metric, in that order. */
export const itemVectorSize = (a: Architecture): number => a.width + a.imageMetric + a.textMetric;
