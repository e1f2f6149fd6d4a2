/**
 * What the network promises whatever its weights: served piece by piece it is what was trained, order does not matter,
 * weights are counts, and nothing said is nothing scored.
 */

import { toHalfFloats } from '../../src/halfFloats.ts';
import { openSession, type Session, type Tensor, type Tensors } from '../../src/inference/session.ts';
import { ALL_PARTS, type Architecture, itemVectorSize } from '../../src/model/architecture.ts';
import { scoreGraph, stateGraph } from '../../src/model/graphs.ts';
import { itemTower } from '../../src/model/network.ts';
import { constantParameters, initialParameters, type Network, parameterLayout } from '../../src/model/parameters.ts';
import { ADAMW, batchInputs, fullForward, trainingGraph } from '../../src/model/trainingGraph.ts';
import { concat, Graph } from '../../src/onnx/index.ts';
import { Random } from '../../src/random.ts';

const ARCHITECTURE: Architecture = {
  imageInputs: 12,
  textInputs: 6,
  width: 16,
  imageMetric: 8,
  textMetric: 4,
  components: 3,
  layers: 2,
  heads: 2,
  hidden: 32,
  tokens: 5,
  history: 6,
  parts: ALL_PARTS,
};
/** The same sizes and parameters, judgements and tokens in one softmax. */
const ONE_SOFTMAX: Architecture = { ...ARCHITECTURE, parts: { ...ALL_PARTS, tokensInSoftmax: true } };
const SIZE = itemVectorSize(ARCHITECTURE);
const layout = parameterLayout(ARCHITECTURE);
const shape = { users: 3, judgements: 8, pairs: 2 };
const ROWS = shape.judgements + 2 * shape.pairs;
const TARGETS = 2 * shape.pairs;

/** Weights with every part awake. */
function weights(seed: string): Float32Array {
  const random = new Random(seed);
  return initialParameters(ARCHITECTURE, random).map((value) => value + 0.2 * random.normal());
}

const float = (data: Float32Array, ...dims: number[]): Tensor => ({ dtype: 'float32', dims, data });

/** Three people: full history with mixed weights, a short one-sided one, none at all; some prompts are missing. */
function batch(seed: string): Tensors {
  const random = new Random(seed);
  const normals = (count: number) => Float32Array.from({ length: count }, () => random.normal());
  const judged = new Float32Array(shape.users * shape.judgements * 2);
  for (let i = 0; i < shape.judgements; i++) judged[2 * i + (i % 2)] = i === 3 ? 2.5 : 1;
  judged[2 * shape.judgements] = 1;
  judged[2 * shape.judgements + 2] = 0.5;
  return {
    image: float(normals(shape.users * ROWS * ARCHITECTURE.imageInputs), shape.users, ROWS, ARCHITECTURE.imageInputs),
    text: float(normals(shape.users * ROWS * ARCHITECTURE.textInputs), shape.users, ROWS, ARCHITECTURE.textInputs),
    hasText: float(
      Float32Array.from({ length: shape.users * ROWS }, (_, i) => (i % 3 ? 1 : 0)),
      shape.users,
      ROWS,
      1,
    ),
    judged: float(judged, shape.users, shape.judgements, 2),
    popularity: float(
      Float32Array.from({ length: shape.users * TARGETS * 2 }, (_, i) => (i % 2 ? 3 : random.normal())),
      shape.users,
      TARGETS,
      2,
    ),
  };
}

/** Everything in one graph, as in training; also gives the item vectors. */
function fullGraph(flat: Float32Array, architecture = ARCHITECTURE): Uint8Array {
  const graph = new Graph('full');
  const network: Network = { architecture, parameters: constantParameters(graph, architecture, flat) };
  const inputs = batchInputs(graph, architecture, shape);
  const rows = itemTower(network, inputs.image, inputs.text, inputs.hasText);
  const { scores } = fullForward(network, shape, rows, inputs.judged, inputs.popularity);
  graph.output('items', concat([rows.embedding, rows.imageMetric, rows.textMetric], -1));
  graph.output('logits', scores.logits);
  return graph.toBytes();
}

