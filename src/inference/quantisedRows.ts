/**
 * Rows of numbers in eight bits, inside the engine: for any query, upper bounds of its inner products with them, the
 * greatest first. A bound is proven, not estimated, so that whoever reckons the products of the rows with the greatest
 * bounds, until the next bound is below what was found, has found the greatest products of all.
 *
 * A row v is c + w, c the mean of all; w is s n + r, n whole numbers of at most ±64. A query q is α c + p, p at right
 * angles to c; p is p̂ + r′, p̂ in 16 bits. Then ⟨q, v⟩ = ⟨q, c⟩ + α ⟨c, w⟩ + s ⟨p̂, n⟩ + ⟨p̂, r⟩ + ⟨r′, w⟩, where the
 * last two are at most ‖p‖ ‖r‖ + ‖r′‖ ‖w‖ or so (Cauchy and Schwarz). The mean is taken out because vectors that have
 * much in common would else spend their eight bits on that.
 */
import { setImmediate } from 'node:timers/promises';
import { add, cast, Graph, greatest, matMulInteger, multiply, reshape, split } from '../onnx/index.ts';
import { openSession, type Session, type Tensor } from './session.ts';
import type { SessionHost } from './sessionHost.ts';

/** Of a number of a row, rounded to 64 at most: beyond that, some processors add up wrongly (`matMulInteger`). */
const MOST_QUANTISED = 63.99;
/** Of each of the two bytes of a query's number, which lies around 128. */
const MOST_OF_QUERY = 127;
/** Rounding in single precision, relative to the lengths: some ten steps of 6·10⁻⁸ each. */
const ROUNDING = 1e-6;
/** What single precision may take for nothing. */
const UNDERFLOW = 1e-30;
/** Numbers a row: sums of more products of two bytes would not be exact as single floats. */
const MOST_DIMENSIONS = 1_024;
/** Rows turned into columns together, so that memory is written in runs. */
const TILE = 64;
/** Rows quantised before others may have the thread: some 2 ms. */
const ROWS_A_SLICE = 8 * TILE;
/** Queries of one run: the bounds of 65,536 rows take 2 MB. */
const MOST_QUERIES = 8;

/** The rows with the greatest bounds, greatest first. */
export interface Bounds {
  readonly rows: Int32Array;
  /** No product of that row with the query is above this. */
  readonly bounds: Float64Array;
}

/** What is quantised, or quantised again if the engine's thread died: rows that changed since may differ. */
export interface Rows {
  readonly count: number;
  readonly dimensions: number;
  /** A view that is read at once. */
  row(place: number): Float32Array;
}

/** Memory of a row in the engine. */
export const bytesOfRow = (dimensions: number): number => dimensions + 3 * Float32Array.BYTES_PER_ELEMENT;

export class QuantisedRows {
  readonly count: number;
  readonly #centre: Centre;
  readonly #session: Session;

  private constructor({ count }: Rows, centre: Centre, session: Session) {
    this.count = count;
    this.#centre = centre;
    this.#session = session;
  }

  /** @param host whose thread holds and runs them; the caller's own, if left out */
  static async open(rows: Rows, host?: SessionHost): Promise<QuantisedRows> {
    if (rows.dimensions > MOST_DIMENSIONS) {
      throw new RangeError(`Rows of ${rows.dimensions} numbers: at most ${MOST_DIMENSIONS} can be quantised.`);
    }
    const centre = await centreOf(rows);
    const graph = () => boundsGraph(rows, centre);
    return new QuantisedRows(rows, centre, await (host ? host.open(graph) : openSession(graph)));
  }

