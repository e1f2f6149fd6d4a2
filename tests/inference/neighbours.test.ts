/** Nearest vectors: what a full sort would find, in its order, however few bits the engine's first pass has. */
import { NeighbourIndex, type NeighbourOptions } from '../../src/inference/neighbours.ts';
import { QuantisedRows } from '../../src/inference/quantisedRows.ts';
import { SessionHost } from '../../src/inference/sessionHost.ts';
import { Random } from '../../src/random.ts';

const DIMENSIONS = 8;
const random = new Random('neighbours');
const vector = () => Float32Array.from({ length: DIMENSIONS }, () => random.normal());
/** Everything is given to the engine, in blocks of which the last is not full. */
const ENGINE: NeighbourOptions = { blockRows: 300, mostChanged: 0 };

type Vectors = Map<string, Float32Array>;

function indexOf(vectors: Vectors, options: NeighbourOptions = {}): NeighbourIndex {
  const index = new NeighbourIndex([...vectors.values()][0]!.length, options);
  for (const [id, numbers] of vectors) index.set(id, numbers);
  return index;
}

const numbered = (count: number, make: (i: number) => Float32Array): Vectors =>
  new Map(Array.from({ length: count }, (_, i) => [`v${i}`, make(i)]));

/** All ids by inner product, greatest first, equal ones by id. */
function sorted(vectors: Vectors, query: ArrayLike<number>): string[] {
  const products = new Map(
    [...vectors].map(([id, numbers]) => [id, numbers.reduce((sum, number, k) => sum + number * query[k]!, 0)]),
  );
  return [...vectors.keys()].sort((a, b) => products.get(b)! - products.get(a)! || (a < b ? -1 : 1));
}

async function nearest(index: NeighbourIndex, query: ArrayLike<number>, count: number): Promise<string[]> {
  const [found] = await index.nearest([query], count);
  return found!.map(({ id }) => id);
}

const vectors = numbered(1000, vector);

describe.each<[string, NeighbourOptions]>([
  ['without the engine', {}],
  ['through the engine', ENGINE],
])('%s', (_, options) => {
  it.each([0, 1, 10, 999, 1000, 5000])('finds the %d nearest, nearest first', async (count) => {
    const query = vector();
    expect(await nearest(indexOf(vectors, options), query, count)).toEqual(sorted(vectors, query).slice(0, count));
  });

  it('answers many queries at once, each its own', async () => {
    const queries = Array.from({ length: 20 }, vector);
    const found = await indexOf(vectors, options).nearest(queries, 7);
    expect(found.map((each) => each.map(({ id }) => id))).toEqual(
      queries.map((query) => sorted(vectors, query).slice(0, 7)),
    );
  });

  it('chooses where it is told, however few are there', async () => {
    const query = vector();
    const index = indexOf(vectors, options);
    for (const step of [2, 499]) {
      const where = (id: string) => Number(id.slice(1)) % step === 1;
      const [found] = await index.nearest([query], 10, where);
      expect(found!.map(({ id }) => id)).toEqual(sorted(vectors, query).filter(where).slice(0, 10));
    }
  });

  it('orders equal ones by id, so that a list is the same each time', async () => {
    const same = numbered(700, () => Float32Array.of(1, 2));
    expect(await nearest(indexOf(same, options), [1, 1], 40)).toEqual(sorted(same, [1, 1]).slice(0, 40));
  });

  it('tells apart what differs in the last bit', async () => {
    const near = numbered(900, (i) => Float32Array.of(0.7 + (i % 450) * 2 ** -24, -0.3, 0.5));
    const query = Float32Array.of(1, 0.5, -0.25);
    expect(await nearest(indexOf(near, options), query, 12)).toEqual(sorted(near, query).slice(0, 12));
  });

  it.each([
    ['zeros', () => new Float32Array(3)],
    ['one number that dwarfs the others', (i: number) => Float32Array.of(i % 7 ? 1 : 1e6, i / 1e3, -i)],
    ['tiny numbers', (i: number) => Float32Array.of(i * 1e-30, 1e-30, -i * 1e-31)],
    ['lengths from nothing to a million', (i: number) => Float32Array.of(10 ** (i % 13) / 1e6, -i, 1)],
    ['a common part that dwarfs what differs', (i: number) => Float32Array.of(1000, 1000 + (i % 30) / 1e3, i / 1e4)],
  ])('is exact among %s', async (_, make) => {
    const odd = numbered(400, make);
    for (const query of [
      [1, -2, 0.5],
      [0, 0, 0],
      [1e-3, 1e3, 1],
      [1000, -1000, 1],
    ]) {
      expect(await nearest(indexOf(odd, options), query, 15)).toEqual(sorted(odd, query).slice(0, 15));
    }
  });

  it('finds what was replaced, added and deleted since it last looked', async () => {
    const now: Vectors = new Map(vectors);
    const index = indexOf(now, options.mostChanged === 0 ? { ...options, mostChanged: 100 } : options);
    const query = vector();
    for (let round = 0; round < 12; round++) {
      for (let change = 0; change < 20; change++) {
        const id = `v${random.int(2) ? random.int(40) : 980 + random.int(120)}`; // again and again the same
        if (random.int(3) === 0) {
          now.delete(id);
          index.delete(id);
        } else {
          // Beside the query: a stale product would be seen.
          now.set(
            id,
            query.map((x) => x * random.uniform()),
          );
          index.set(id, now.get(id)!);
        }
      }
      expect(index.size).toBe(now.size);
      expect(await nearest(index, query, 30)).toEqual(sorted(now, query).slice(0, 30));
    }
    for (const id of now.keys()) index.delete(id);
    expect(await nearest(index, query, 30)).toEqual([]);
  });
});

