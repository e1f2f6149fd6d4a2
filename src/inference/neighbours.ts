/**
 * Nearest vectors by inner product, exact: a scan of one flat array, which memory bandwidth alone bounds (10 ms for
 * 100,000 vectors of 80 numbers). It knows neither what the vectors are nor where they come from.
 */

export interface Neighbour {
  id: string;
  /** ⟨query, vector⟩. */
  product: number;
}

/** Vectors of one length under ids, added one by one. */
export class NeighbourIndex {
  readonly dimensions: number;
  readonly #rows = new Map<string, number>();
  readonly #ids: string[] = [];
  #vectors: Float32Array; // (capacity, dimensions), row after row

  constructor(dimensions: number) {
    this.dimensions = dimensions;
    this.#vectors = new Float32Array(256 * dimensions);
  }

  get size(): number {
    return this.#ids.length;
  }

  /** Memory of the vectors and, roughly, their ids. */
  get byteLength(): number {
    return this.#vectors.byteLength + this.#ids.length * 128;
  }

  ids(): Iterable<string> {
    return this.#rows.keys();
  }

  has(id: string): boolean {
    return this.#rows.has(id);
  }

  /** The vector under an id, as a view that is good until the next `set` or `delete`. */
  get(id: string): Float32Array | undefined {
    const row = this.#rows.get(id);
    return row === undefined ? undefined : this.#row(row);
  }

  /** Adds a vector or replaces the one under that id. Throws RangeError where its length is another. */
  set(id: string, vector: ArrayLike<number>): void {
    if (vector.length !== this.dimensions) {
      throw new RangeError(`A vector of ${vector.length} numbers does not fit an index of ${this.dimensions}.`);
    }
    const row = this.#rows.get(id) ?? this.#append(id);
    this.#vectors.set(vector, row * this.dimensions);
  }

  /** Forgets the vector under an id; nothing happens where there is none. */
  delete(id: string): void {
    const row = this.#rows.get(id);
    if (row === undefined) return;
    const last = this.#ids.length - 1;
    this.#vectors.copyWithin(row * this.dimensions, last * this.dimensions, (last + 1) * this.dimensions);
    this.#vectors.fill(0, last * this.dimensions, (last + 1) * this.dimensions);
    this.#ids[row] = this.#ids[last]!;
    this.#rows.set(this.#ids[row], row);
    this.#ids.pop();
    this.#rows.delete(id);
  }

  /**
   * The `count` ids whose vectors have the greatest inner product with the query, greatest first; equal ones by id.
   *
   * @param among the ids to choose from, those without a vector passed over; all of them if left out.
   */
  nearest(query: ArrayLike<number>, count: number, among?: Iterable<string>): Neighbour[] {
    if (count <= 0) return [];
    const found: Neighbour[] = [];
    for (const id of among ?? this.#ids) {
      const row = this.#rows.get(id);
      if (row !== undefined) found.push({ id, product: dot(this.#row(row), query) });
    }
    if (found.length > count) {
      // Sorting plain numbers is much faster than sorting records: find the last product that is in, keep those.
      const products = Float64Array.from(found, (neighbour) => neighbour.product).sort();
      const least = products[products.length - count]!;
      return found
        .filter((neighbour) => neighbour.product >= least)
        .sort(greatestFirst)
        .slice(0, count);
    }
    return found.sort(greatestFirst);
  }

  #row(row: number): Float32Array {
    return this.#vectors.subarray(row * this.dimensions, (row + 1) * this.dimensions);
  }

  #append(id: string): number {
    const row = this.#ids.push(id) - 1;
    this.#rows.set(id, row);
    if ((row + 1) * this.dimensions > this.#vectors.length) {
      const grown = new Float32Array(this.#vectors.length * 2);
      grown.set(this.#vectors);
      this.#vectors = grown;
    }
    return row;
  }
}

const greatestFirst = (a: Neighbour, b: Neighbour) => b.product - a.product || (a.id < b.id ? -1 : 1);

function dot(a: Float32Array, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}
