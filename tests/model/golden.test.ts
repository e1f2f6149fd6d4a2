/**
 * The network of arXiv 2508.08220 against PyTorch's float64 figures (fixtures/golden.py made golden.json): logits,
 * attention over the tokens, losses, the whole gradient, and 20 steps of AdamW. The parts around the blocks are off.
 */
import { readFileSync } from 'node:fs';
import { openSession, type Session, type Tensors } from '../../src/inference/session.ts';
import type { Architecture } from '../../src/model/architecture.ts';
import { parameterLayout } from '../../src/model/parameters.ts';
import { ADAMW, trainingGraph } from '../../src/model/trainingGraph.ts';

interface Golden {
  dims: {
    B: number;
    N: number;
    S: number;
    Dimg: number;
    Dtxt: number;
    d: number;
    H: number;
    L: number;
    P: number;
    F: number;
  };
  params: { name: string; shape: number[]; value: number[] }[];
  img: number[];
  txt: number[];
  logits: number[];
  tokenAttention: { shape: number[]; value: number[] };
  base: number;
  contrastive: number;
  gradient: Record<string, number[]>;
  losses: number[];
}

const golden: Golden = JSON.parse(readFileSync(new URL('./fixtures/golden.json', import.meta.url), 'utf8'));
const { B, N, S, Dimg, Dtxt, d, H, L, P, F } = golden.dims;
const users = B / 2;

const architecture: Architecture = {
  imageInputs: Dimg,
  textInputs: Dtxt,
  width: d,
  imageMetric: 4,
  textMetric: 2,
  layers: L,
  heads: H,
  hidden: F,
  tokens: P,
  history: N,
  parts: {
    prior: false,
    metricPath: false,
    tokenPath: false,
    cosineTokens: false,
    tokensInSoftmax: false,
    evidenceGate: false,
  },
};
const layout = parameterLayout(architecture);

/** Their names to ours. Their Wtok holds the tokens' key and value halves side by side. */
const BLOCK_NAMES: Record<string, string> = {
  ln1g: 'attentionNorm.gain',
  ln1b: 'attentionNorm.bias',
  Wqkv: 'queryKeyValue',
  bqkv: 'queryKeyValueBias',
  Wo: 'attentionOutput',
  bo: 'attentionOutputBias',
  ln2g: 'feedForwardNorm.gain',
  ln2b: 'feedForwardNorm.bias',
  W1: 'feedForward',
  b1: 'feedForwardBias',
  W2: 'feedForwardOutput',
  b2: 'feedForwardOutputBias',
};
const NAMES: Record<string, string> = {
  Wi: 'item.image',
  Wt: 'item.text',
  be: 'item.bias',
  lab: 'label',
  lnfg: 'head.gain',
  lnfb: 'head.bias',
  Wout: 'head.output',
  bout: 'head.outputBias',
  tok: 'tokens',
};

/** Puts theirs into a flat vector of ours. */
function flatten(values: Record<string, number[]>): Float32Array {
  const flat = new Float32Array(layout.size);
  for (const [name, numbers] of Object.entries(values)) {
    const [, layer, part] = /^l(\d)\.(.*)$/.exec(name) ?? [];
    if (part === 'Wtok') {
      const half = (offset: number) => numbers.filter((_, i) => Math.floor((i % (2 * d)) / d) === offset);
      flat.set(half(0), layout.range(`block${layer}.tokenKeys`).start);
      flat.set(half(1), layout.range(`block${layer}.tokenValues`).start);
    } else {
      flat.set(numbers, layout.range(part ? `block${layer}.${BLOCK_NAMES[part]}` : NAMES[name]!).start);
    }
  }
  return flat;
}

/** Their rows B × (history, one target), a person's liked and disliked target apart; ours: a person's both together. */
function batchRows(flat: number[], width: number): Float32Array {
  const rows = (row: number, from: number, to: number) => flat.slice((row * S + from) * width, (row * S + to) * width);
  return Float32Array.from(
    Array.from({ length: users }, (_, u) => [...rows(u, 0, S), ...rows(u + users, N, S)]).flat(),
  );
}