interface Serving {
  state: Session;
  score: Session;
  store: (items: Float32Array, ...dims: number[]) => Tensor;
}

/** Rows (…, size) of a flat array, for user u from row `from` to row `to`. */
const cut = (flat: ArrayLike<number>, u: number, from: number, to: number, rows: number, size: number): number[] =>
  Array.from(flat).slice((u * rows + from) * size, (u * rows + to) * size);

/** The served path: sums by hand, state, then score. */
async function serve({ state, score, store }: Serving, input: Tensors, items: Float32Array): Promise<Float32Array> {
  const { history, imageMetric, textMetric, width } = ARCHITECTURE;
  const { users, judgements } = shape;
  const judged = input['judged']!.data as Float32Array;
  const perUser = (make: (u: number) => number[]) => Float32Array.from([...Array(users).keys()].flatMap(make));
  const metrics = imageMetric + textMetric;
  const recent = perUser((u) =>
    Array.from({ length: judgements }, (_, j) => cut(items, u, j, j + 1, ROWS, SIZE).slice(width)).flat(),
  );
  const sums = (offset: number, size: number, counts: (j: number, u: number) => number) => {
    const total = perUser((u) =>
      [0, 1].map((side) => sum(judgements, (j) => counts(j, u) * judged[(u * judgements + j) * 2 + side]!)),
    );
    const sumsOf = perUser((u) =>
      [0, 1].flatMap((side) =>
        Array.from({ length: size }, (_, k) =>
          sum(
            judgements,
            (j) => judged[(u * judgements + j) * 2 + side]! * recent[(u * judgements + j) * metrics + offset + k]!,
          ),
        ),
      ),
    );
    return { sums: float(sumsOf, users, 2, size), totals: float(total, users, 2, 1) };
  };
  const image = sums(0, imageMetric, () => 1);
  const hasText = input['hasText']!.data;
  const text = sums(imageMetric, textMetric, (j, u) => Number(hasText[u * ROWS + j]));
  const blockJudged = float(
    perUser((u) => cut(judged, u, 0, history, judgements, 2)),
    users,
    history,
    2,
  );
  const states = await state.run({
    items: store(
      perUser((u) => cut(items, u, 0, history, ROWS, SIZE)),
      users,
      history,
      SIZE,
    ),
    judged: blockJudged,
    imageSums: image.sums,
    imageTotals: image.totals,
  });
  const { logits } = await score.run({
    keysValues: states['keysValues']!,
    direction: states['direction']!,
    judged: blockJudged,
    recent: store(recent, users, judgements, metrics),
    recentJudged: input['judged']!,
    imageSums: image.sums,
    imageTotals: image.totals,
    textSums: text.sums,
    textTotals: text.totals,
    items: store(
      perUser((u) => cut(items, u, judgements, ROWS, ROWS, SIZE)),
      users,
      TARGETS,
      SIZE,
    ),
    popularity: input['popularity']!,
  });
  return logits!.data as Float32Array;
}

const sum = (count: number, term: (i: number) => number): number => {
  let total = 0;
  for (let i = 0; i < count; i++) total += term(i);
  return total;
};
const margins = (logits: Float32Array) =>
  Array.from({ length: logits.length / 2 }, (_, i) => logits[2 * i]! - logits[2 * i + 1]!);
const largestDifference = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Math.max(...Array.from(a, (value, i) => Math.abs(value - b[i]!)));

