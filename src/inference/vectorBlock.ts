/**
 * Vectors in rows, and a copy of them in the engine that is made anew when too many have changed since. A search holds
 * the copy that it asks, and is told which rows have changed: however many searches and changes there are at once, a row
 * is either as the copy has it or among the changed. Knows no ids.
 */
import { type Bounds, bytesOfRow, QuantisedRows } from './quantisedRows.ts';
import type { SessionHost } from './sessionHost.ts';

/** A block begins with room for so many rows, and doubles it. */
const FIRST_ROOM = 256;

/** A block as one search sees it. */
export interface HeldBlock {
  /** Rows that the engine has. */
  readonly count: number;
  /** Rows that the engine knows nothing of, or something else. */
  changed(): Iterable<number>;
  hasChanged(row: number): boolean;
  /** For each query, rows that may have the greatest products with it. */
  bounds(queries: readonly ArrayLike<number>[], most: number): Promise<Bounds[]>;
  release(): void;
}

/** The engine's copy. */
interface Copy {
  readonly rows: QuantisedRows;
  readonly changed: Set<number>;
  searches: number;
}

export class VectorBlock {
  readonly #dimensions: number;
  readonly #room: number;
  readonly #host: SessionHost | undefined;
  #vectors: Float32Array;
  #count = 0;
  #copy: Copy | null = null;
  #copying: Promise<void> | null = null;
  /** Of every copy that is asked or being made, the rows that have changed since. */
  readonly #told = new Set<Set<number>>();

  /** @param room rows at most; @param host whose thread holds the copy, the caller's own, if left out */
  constructor(dimensions: number, room: number, host: SessionHost | undefined) {
    this.#dimensions = dimensions;
    this.#room = room;
    this.#host = host;
    this.#vectors = new Float32Array(Math.min(FIRST_ROOM, room) * dimensions);
  }

  /** Memory of the rows and of their copy, made yet or not. */
  get byteLength(): number {
    const room = this.#vectors.length / this.#dimensions;
    return this.#vectors.byteLength + room * bytesOfRow(this.#dimensions);
  }

  /** A view that is good until the next `set`. */
  row(row: number): Float32Array {
    return this.#vectors.subarray(row * this.#dimensions, (row + 1) * this.#dimensions);
  }

  set(row: number, vector: ArrayLike<number>): void {
    if ((row + 1) * this.#dimensions > this.#vectors.length) this.#grow();
    this.#vectors.set(vector, row * this.#dimensions);
    this.#count = Math.max(this.#count, row + 1);
    this.#tell(row);
  }

  clear(row: number): void {
    this.row(row).fill(0);
    this.#tell(row);
  }

  /** @param mostChanged rows that the search is ready to reckon without the engine: with more, the copy is made anew. */
  async hold(mostChanged: number): Promise<HeldBlock> {
    if ((this.#copy?.changed.size ?? this.#count) > mostChanged) await this.#makeCopy();
    const copy = this.#copy;
    if (!copy) return this.#withoutCopy();
    copy.searches += 1;
    return {
      count: copy.rows.count,
      changed: () => copy.changed,
      hasChanged: (row) => copy.changed.has(row),
      bounds: (queries, most) => copy.rows.bounds(queries, most),
      release: () => {
        copy.searches -= 1;
        this.#drop(copy);
      },
    };
  }

  close(): void {
    const copy = this.#copy;
    this.#copy = null;
    if (copy) this.#drop(copy);
  }

  #withoutCopy(): HeldBlock {
    return {
      count: 0,
      changed: () => Array(this.#count).keys(),
      hasChanged: () => true,
      bounds: async (queries) => queries.map(() => ({ rows: new Int32Array(), bounds: new Float64Array() })),
      release: () => {},
    };
  }

  /** However many ask at once, one copy is made. */
  #makeCopy(): Promise<void> {
    this.#copying ??= this.#replaceCopy().finally(() => {
      this.#copying = null;
    });
    return this.#copying;
  }

  async #replaceCopy(): Promise<void> {
    const changed = new Set<number>();
    this.#told.add(changed);
    try {
      const [count, dimensions] = [this.#count, this.#dimensions];
      const rows = await QuantisedRows.open({ count, dimensions, row: (row) => this.row(row) }, this.#host);
      const before = this.#copy;
      this.#copy = { rows, changed, searches: 0 };
      if (before) this.#drop(before);
    } catch (error) {
      this.#told.delete(changed);
      throw error;
    }
  }

  /** Closes a copy that another has replaced, once no search asks it any more. */
  #drop(copy: Copy): void {
    if (copy === this.#copy || copy.searches > 0) return;
    this.#told.delete(copy.changed);
    void copy.rows.close();
  }

  #tell(row: number): void {
    for (const changed of this.#told) changed.add(row);
  }

  #grow(): void {
    const grown = new Float32Array(Math.min(2 * this.#vectors.length, this.#room * this.#dimensions));
    grown.set(this.#vectors);
    this.#vectors = grown;
  }
}