function feeds(weights: Float32Array, first: Float32Array, second: Float32Array, step: number): Tensors {
  const float = (data: Float32Array, ...dims: number[]) => ({ dtype: 'float32' as const, dims, data });
  const scalar = (value: number) => float(Float32Array.of(value));
  const judged = Array.from({ length: users * N }, (_, i) => (i % N < N / 2 ? [1, 0] : [0, 1])).flat();
  const decay = new Float32Array(layout.size);
  for (const spec of layout.specs) {
    const { start, end } = layout.range(spec.name);
    if (spec.decay) decay.fill(0.01, start, end);
  }
  return {
    image: float(batchRows(golden.img, Dimg), users, N + 2, Dimg),
    text: float(batchRows(golden.txt, Dtxt), users, N + 2, Dtxt),
    hasText: float(new Float32Array(users * (N + 2)).fill(1), users, N + 2, 1),
    judged: float(Float32Array.from(judged), users, N, 2),
    popularity: float(new Float32Array(users * 4), users, 2, 2),
    weights: float(weights, layout.size),
    firstMoment: float(first, layout.size),
    secondMoment: float(second, layout.size),
    rates: float(new Float32Array(layout.size).fill(1), layout.size),
    decay: float(decay, layout.size),
    learningRate: scalar(1e-3),
    correction1: scalar(1 / (1 - ADAMW.beta1 ** step)),
    correction2: scalar(1 / (1 - ADAMW.beta2 ** step)),
  };
}

function expectClose(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance = 1e-4): void {
  expect(actual.length).toBe(expected.length);
  let difference = 0;
  let size = 0;
  for (let i = 0; i < expected.length; i++) {
    difference += (actual[i]! - expected[i]!) ** 2;
    size += expected[i]! ** 2;
  }
  expect(Math.sqrt(difference)).toBeLessThanOrEqual(tolerance * Math.sqrt(size));
}

describe('the network of the paper, held to golden figures', () => {
  const start = flatten(Object.fromEntries(golden.params.map(({ name, value }) => [name, value])));
  const zeros = () => new Float32Array(layout.size);
  let session: Session;
  let first: Tensors;

  beforeAll(async () => {
    const bytes = trainingGraph(
      architecture,
      { users, judgements: N, pairs: 1 },
      { base: 1, contrastive: 1, token: 0, information: 0, twins: 0 },
      { optimizer: { ...ADAMW, maxGradientNorm: 1e30 }, exposeGradient: true },
    );
    session = await openSession(bytes);
    first = await session.run(feeds(start, zeros(), zeros(), 1));
  });
  afterAll(() => session.close());

  it('gives the logits', () => {
    const ours = first['logits']!.data as Float32Array; // (users, 2 targets, 2): theirs are (target, user, 2)
    const theirs = Array.from({ length: users }, (_, u) => [u, u + users])
      .flat()
      .flatMap((row) => golden.logits.slice(2 * row, 2 * row + 2));
    expectClose(ours, theirs);
  });

  it('gives the attention over the preference tokens in every layer', () => {
    const { shape, value } = golden.tokenAttention; // (L, B, H, S, P)
    expect(shape).toEqual([L, B, H, S, P]);
    for (let layer = 0; layer < L; layer++) {
      const theirs: number[] = []; // as ours: (H, users, 2, P), of the targets
      for (let head = 0; head < H; head++) {
        for (let u = 0; u < users; u++) {
          for (const row of [u, u + users]) {
            const at = (((layer * B + row) * H + head) * S + N) * P;
            theirs.push(...value.slice(at, at + P));
          }
        }
      }
      expectClose(first[`tokenAttention${layer}`]!.data as Float32Array, theirs);
    }
  });

  it('gives the base and the contrastive loss', () => {
    expectClose(first['base']!.data as Float32Array, [golden.base]);
    expectClose(first['contrastive']!.data as Float32Array, [golden.contrastive]);
  });

  it('gives every gradient', () => {
    const ours = first['gradient']!.data as Float32Array;
    const theirs = flatten(golden.gradient);
    const used = layout.specs.filter(
      ({ name }) => !/^(metric|metricPath|prior|tokenPath)\.|^probe$|missing/.test(name),
    );
    expect(used.length).toBe(golden.params.length + L);
    for (const { name } of used) {
      const { start: from, end } = layout.range(name);
      expectClose(ours.subarray(from, end), theirs.subarray(from, end));
    }
  });

  it('takes 20 steps of AdamW along the same losses', async () => {
    let [weights, m, v] = [start, zeros(), zeros()];
    const losses: number[] = [];
    for (let step = 1; step <= 20; step++) {
      const out = await session.run(feeds(weights, m, v, step));
      losses.push(Number(out['loss']!.data[0]));
      [weights, m, v] = ['newWeights', 'newFirstMoment', 'newSecondMoment'].map(
        (n) => out[n]!.data as Float32Array,
      ) as [Float32Array<ArrayBuffer>, Float32Array<ArrayBuffer>, Float32Array<ArrayBuffer>];
    }
    for (const [i, loss] of losses.entries()) expectClose([loss], [golden.losses[i]!]);
  });
});
