/**
 * Nearest vectors by inner product, exact. The engine passes over all of them in eight bits and gives upper bounds
 * (quantisedRows.ts); those that may be among the nearest are reckoned again from the numbers themselves, until no other
 * can be. Vectors that changed since the engine was given them, and few ones, are reckoned here without it. It knows
 * neither what the vectors are nor where they come from.
 */
import { setImmediate } from 'node:timers/promises';
import type { Bounds } from './quantisedRows.ts';
import type { SessionHost } from './sessionHost.ts';
import { type HeldBlock, VectorBlock } from './vectorBlock.ts';

export interface Neighbour {
  id: string;
  /** ⟨query, vector⟩. */
  product: number;
}

export interface NeighbourOptions {
  /** Whose thread runs the first pass; the caller's own, if left out. */
  readonly host?: SessionHost | undefined;
  /** Vectors that one session of the engine holds. */
  readonly blockRows?: number;
  /** Vectors that a search reckons without the engine, of all blocks together. */
  readonly mostChanged?: number;
}

/** The engine passes over so many in less than a millisecond, and takes them in within some 50. */
const BLOCK_ROWS = 65_536;
/** A search reckons so many of 120 numbers in 5 ms. */
const MOST_CHANGED = 16_384;
/** Memory of an index without vectors, and of a vector's id. */
const BYTES_OF_NOTHING = 1_024;
const BYTES_OF_ID = 128;
/** Rows asked of a block beyond its share of the nearest, and how many times as many where those were too few. */
const ROWS_MORE = 32;
const TIMES_MORE = 4;

/** Vectors of one length under ids, added one by one. */
export class NeighbourIndex {
  readonly dimensions: number;
  readonly #host: SessionHost | undefined;
  readonly #blockRows: number;
  readonly #mostChanged: number;
  readonly #rows = new Map<string, number>();
  /** By row; null where it was deleted. */
  readonly #ids: (string | null)[] = [];
  readonly #free: number[] = [];
  readonly #blocks: VectorBlock[] = [];

  constructor(dimensions: number, { host, blockRows, mostChanged }: NeighbourOptions = {}) {
    this.dimensions = dimensions;
    this.#host = host;
    this.#blockRows = blockRows ?? BLOCK_ROWS;
    this.#mostChanged = mostChanged ?? MOST_CHANGED;
  }

  get size(): number {
    return this.#rows.size;
  }