it('is exact while vectors change, for those that do not', async () => {
  const host = new SessionHost();
  const index = indexOf(vectors, { blockRows: 300, mostChanged: 20, host });
  const query = vector();
  const still = new Map([...vectors].filter(([id]) => Number(id.slice(1)) % 2 === 0));
  const expected = sorted(still, query).slice(0, 200); // more than a block is asked for at once
  let searching = true;
  const changing = (async () => {
    while (searching) {
      for (let i = 0; i < 50; i++) index.set(`v${2 * random.int(500) + 1}`, vector());
      await new Promise(setImmediate);
    }
  })();
  const search = async () => {
    for (let round = 0; round < 6; round++) {
      const [found] = await index.nearest([query], 200, (id) => still.has(id));
      expect(found!.map(({ id }) => id)).toEqual(expected);
    }
  };
  await Promise.all([search(), search(), search()]);
  searching = false;
  await changing;
  await host.close();
});

it('bounds every product, and hardly above it', async () => {
  const rows = Array.from({ length: 500 }, () => Float32Array.from({ length: 120 }, () => 3 + random.normal()));
  const quantised = await QuantisedRows.open({ count: 500, dimensions: 120, row: (place) => rows[place]! });
  const query = Float32Array.from({ length: 120 }, () => random.normal());
  const [{ rows: places, bounds }] = (await quantised.bounds([query], 500)) as [
    Awaited<ReturnType<typeof quantised.bounds>>[0],
  ];
  expect([...places].sort((a, b) => a - b)).toEqual([...rows.keys()]);
  for (const [i, place] of places.entries()) {
    const product = rows[place]!.reduce((sum, x, k) => sum + x * query[k]!, 0);
    expect(bounds[i]).toBeGreaterThanOrEqual(product);
    expect(bounds[i]).toBeLessThan(product + 5); // half the deviation of a product
  }
  await quantised.close();
});

it('counts what it and the engine hold', () => {
  expect(new NeighbourIndex(DIMENSIONS).byteLength).toBeGreaterThan(0);
  expect(indexOf(vectors).byteLength).toBeGreaterThanOrEqual(1000 * DIMENSIONS * (4 + 1));
});

it('replaces the vector of an id', async () => {
  const changed = new NeighbourIndex(1);
  changed.set('a', [1]);
  changed.set('a', [3]);
  expect(changed.size).toBe(1);
  expect(await changed.nearest([[1]], 9)).toEqual([[{ id: 'a', product: 3 }]]);
});

it('refuses a vector of another length', () => {
  expect(() => indexOf(vectors).set('x', [1, 2])).toThrow('A vector of 2 numbers does not fit an index of 8.');
});