describe('the preference model', () => {
  const flat = weights('serving');
  const input = batch('serving');
  let full: Session;
  let run: (feeds: Tensors) => Promise<Float32Array>;
  let items: Float32Array;
  let logits: Float32Array;

  beforeAll(async () => {
    full = await openSession(fullGraph(flat));
    run = async (feeds) => (await full.run(feeds))['logits']!.data as Float32Array;
    const out = await full.run(input);
    items = out['items']!.data as Float32Array;
    logits = out['logits']!.data as Float32Array;
  });

  it('served as state and score, equals the full forward in single precision', async () => {
    const serving = {
      state: await openSession(stateGraph(ARCHITECTURE, flat, 'float32')),
      score: await openSession(scoreGraph(ARCHITECTURE, flat, 'float32')),
      store: float,
    };
    const served = await serve(serving, input, items);
    expect(Math.max(...margins(logits)) - Math.min(...margins(logits))).toBeGreaterThan(1);
    expect(largestDifference(served, logits)).toBeLessThan(1e-5);
  });

  it('with tokens and judgements in one softmax is served as it is trained, and says another thing', async () => {
    const serving = {
      state: await openSession(stateGraph(ONE_SOFTMAX, flat, 'float32')),
      score: await openSession(scoreGraph(ONE_SOFTMAX, flat, 'float32')),
      store: float,
    };
    const together = await (await openSession(fullGraph(flat, ONE_SOFTMAX))).run(input);
    const out = together['logits']!.data as Float32Array;
    expect(largestDifference(await serve(serving, input, items), out)).toBeLessThan(1e-5);
    expect(largestDifference(out, logits)).toBeGreaterThan(0.01);
  });

  it('served from stored half floats, scores within 0.02 of it', async () => {
    const serving = {
      state: await openSession(stateGraph(ARCHITECTURE, flat)),
      score: await openSession(scoreGraph(ARCHITECTURE, flat)),
      store: (data: Float32Array, ...dims: number[]): Tensor => ({ dtype: 'float16', dims, data: toHalfFloats(data) }),
    };
    const served = await serve(serving, input, items);
    expect(largestDifference(served, logits)).toBeLessThan(0.02);
    expect(largestDifference(served, logits)).toBeGreaterThan(0);
  });

  it('does not care in which order judgements stand', async () => {
    const { history } = ARCHITECTURE;
    const order = new Random('order').shuffle([...Array(history).keys()]);
    const moved = permuteRows(input, [...order, ...Array.from({ length: ROWS - history }, (_, i) => history + i)]);
    expect(largestDifference(await run(moved), logits)).toBeLessThan(1e-5);
  });

  it('takes a judgement of weight 2 for two judgements of weight 1', async () => {
    const once = clone(input);
    const twice = clone(input);
    const setJudged = (feeds: Tensors, place: number, weight: number) => {
      const data = feeds['judged']!.data as Float32Array;
      data.set([weight, 0], 2 * place);
    };
    setJudged(once, 0, 2);
    setJudged(once, 5, 0);
    setJudged(twice, 0, 1);
    setJudged(twice, 5, 1);
    for (const [name, size] of [
      ['image', ARCHITECTURE.imageInputs],
      ['text', ARCHITECTURE.textInputs],
      ['hasText', 1],
    ] as const) {
      const data = twice[name]!.data as Float32Array;
      data.copyWithin(5 * size, 0, size);
    }
    const [a, b] = [await run(once), await run(twice)];
    expect(largestDifference(a.subarray(0, 2 * TARGETS), b.subarray(0, 2 * TARGETS))).toBeLessThan(1e-5);
    expect(largestDifference(a, logits)).toBeGreaterThan(0.01);
  });

  it('is not moved by what stands in a place without a judgement', async () => {
    const other = clone(input);
    const image = other['image']!.data as Float32Array;
    for (let place = 2; place < shape.judgements; place++) {
      image.fill(7, (ROWS + place) * ARCHITECTURE.imageInputs, (ROWS + place + 1) * ARCHITECTURE.imageInputs);
    }
    expect(largestDifference(await run(other), logits)).toBeLessThan(1e-6);
  });

  it('gives a person without a judgement the population prior alone, and one target says nothing of another', async () => {
    const noPrior = clone(input);
    (noPrior['popularity']!.data as Float32Array).fill(0);
    const awake = flat.slice();
    awake.fill(0, layout.range('prior.gain').start, layout.range('prior.gain').end);
    const session = await openSession(fullGraph(awake));
    const out = (await session.run(input))['logits']!.data as Float32Array;
    const nobody = out.subarray(2 * 2 * TARGETS);
    expect([...nobody].every((value) => value === 0)).toBe(true);

    const otherTarget = clone(input);
    (otherTarget['image']!.data as Float32Array).fill(
      3,
      shape.judgements * ARCHITECTURE.imageInputs,
      (shape.judgements + 1) * ARCHITECTURE.imageInputs,
    );
    const moved = await run(otherTarget);
    expect(largestDifference(moved.subarray(2), logits.subarray(2))).toBeLessThan(1e-6);
    expect(Math.abs(moved[0]! - logits[0]!)).toBeGreaterThan(0.01);
  });

  it('listens to the components more, the more the judgements agree in them, and less the more they do in the rest', async () => {
    const components = ARCHITECTURE.components!;
    const style = ARCHITECTURE.imageMetric - components;
    /** Everything but the components' prototype is silent. */
    const alone = (componentAgreement: number, styleAgreement: number) => {
      const weights = flat.slice();
      const set = (name: string, value: number) => {
        const { start, end } = layout.range(name);
        weights.fill(value, start, end);
      };
      for (const name of ['head.output', 'head.outputBias', 'tokenPath.gain', 'prior.gain']) set(name, 0);
      for (const name of ['image.kernelGain', 'text.kernelGain', 'text.prototypeGain']) set(`metricPath.${name}`, 0);
      set('metricPath.image.componentAgreement', componentAgreement);
      set('metricPath.image.styleAgreement', styleAgreement);
      return weights;
    };
    const marginsOf = async (weights: Float32Array) => {
      const session = await openSession(fullGraph(weights));
      return margins((await session.run(input))['logits']!.data as Float32Array);
    };
    /** (S − L) / (S + L + L W / 20) of one person's judgements, over the metric's numbers from `from` to `to`. */
    const agreementOf = (user: number, from: number, to: number) => {
      const judged = input['judged']!.data as Float32Array;
      const total = new Float64Array(to - from);
      let lengths = 0;
      let weight = 0;
      for (let j = 0; j < shape.judgements; j++) {
        const [like, dislike] = judged.subarray(2 * (user * shape.judgements + j));
        const e = cut(items, user, j, j + 1, ROWS, SIZE).slice(ARCHITECTURE.width + from, ARCHITECTURE.width + to);
        e.forEach((value, k) => {
          total[k]! += (like! - dislike!) * value;
        });
        lengths += (like! + dislike!) * e.reduce((squares, value) => squares + value * value, 0);
        weight += like! + dislike!;
      }
      const together = total.reduce((squares, value) => squares + value * value, 0);
      return (together - lengths) / (together + lengths + (lengths * weight) / 20);
    };
    const plain = await marginsOf(alone(0, 0));
    const gated = await marginsOf(alone(2, -3));
    for (const user of [0, 1]) {
      const gate = Math.exp(2 * agreementOf(user, style, style + components) - 3 * agreementOf(user, 0, style));
      expect(Math.abs(Math.log(gate))).toBeGreaterThan(0.1);
      for (let t = user * TARGETS; t < (user + 1) * TARGETS; t++) expect(gated[t]).toBeCloseTo(gate * plain[t]!, 4);
    }
    expect(Math.max(...plain.slice(0, TARGETS).map(Math.abs))).toBeGreaterThan(0.05);
  });

  it('does not read the text of an image that has no prompt', async () => {
    const other = clone(input);
    const hasText = other['hasText']!.data;
    const text = other['text']!.data as Float32Array;
    for (let r = 0; r < shape.users * ROWS; r++) {
      if (!hasText[r]) text.fill(9, r * ARCHITECTURE.textInputs, (r + 1) * ARCHITECTURE.textInputs);
    }
    expect(largestDifference(await run(other), logits)).toBe(0);
  });
});

