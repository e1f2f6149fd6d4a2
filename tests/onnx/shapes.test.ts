/**
 * Tensors that do not fit fail while the graph is built, in words; sizes that are not known yet stay symbolic and
 * are right at run time.
 */
import { openSession } from '../../src/inference/session.ts';
import {
  add,
  concat,
  Graph,
  linear,
  matMul,
  mergeAxes,
  reshape,
  softmax,
  split,
  transpose,
} from '../../src/onnx/index.ts';

const graph = () => new Graph('test');
const numbers = (count: number) => Float32Array.from({ length: count }, (_, i) => i);

describe('shapes that do not fit', () => {
  const g = graph();
  const [a, b, c] = [g.input('a', [2, 3]), g.input('b', [4, 5]), g.input('c', ['users', 3])];
  it.each<[string, () => unknown, string]>([
    ['add', () => add(a, b), 'Add: shapes [2, 3] and [4, 5] do not fit: axis -2 is 2 in one and 4 in the other.'],
    [
      'a symbolic size against a fixed one',
      () => add(a, c),
      'Add: shapes [2, 3] and [users, 3] do not fit: axis -2 is 2 in one and users in the other.',
    ],
    [
      'matMul',
      () => matMul(a, b),
      'MatMul: shapes [2, 3] and [4, 5] do not fit: 3 columns of the first meet 4 rows of the second.',
    ],
    [
      'linear',
      () => linear(a, b),
      'MatMul: shapes [2, 3] and [4, 5] do not fit: 3 columns of the first meet 4 rows of the second.',
    ],
    ['reshape', () => reshape(a, [4, 2]), 'Reshape: shapes [2, 3] and [4, 2] do not fit: 6 elements are not 8.'],
    [
      'reshape, symbolic',
      () => reshape(c, ['targets', 3]),
      'Reshape: shapes [users, 3] and [targets, 3] do not fit: 3*users elements are not 3*targets.',
    ],
    ['split', () => split(a, 1, [1, 1]), 'Split: shapes [2, 3] and [1, 1] do not fit: the pieces are 2 of axis 1.'],
    [
      'concat',
      () => concat([a, b], 0),
      'Concat: shapes [2, 3] and [4, 5] do not fit: they may differ only along axis 0.',
    ],
    [
      'transpose',
      () => transpose(a, [0, 0]),
      'Transpose: shapes [2, 3] and [0, 0] do not fit: the second must name each axis of the first once.',
    ],
    ['a size that must be known', () => split(c, 0, [1, 1]), 'Split: axis 0 of [users, 3] must have a fixed size.'],
    ['a value of another graph', () => add(a, graph().input('z', [2, 3])), 'Add: z belongs to another graph.'],
    ['a name twice', () => g.input('a', [1]), 'The graph has a value named a already.'],
    [
      'a constant of another size',
      () => g.constant('k', [3], numbers(2)),
      'constant k: [3] of float32 takes 12 bytes, got 8.',
    ],
  ])('%s: says the operator and both shapes', (_, build, message) => {
    expect(build).toThrow(message);
  });
});

describe('symbolic sizes', () => {
  it('two of them can be merged, worked on and split again', async () => {
    const g = graph();
    const x = g.input('x', ['users', 'targets', 2]);
    const merged = mergeAxes(x, 0, 1);
    expect(merged.shape).toEqual(['targets*users', 2]);
    g.output('y', transpose(reshape(softmax(merged), ['users', 'targets', 2]), [1, 0, 2]));
    const session = await openSession(g.toBytes());
    for (const [users, targets] of [
      [2, 3],
      [1, 5],
    ] as const) {
      const { y } = await session.run({
        x: { dtype: 'float32', dims: [users, targets, 2], data: numbers(users * targets * 2) },
      });
      expect(y!.dims).toEqual([targets, users, 2]);
      expect((y!.data as Float32Array)[0]).toBeCloseTo(1 / (1 + Math.E), 6);
    }
  });

  it('linear works on rows of two unknown sizes', async () => {
    const g = graph();
    const weight = g.constant('w', [2, 1], Float32Array.of(1, 10));
    g.output('y', linear(g.input('x', ['users', 'targets', 2]), weight, g.constant('b', [1], Float32Array.of(0.5))));
    const session = await openSession(g.toBytes());
    const { y } = await session.run({ x: { dtype: 'float32', dims: [2, 2, 2], data: numbers(8) } });
    expect(y!.dims).toEqual([2, 2, 1]);
    expect([...(y!.data as Float32Array)]).toEqual([10.5, 32.5, 54.5, 76.5]);
  });

  it('a size that no input has cannot be read', () => {
    const g = graph();
    expect(() => g.shapeTensor(['users'])).toThrow('No input of the graph has an axis of size users.');
  });
});
