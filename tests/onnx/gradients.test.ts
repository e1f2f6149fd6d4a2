/**
 * Every operator's gradient against central finite differences: of Σ weights·op(inputs) along a random direction of
 * each input.
 */
import { openSession, type Tensor } from '../../src/inference/session.ts';
import * as onnx from '../../src/onnx/index.ts';
import { Graph, gradients, type Value } from '../../src/onnx/index.ts';
import { Random } from '../../src/random.ts';

interface Case {
  shapes: number[][];
  build: (...inputs: Value[]) => Value;
  /** Moves the random inputs to where the operator is defined. */
  prepare?: (x: number) => number;
}

const positive = (x: number) => 0.5 + Math.abs(x);

const CASES: Record<string, Case> = {
  add: { shapes: [[2, 3], [3]], build: onnx.add },
  subtract: {
    shapes: [
      [2, 1, 3],
      [4, 1],
    ],
    build: onnx.subtract,
  },
  multiply: {
    shapes: [
      [2, 3],
      [2, 1],
    ],
    build: onnx.multiply,
  },
  divide: { shapes: [[2, 3], [3]], build: onnx.divide, prepare: positive },
  negate: { shapes: [[4]], build: onnx.negate },
  scale: { shapes: [[4]], build: (a) => onnx.scale(a, -1.7) },
  exp: { shapes: [[2, 3]], build: onnx.exp },
  log: { shapes: [[2, 3]], build: onnx.log, prepare: positive },
  sqrt: { shapes: [[2, 3]], build: onnx.sqrt, prepare: positive },
  square: { shapes: [[5]], build: onnx.square },
  sigmoid: { shapes: [[5]], build: onnx.sigmoid },
  softplus: { shapes: [[5]], build: onnx.softplus },
  gelu: { shapes: [[2, 4]], build: onnx.gelu },
  reshape: { shapes: [[2, 6]], build: (a) => onnx.reshape(a, [3, 4]) },
  mergeAxes: { shapes: [[2, 3, 4]], build: (a) => onnx.mergeAxes(a, 0, 1) },
  transpose: { shapes: [[2, 3, 4]], build: (a) => onnx.transpose(a, [2, 0, 1]) },
  'split, all pieces used': {
    shapes: [[2, 5]],
    build: (a) => onnx.concat(onnx.split(a, 1, [2, 3]).toReversed(), 1),
  },
  'split, one piece unused': { shapes: [[2, 5]], build: (a) => onnx.split(a, 1, [2, 3])[1]! },
  concat: {
    shapes: [
      [2, 2],
      [2, 3],
    ],
    build: (a, b) => onnx.concat([a!, b!], -1),
  },
  slice: { shapes: [[2, 5, 2]], build: (a) => onnx.slice(a, 1, 1, 4) },
  expand: { shapes: [[2, 1]], build: (a) => onnx.expand(a, [3, 2, 4]) },
  reduceSum: { shapes: [[2, 3, 4]], build: (a) => onnx.reduceSum(a, [0, 2]) },
  'reduceSum keeping axes': { shapes: [[2, 3]], build: (a) => onnx.reduceSum(a, [1], { keepAxes: true }) },
  reduceMean: { shapes: [[2, 3]], build: (a) => onnx.reduceMean(a, [0]) },
  sumAll: { shapes: [[2, 3]], build: (a) => onnx.reshape(onnx.sumAll(a), [1]) },
  meanAll: { shapes: [[2, 3]], build: (a) => onnx.reshape(onnx.meanAll(a), [1]) },
  matMul: {
    shapes: [
      [2, 3, 4],
      [2, 4, 5],
    ],
    build: onnx.matMul,
  },
  'matMul, broadcast': {
    shapes: [
      [3, 2, 3, 4],
      [2, 4, 5],
    ],
    build: onnx.matMul,
  },
  transposeLast: { shapes: [[2, 3, 4]], build: onnx.transposeLast },
  linear: { shapes: [[2, 3, 4], [4, 5], [5]], build: onnx.linear },
  'linear without bias': {
    shapes: [
      [3, 4],
      [4, 2],
    ],
    build: (x, w) => onnx.linear(x!, w!),
  },
  softmax: { shapes: [[3, 5]], build: onnx.softmax },
  layerNorm: { shapes: [[2, 3, 6], [6], [6]], build: onnx.layerNorm },
  vectorNorm: { shapes: [[3, 4]], build: (a) => onnx.vectorNorm(a) },
  unitLength: { shapes: [[3, 4]], build: (a) => onnx.unitLength(a) },
};