describe('the training step with every part and every loss', () => {
  it.each([
    ['tokens as an extra term', ARCHITECTURE],
    ['tokens in the same softmax', ONE_SOFTMAX],
  ])('has the gradient that finite differences give, parameter by parameter, with %s', async (_, architecture) => {
    const losses = { base: 1, contrastive: 1, token: 0.7, information: 0.5, twins: 0.5 };
    const session = await openSession(trainingGraph(architecture, shape, losses, { exposeGradient: true }));
    const zeros = () => float(new Float32Array(layout.size), layout.size);
    const one = float(Float32Array.of(1));
    const fixed = {
      ...batch('gradient'),
      firstMoment: zeros(),
      secondMoment: zeros(),
      rates: zeros(),
      decay: zeros(),
      learningRate: one,
      correction1: one,
      correction2: one,
    };
    const run = (at: Float32Array) => session.run({ ...fixed, weights: float(at, layout.size) });
    const lossAt = async (at: Float32Array) => Number((await run(at))['loss']!.data[0]);
    const silent: string[] = [];
    const check = async (flat: Float32Array, names: string[]) => {
      const gradient = (await run(flat))['gradient']!.data as Float32Array;
      for (const name of names) {
        const { start, end } = layout.range(name);
        const length = Math.hypot(...gradient.subarray(start, end));
        if (length < 1e-4) silent.push(name);
        const step = 5e-3;
        const moved = (sign: number) =>
          flat.map((value, i) => (i >= start && i < end ? value + (sign * step * gradient[i]!) / length : value));
        const measured = ((await lossAt(moved(1))) - (await lossAt(moved(-1)))) / (2 * step);
        expect(`${name} ${Math.abs(measured - length) < 0.02 * length + 2e-3}`).toBe(`${name} true`);
      }
    };
    // The probe's gradient stops at the taste it is made from: those parameters are checked without a probe.
    const behindProbe = ['metric.image', 'metric.imageBias', 'metricPath.image.logPseudoCount'];
    const flat = weights('gradient');
    const names = layout.specs.map(({ name }) => name);
    await check(
      flat,
      names.filter((name) => !behindProbe.includes(name)),
    );
    const probe = layout.range('probe');
    await check(flat.slice().fill(0, probe.start, probe.end), behindProbe);
    expect(silent).toEqual([]);
  });

  it('over stored item vectors is the step over inputs with a frozen tower, and counts pairs by their weight', async () => {
    const flat = weights('items');
    const input = batch('items');
    const items = (await (await openSession(fullGraph(flat))).run(input))['items']!.data as Float32Array;
    const losses = { base: 1, contrastive: 0.5, token: 0.7, information: 0.5, twins: 0.5 };
    const open = (rows: 'inputs' | 'items') =>
      openSession(trainingGraph(ARCHITECTURE, shape, losses, { exposeGradient: true, rows }));
    const [overInputs, overItems] = [await open('inputs'), await open('items')];
    const scalars = Object.fromEntries(
      ['learningRate', 'correction1', 'correction2'].map((name) => [name, float(Float32Array.of(1))]),
    );
    const zeros = Object.fromEntries(
      ['firstMoment', 'secondMoment', 'rates', 'decay'].map((name) => [
        name,
        float(new Float32Array(layout.size), layout.size),
      ]),
    );
    const fixed = { ...scalars, ...zeros, weights: float(flat, layout.size) };
    const { judged, popularity } = input;
    const pairWeights = (value: (pair: number) => number) =>
      float(
        Float32Array.from({ length: shape.users * shape.pairs * 2 }, (_, i) => value(i >> 1)),
        shape.users,
        shape.pairs,
        2,
      );
    const stored = { items: float(items, shape.users, ROWS, SIZE), judged: judged!, popularity: popularity! };
    const step = async (weights: Tensor, changed: Float32Array = items) =>
      overItems.run({ ...fixed, ...stored, items: float(changed, shape.users, ROWS, SIZE), pairWeights: weights });

    const expected = await overInputs.run({ ...fixed, ...input });
    const alike = await step(pairWeights(() => 1));
    for (const name of Object.keys(losses)) {
      expect(Number(alike[name]!.data[0])).toBeCloseTo(Number(expected[name]!.data[0]), 5);
    }
    const gradientOf = (outputs: Tensors) =>
      layout.specs
        .filter(({ name }) => !/^(item|metric)\./.test(name))
        .flatMap(({ name }) => {
          const { start, end } = layout.range(name);
          return [...(outputs['gradient']!.data as Float32Array).subarray(start, end)];
        });
    expect(largestDifference(gradientOf(alike), gradientOf(expected))).toBeLessThan(1e-4);

    // The last pair of the first user: whatever its targets are, at weight 0 no ranking loss hears of it.
    const other = items.slice();
    other.fill(0.5, (shape.judgements + 1) * SIZE, (shape.judgements + 2) * SIZE);
    const without = pairWeights((pair) => (pair === 1 ? 0 : 1));
    const ranking = ({ base, contrastive, token }: Tensors) => [base, contrastive, token].map((loss) => loss!.data[0]);
    expect(ranking(await step(without, other))).toEqual(ranking(await step(without)));
    expect(
      ranking(
        await step(
          pairWeights(() => 1),
          other,
        ),
      ),
    ).not.toEqual(ranking(alike));
    expect(ranking(await step(pairWeights(() => 0)))).toEqual([0, 0, 0]);
  });

  it('leaves frozen parameters alone and clips the gradient', async () => {
    const flat = weights('step');
    const session = await openSession(
      trainingGraph(ARCHITECTURE, shape, { base: 1, contrastive: 1, token: 1, information: 1, twins: 1 }),
    );
    const rates = new Float32Array(layout.size).fill(1);
    const frozen = layout.range('metric.image');
    rates.fill(0, frozen.start, frozen.end);
    const scalar = (value: number) => float(Float32Array.of(value));
    const out = await session.run({
      ...batch('step'),
      weights: float(flat, layout.size),
      firstMoment: float(new Float32Array(layout.size), layout.size),
      secondMoment: float(new Float32Array(layout.size), layout.size),
      rates: float(rates, layout.size),
      decay: float(new Float32Array(layout.size), layout.size),
      learningRate: scalar(0.01),
      correction1: scalar(1 / (1 - ADAMW.beta1)),
      correction2: scalar(1 / (1 - ADAMW.beta2)),
    });
    const next = out['newWeights']!.data as Float32Array;
    const moment = out['newFirstMoment']!.data as Float32Array;
    expect([...next.subarray(frozen.start, frozen.end)]).toEqual([...flat.subarray(frozen.start, frozen.end)]);
    expect(largestDifference(next, flat)).toBeGreaterThan(0.005);
    expect(Number(out['gradientNorm']!.data[0])).toBeGreaterThan(1);
    expect(Math.hypot(...moment) / (1 - ADAMW.beta1)).toBeCloseTo(1, 3);
  });
});

function clone(feeds: Tensors): Tensors {
  return Object.fromEntries(
    Object.entries(feeds).map(([name, tensor]) => [name, { ...tensor, data: (tensor.data as Float32Array).slice() }]),
  );
}

/** The rows of every user in another order: row i becomes row order[i]. */
function permuteRows(feeds: Tensors, order: number[]): Tensors {
  return Object.fromEntries(
    Object.entries(feeds).map(([name, tensor]) => {
      const [users, rows, size] = tensor.dims as [number, number, number];
      if (name === 'popularity') return [name, tensor];
      const data = tensor.data as Float32Array;
      const moved = new Float32Array(data.length);
      for (let u = 0; u < users; u++) {
        for (let r = 0; r < rows; r++) {
          moved.set(
            data.subarray((u * rows + order[r]!) * size, (u * rows + order[r]! + 1) * size),
            (u * rows + r) * size,
          );
        }
      }
      return [name, float(moved, users, rows, size)];
    }),
  );
}