  /** Memory of the vectors, here and in the engine, and, roughly, their ids. */
  get byteLength(): number {
    return this.#blocks.reduce(
      (sum, block) => sum + block.byteLength,
      BYTES_OF_NOTHING + this.#ids.length * BYTES_OF_ID,
    );
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
    return row === undefined ? undefined : this.#block(row).row(row % this.#blockRows);
  }

  /** Adds a vector or replaces the one under that id. Throws RangeError where its length is another. */
  set(id: string, vector: ArrayLike<number>): void {
    if (vector.length !== this.dimensions) {
      throw new RangeError(`A vector of ${vector.length} numbers does not fit an index of ${this.dimensions}.`);
    }
    const row = this.#rows.get(id) ?? this.#newRow(id);
    this.#block(row).set(row % this.#blockRows, vector);
  }

  /** Forgets the vector under an id; nothing happens where there is none. */
  delete(id: string): void {
    const row = this.#rows.get(id);
    if (row === undefined) return;
    this.#block(row).clear(row % this.#blockRows);
    this.#rows.delete(id);
    this.#ids[row] = null;
    this.#free.push(row);
  }

  /**
   * For each query, the `count` ids whose vectors have the greatest inner product with it, greatest first; equal ones by
   * id. What is set or deleted meanwhile is in it or not.
   *
   * @param where which ids to choose from; all of them, if left out
   */
  async nearest(
    queries: readonly ArrayLike<number>[],
    count: number,
    where: (id: string) => boolean = () => true,
  ): Promise<Neighbour[][]> {
    if (count <= 0 || this.size === 0) return queries.map(() => []);
    const mostChanged = this.#mostChanged / this.#blocks.length;
    const blocks: HeldBlock[] = [];
    try {
      for (const block of [...this.#blocks]) blocks.push(await block.hold(mostChanged));
      const most = Math.ceil((2 * count) / blocks.length) + ROWS_MORE;
      const bounds = await Promise.all(blocks.map((block) => block.bounds(queries, most)));
      const nearest: Neighbour[][] = [];
      for (const [q, query] of queries.entries()) {
        const ofQuery = bounds.map((ofBlock) => ofBlock[q]!);
        nearest.push(await this.#settle({ query, count, where }, blocks, ofQuery));
        await setImmediate(); // a query takes some milliseconds: whoever else waits goes first
      }
      return nearest;
    } finally {
      for (const block of blocks) block.release();
    }
  }

  /** Reckons products until no other can be among the greatest, asking the engine for more bounds where they run out. */
  async #settle(search: Search, blocks: readonly HeldBlock[], bounds: Bounds[]): Promise<Neighbour[]> {
    for (;;) {
      const best = new Greatest(search.count);
      for (const [b, block] of blocks.entries()) for (const row of block.changed()) this.#try(search, best, b, row);
      const short = [...blocks.keys()].filter((b) => !this.#tryWhileBounded(search, best, b, blocks[b]!, bounds[b]!));
      if (short.length === 0) return best.found;
      const more = short.map((b) => blocks[b]!.bounds([search.query], bounds[b]!.rows.length * TIMES_MORE));
      for (const [i, [found]] of (await Promise.all(more)).entries()) bounds[short[i]!] = found!;
    }
  }

  /** Whether no row beyond those given can be among the greatest. */
  #tryWhileBounded(search: Search, best: Greatest, b: number, block: HeldBlock, { rows, bounds }: Bounds): boolean {
    for (const [i, row] of rows.entries()) {
      if (bounds[i]! < best.least) return true;
      if (!block.hasChanged(row)) this.#try(search, best, b, row);
    }
    return rows.length === block.count || bounds.at(-1)! < best.least;
  }

  #try({ query, where }: Search, best: Greatest, b: number, row: number): void {
    const id = this.#ids[b * this.#blockRows + row];
    if (id && where(id)) best.add({ id, product: dot(this.#blocks[b]!.row(row), query) });
  }

  #block(row: number): VectorBlock {
    return this.#blocks[Math.floor(row / this.#blockRows)]!;
  }

  #newRow(id: string): number {
    const row = this.#free.pop() ?? this.#ids.length;
    this.#ids[row] = id;
    this.#rows.set(id, row);
    if (row >= this.#blocks.length * this.#blockRows) {
      this.#blocks.push(new VectorBlock(this.dimensions, this.#blockRows, this.#host));
    }
    return row;
  }
}

/** What is looked for. */
interface Search {
  readonly query: ArrayLike<number>;
  readonly count: number;
  readonly where: (id: string) => boolean;
}

/** The greatest products so far, greatest first. */
class Greatest {
  readonly found: Neighbour[] = [];
  readonly #count: number;

  constructor(count: number) {
    this.#count = count;
  }

  /** A product below this is not among them. */
  get least(): number {
    return this.found.length < this.#count ? Number.NEGATIVE_INFINITY : this.found.at(-1)!.product;
  }

  add(neighbour: Neighbour): void {
    if (neighbour.product < this.least) return;
    let [low, high] = [0, this.found.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (greatestFirst(this.found[middle]!, neighbour) < 0) low = middle + 1;
      else high = middle;
    }
    this.found.splice(low, 0, neighbour);
    if (this.found.length > this.#count) this.found.pop();
  }
}

const greatestFirst = (a: Neighbour, b: Neighbour) => b.product - a.product || (a.id < b.id ? -1 : 1);

function dot(a: Float32Array, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}