const size = (shape: readonly number[]) => shape.reduce((product, dim) => product * dim, 1);

describe.each(Object.entries(CASES))('%s', (name, { shapes, build, prepare = (x) => x }) => {
  it('has the gradient that finite differences give', async () => {
    const random = new Random(`gradient of ${name}`);
    const normals = (count: number) => Float32Array.from({ length: count }, () => random.normal());
    const graph = new Graph('gradient');
    const inputs = shapes.map((shape, i) => graph.parameter(graph.input(`x${i}`, shape)));
    const result = build(...inputs);
    const weights = graph.constant('weights', result.shape as number[], normals(size(result.shape as number[])));
    const loss = onnx.sumAll(onnx.multiply(result, weights));
    graph.output('loss', loss);
    gradients(loss, inputs).forEach((gradient, i) => {
      graph.output(`gradient${i}`, gradient);
    });
    const session = await openSession(graph.toBytes());

    const values = shapes.map((shape) => normals(size(shape)).map(prepare));
    const feeds = (at: Float32Array[]): Record<string, Tensor> =>
      Object.fromEntries(at.map((data, i) => [`x${i}`, { dtype: 'float32', dims: shapes[i]!, data }]));
    const lossAt = async (at: Float32Array[]) => Number((await session.run(feeds(at), ['loss']))['loss']!.data[0]);
    const outputs = await session.run(feeds(values));
    for (const [i, value] of values.entries()) {
      const direction = normals(value.length);
      const step = 1e-2;
      const moved = (sign: number) =>
        values.with(
          i,
          value.map((x, k) => x + sign * step * direction[k]!),
        );
      const measured = ((await lossAt(moved(1))) - (await lossAt(moved(-1)))) / (2 * step);
      const gradient = outputs[`gradient${i}`]!.data as Float32Array;
      const computed = gradient.reduce((sum, g, k) => sum + g * direction[k]!, 0);
      const magnitude = Math.hypot(...gradient) * Math.hypot(...direction);
      expect(Math.abs(measured - computed)).toBeLessThan(2e-3 * Math.max(1, magnitude));
      expect(magnitude).toBeGreaterThan(0.01);
    }
    await session.close();
  });
});

describe('gradients', () => {
  it('adds up where a value is used twice', async () => {
    const graph = new Graph('twice');
    const x = graph.parameter(graph.input('x', [2]));
    const loss = onnx.sumAll(onnx.multiply(onnx.add(x, x), x));
    graph.output('gradient', gradients(loss, [x])[0]!);
    const session = await openSession(graph.toBytes());
    const { gradient } = await session.run({ x: { dtype: 'float32', dims: [2], data: Float32Array.of(1, -3) } });
    expect([...(gradient!.data as Float32Array)]).toEqual([4, -12]);
  });

  it('refuses a loss that is no scalar, and a parameter the loss does not depend on', () => {
    const graph = new Graph('bad');
    const x = graph.parameter(graph.input('x', [2]));
    expect(() => gradients(onnx.scale(x, 2), [x])).toThrow('A loss is a scalar; this one is [2].');
    const loss = onnx.sumAll(onnx.stopGradient(x));
    expect(() => gradients(loss, [x])).toThrow('The loss does not depend on x.');
  });
});
