/** Pages of similar users: wherever a page ends, its cursor goes on from there. */
import { withTenant } from '../../src/database/client.ts';
import { newId } from '../../src/domain/ids.ts';
import { similarityOf, similarUserPage } from '../../src/domain/similarity.ts';

it('goes on from its own cursors, however near to 0 or 1 the similarity', () =>
  withTenant(newId(), async () => {
    const list = [1, 1, 0.5, 1e-7, 5e-16, 0].map((product) => ({
      userId: newId(),
      similarity: similarityOf([1, 0], [product, Math.sqrt(1 - product * product)]),
    }));
    for (const [i, { cursor }] of similarUserPage(list, { first: 100 }).edges.entries()) {
      expect(similarUserPage(list, { first: 100, after: cursor }).nodes).toEqual(list.slice(i + 1));
    }
  }));

it('is 1 − √(1 − ⟨p, q⟩), 1 of the same vector however it was rounded, 0 of two that share nothing', () => {
  const [p, q] = [0.3, 0.6].map((share) => [Math.sqrt(share), Math.sqrt(1 - share)]);
  const product = p![0]! * q![0]! + p![1]! * q![1]!;
  expect(similarityOf(p!, q!)).toBeCloseTo(1 - Math.sqrt(1 - product), 12);
  const rounded = Float32Array.from({ length: 120 }, () => Math.sqrt(1 / 120));
  expect(similarityOf(rounded, rounded)).toBe(1);
  expect(similarityOf([1, 0], [0, 1])).toBeCloseTo(0, 12);
});
