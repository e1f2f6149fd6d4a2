/** Which images to ask about: against variances worked out by inverting matrices, and what a person would expect. */
import { chooseQuestions, type JudgedVector } from '../../src/inference/questions.ts';
import { Random } from '../../src/random.ts';
import { cholesky, matrix, solveCholesky } from '../../src/training/fitting/linearAlgebra.ts';

const random = new Random('questions');
const unit = (values: readonly number[]): Float32Array => {
  const length = Math.hypot(...values);
  return Float32Array.from(values, (value) => value / length);
};
const draw = () => unit(Array.from({ length: 6 }, () => random.normal()));
const near = (to: Float32Array) => unit(Array.from(to, (value) => value + 0.1 * random.normal()));
const kernel = (a: Float32Array, b: Float32Array) =>
  Math.exp(4 * (a.reduce((sum, value, i) => sum + value * b[i]!, 0) - 1));

/** Posterior variance over the targets, summed: k(t, t) − k(t, X) (K + diag(1 / w))⁻¹ k(X, t). */
function varianceLeft(targets: readonly Float32Array[], judged: readonly JudgedVector[]): number {
  const n = judged.length;
  const k = matrix(n, n);
  judged.forEach((a, i) => {
    judged.forEach((b, j) => {
      k.data[i * n + j] = kernel(a.vector, b.vector) + (i === j ? 1 / a.weight : 0);
    });
  });
  const factor = cholesky(k);
  return targets.reduce((sum, target) => {
    const to = judged.map(({ vector }) => kernel(vector, target));
    const solved = solveCholesky(factor, to);
    return sum + 1 - to.reduce((product, value, i) => product + value * solved[i]!, 0);
  }, 0);
}

it('chooses each question as the one that leaves the least variance, given all before it', () => {
  for (let world = 0; world < 10; world++) {
    const candidates = Array.from({ length: 30 }, draw);
    const targets = Array.from({ length: 25 }, draw);
    const judged = Array.from({ length: world }, () => ({ vector: draw(), weight: random.between(0.3, 4) }));
    const known = [...judged];
    const open = new Set(candidates.keys());
    for (const c of chooseQuestions({ candidates, targets, judged, count: 5 })) {
      const leftBy = (i: number) => varianceLeft(targets, [...known, { vector: candidates[i]!, weight: 1 }]);
      expect(leftBy(c) - Math.min(...[...open].map(leftBy))).toBeLessThan(1e-9);
      open.delete(c);
      known.push({ vector: candidates[c]!, weight: 1 });
    }
  }
});

it('asks about what was not judged, once about each kind, and most about what there is most of', () => {
  const kinds = [draw(), draw(), draw()] as const;
  const many = (count: number, kind: Float32Array) => Array.from({ length: count }, () => near(kind));
  const candidates = [...many(5, kinds[0]), ...many(5, kinds[1]), ...many(5, kinds[2])];
  const kindOf = (c: number) => Math.floor(c / 5);
  const targets = [...many(30, kinds[0]), ...many(30, kinds[1]), ...many(60, kinds[2])];
  const asked = chooseQuestions({ candidates, targets, judged: [], count: 3 });
  expect(kindOf(asked[0]!)).toBe(2);
  expect(new Set(asked.map(kindOf))).toEqual(new Set([0, 1, 2]));
  const judged = many(4, kinds[2]).map((vector) => ({ vector, weight: 1 }));
  expect(chooseQuestions({ candidates, targets, judged, count: 2 }).map(kindOf).sort()).toEqual([0, 1]);
});

it('asks about everything there is where that is less than wanted, nothing twice, and copes with nothing', () => {
  const same = draw();
  const candidates = [same, same, draw()];
  const all = chooseQuestions({ candidates, targets: [same], judged: [{ vector: same, weight: 1 }], count: 9 });
  expect(all.toSorted()).toEqual([0, 1, 2]);
  expect(chooseQuestions({ candidates: [], targets: [same], judged: [], count: 4 })).toEqual([]);
  expect(chooseQuestions({ candidates, targets: [], judged: [], count: 1 })).toHaveLength(1);
});
