/** Nearest vectors: what a full sort would find, in its order. */
import { NeighbourIndex } from '../../src/inference/neighbours.ts';
import { Random } from '../../src/random.ts';

const DIMENSIONS = 8;
const random = new Random('neighbours');
const vector = () => Float32Array.from({ length: DIMENSIONS }, () => random.normal());
const vectors = new Map(Array.from({ length: 1000 }, (_, i) => [`v${i}`, vector()]));
const index = new NeighbourIndex(DIMENSIONS);
for (const [id, numbers] of vectors) index.set(id, numbers);

/** All ids by inner product, greatest first. */
function sorted(query: Float32Array): string[] {
  const product = (id: string) => vectors.get(id)!.reduce((sum, number, i) => sum + number * query[i]!, 0);
  return [...vectors.keys()].sort((a, b) => product(b) - product(a));
}

it.each([1, 10, 999, 1000, 5000])('finds the %d nearest, nearest first', (count) => {
  const query = vector();
  expect(index.nearest(query, count).map(({ id }) => id)).toEqual(sorted(query).slice(0, count));
});

it('looks among the ids given only, passing over those it does not hold', () => {
  const query = vector();
  const among = ['v3', 'v1', 'nobody', 'v2'];
  expect(index.nearest(query, 2, among).map(({ id }) => id)).toEqual(
    sorted(query)
      .filter((id) => among.includes(id))
      .slice(0, 2),
  );
});

it('orders equal ones by id, so that a list is the same each time', () => {
  const same = new NeighbourIndex(1);
  for (const id of ['c', 'a', 'd', 'b']) same.set(id, [1]);
  expect(same.nearest([1], 3).map(({ id }) => id)).toEqual(['a', 'b', 'c']);
});

it('replaces the vector of an id', () => {
  const changed = new NeighbourIndex(1);
  changed.set('a', [1]);
  changed.set('a', [3]);
  expect(changed.size).toBe(1);
  expect(changed.nearest([1], 9)).toEqual([{ id: 'a', product: 3 }]);
});

it('refuses a vector of another length', () => {
  expect(() => index.set('x', [1, 2])).toThrow('A vector of 2 numbers does not fit an index of 8.');
});