  /** For each query, the `most` rows whose products may be greatest. */
  async bounds(queries: readonly ArrayLike<number>[], most: number): Promise<Bounds[]> {
    const found: Bounds[] = [];
    for (let start = 0; start < queries.length; start += MOST_QUERIES) {
      found.push(...(await this.#run(queries.slice(start, start + MOST_QUERIES), Math.min(most, this.count))));
    }
    return found;
  }

  async #run(queries: readonly ArrayLike<number>[], most: number): Promise<Bounds[]> {
    const cut = new CutQueries(queries, this.#centre);
    const feeds = {
      ...cut.tensors,
      most: { dtype: 'int64', dims: [1], data: BigInt64Array.of(BigInt(most)) },
    } as const;
    const { bounds, rows } = await this.#session.run(feeds, ['bounds', 'rows'], { give: true });
    return queries.map((_, i) => ({
      rows: (rows!.data as Int32Array).subarray(i * most, (i + 1) * most),
      bounds: Float64Array.from(
        (bounds!.data as Float32Array).subarray(i * most, (i + 1) * most),
        (bound) => bound + cut.added[i]!,
      ),
    }));
  }

  close(): Promise<void> {
    return this.#session.close();
  }
}

/** c, and the greatest |⟨c, w⟩| of a row. */
interface Centre {
  readonly mean: Float64Array;
  readonly greatestOffset: number;
}

/** Queries as the graph takes them: two bytes a number, p = scale₁ n₁ + scale₂ n₂ + r′. */
class CutQueries {
  readonly tensors: Record<'query' | 'scales' | 'lengths' | 'shares', Tensor>;
  /** Of each query, what is the same for all rows: ⟨q, c⟩, and the slack for rounding α ⟨c, w⟩. */
  readonly added: number[];

  constructor(queries: readonly ArrayLike<number>[], { mean, greatestOffset }: Centre) {
    const size = mean.length;
    const bytes = new Uint8Array(2 * queries.length * size);
    const scales = new Float32Array(2 * queries.length);
    const lengths = new Float32Array(queries.length);
    const shares = new Float32Array(queries.length);
    const square = mean.reduce((sum, c) => sum + c * c, 0);
    this.added = queries.map((query, i) => {
      const ofMean = mean.reduce((sum, c, k) => sum + c * query[k]!, 0);
      const share = square > 0 ? Math.fround(ofMean / square) : 0;
      const rest = mean.map((c, k) => query[k]! - share * c);
      shares[i] = share;
      lengths[i] = Math.hypot(...rest) * (1 + ROUNDING);
      for (const part of [2 * i, 2 * i + 1])
        scales[part] = cutOff(rest, bytes.subarray(part * size, (part + 1) * size));
      return ofMean + ROUNDING * Math.abs(share) * greatestOffset;
    });
    this.tensors = {
      query: { dtype: 'uint8', dims: [queries.length, 2, size], data: bytes },
      scales: { dtype: 'float32', dims: [queries.length, 2, 1], data: scales },
      lengths: { dtype: 'float32', dims: [queries.length, 1], data: lengths },
      shares: { dtype: 'float32', dims: [queries.length, 1], data: shares },
    };
  }
}

/** Takes from `rest` what a byte a number holds of it; returns the scale of the bytes. */
function cutOff(rest: Float64Array, bytes: Uint8Array): number {
  const scale = Math.fround(rest.reduce((most, x) => Math.max(most, Math.abs(x)), 0) / MOST_OF_QUERY);
  for (const [k, x] of rest.entries()) {
    const whole = scale > 0 ? Math.max(-MOST_OF_QUERY, Math.min(MOST_OF_QUERY, Math.round(x / scale))) : 0;
    bytes[k] = 128 + whole;
    rest[k] = x - scale * whole;
  }
  return scale;
}

async function centreOf({ count, dimensions, row }: Rows): Promise<Centre> {
  const mean = new Float64Array(dimensions);
  let longest = 0;
  for (let place = 0; place < count; place++) {
    if (place % ROWS_A_SLICE === 0) await setImmediate();
    const numbers = row(place);
    let squares = 0;
    for (let k = 0; k < dimensions; k++) {
      mean[k]! += numbers[k]! / count;
      squares += numbers[k]! ** 2;
    }
    longest = Math.max(longest, squares);
  }
  const length = Math.hypot(...mean);
  return { mean, greatestOffset: length * (Math.sqrt(longest) + length) };
}

/**
 * query (queries, 2, numbers) of uint8, scales (queries, 2, 1), lengths and shares (queries, 1), most (1) → bounds
 * (queries, most) without what is the same for all rows, rows (queries, most).
 */
async function boundsGraph(rows: Rows, { mean }: Centre): Promise<Uint8Array> {
  const { count, dimensions } = rows;
  const { numbers, scales, offsets, spreads } = await quantise(rows, mean);
  const graph = new Graph('bounds');
  const constant = (name: string, data: Float32Array) => graph.constant(name, [1, count], data);
  const columns = graph.constant('rows.numbers', [dimensions, count], numbers, 'int8');
  const query = graph.input('query', ['queries', 2, dimensions], 'uint8');
  const parts = cast(matMulInteger(query, columns, 128), 'float32');
  const [high, low] = split(multiply(parts, graph.input('scales', ['queries', 2, 1])), 1, [1, 1]);
  const byQuery = reshape(add(high!, low!), ['queries', count]); // a sum over the axis takes ten times as long
  const products = multiply(byQuery, constant('rows.scales', scales));
  const slack = multiply(graph.input('lengths', ['queries', 1]), constant('rows.spreads', spreads));
  const offset = multiply(graph.input('shares', ['queries', 1]), constant('rows.offsets', offsets));
  const bounds = add(add(products, offset), slack);
  const { values, places } = greatest(bounds, graph.input('most', [1], 'int64'));
  graph.output('bounds', values);
  graph.output('rows', places);
  return graph.toBytes();
}

/** n, a column a row; of each row s, ⟨c, w⟩ and what ‖q − c‖ is multiplied by for the slack. */
async function quantise({ count, dimensions, row }: Rows, mean: Float64Array) {
  const numbers = new Int8Array(count * dimensions);
  const [scales, offsets, spreads] = [new Float32Array(count), new Float32Array(count), new Float32Array(count)];
  // ‖r′‖ / ‖q − c‖ at most: each number of a query is cut to half a step of its second byte.
  const ofQuery = Math.sqrt(dimensions) / (4 * MOST_OF_QUERY ** 2);
  const w = new Float64Array(dimensions);
  const tile = new Int8Array(TILE * dimensions);
  for (let start = 0; start < count; start += TILE) {
    if (start % ROWS_A_SLICE === 0) await setImmediate();
    const end = Math.min(start + TILE, count);
    for (let place = start; place < end; place++) {
      const vector = row(place);
      let [most, squares, offset, rest] = [0, 0, 0, 0];
      for (let k = 0; k < dimensions; k++) {
        const x = vector[k]! - mean[k]!;
        w[k] = x;
        const size = x < 0 ? -x : x;
        if (size > most) most = size;
        squares += x * x;
        offset += mean[k]! * x;
      }
      const scale = Math.fround(most / MOST_QUANTISED) || 1;
      for (let k = 0; k < dimensions; k++) {
        const whole = Math.floor(w[k]! / scale + 0.5);
        const left = w[k]! - scale * whole;
        tile[(place - start) * dimensions + k] = whole;
        rest += left * left;
      }
      scales[place] = scale;
      offsets[place] = offset;
      const slack = (1 + ofQuery) * Math.sqrt(rest) + (ofQuery + ROUNDING) * Math.sqrt(squares);
      spreads[place] = slack * (1 + ROUNDING) + UNDERFLOW;
    }
    for (let k = 0; k < dimensions; k++) {
      const column = k * count + start;
      for (let j = 0; j < end - start; j++) numbers[column + j] = tile[j * dimensions + k]!;
    }
  }
  return { numbers, scales, offsets, spreads };
}
