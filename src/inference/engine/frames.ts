/**
 * Messages between two processes over a pipe: a head in JSON, then the numbers of its typed arrays as they lie in memory.
 * They are written from where they are and read to where they stay: nothing is packed. Where there is room in an area that
 * both have, they go through it. Knows no message.
 *
 *     bytes of the head, bytes of the body, where in the area it lies (4 each, the last all ones where it follows)
 *     {"$array": [type, offset, length], …}
 *     arrays, each at a multiple of 8
 */
import type { Duplex } from 'node:stream';
import type { SharedArea } from './sharedArea.ts';

const TYPES = { Float32Array, Uint16Array, BigInt64Array, Int32Array, Int8Array, Uint8Array };
type TypeName = keyof typeof TYPES;
/** What stands in a head for a typed array: its type, where it begins in the body, how many elements it has. */
interface Placeholder {
  readonly $array: readonly [TypeName, number, number];
}
const PREFIX_BYTES = 12;
/** Where a body that follows its head lies. */
const FOLLOWS = 0xffffffff;
/** What is smaller goes through the pipe. */
const LEAST_SHARED_BYTES = 16_384;
/** No typed array begins elsewhere. */
const ALIGNMENT = 8;
const PADDING = Buffer.alloc(ALIGNMENT);

/** Answers where in the area its arrays lie, to be freed once they were read; null where they lie elsewhere. */
export function writeFrame(channel: Duplex, message: object, area: SharedArea | null = null): number | null {
  const body = new OutgoingBody();
  const head = Buffer.from(JSON.stringify(withPlaceholders(message, body)));
  const place = area && body.length >= LEAST_SHARED_BYTES ? area.put(body.pieces, body.length) : null;
  const prefix = Buffer.alloc(PREFIX_BYTES);
  prefix.writeUInt32LE(head.length);
  prefix.writeUInt32LE(body.length, 4);
  prefix.writeUInt32LE(place ?? FOLLOWS, 8);
  channel.cork(); // one call of the system for all of it
  for (const bytes of [prefix, head, ...(place === null ? body.pieces : [])]) channel.write(bytes);
  channel.uncork();
  return place;
}

class OutgoingBody {
  readonly pieces: Uint8Array[] = [];
  length = 0;

  /** Answers where it begins. */
  add({ buffer, byteOffset, byteLength }: ArrayBufferView): number {
    const start = this.length;
    if (byteLength > 0) this.pieces.push(new Uint8Array(buffer, byteOffset, byteLength));
    const padding = -byteLength & (ALIGNMENT - 1);
    if (padding > 0) this.pieces.push(PADDING.subarray(0, padding));
    this.length += byteLength + padding;
    return start;
  }
}

type Part = 'prefix' | 'head' | 'body';

/** Takes bytes as they come, and gives each message as it is whole. Its arrays lie together in one piece of memory. */
export class FrameReader<Message> {
  readonly #take: (message: Message) => void;
  readonly #memory: (bytes: number) => ArrayBuffer;
  readonly #area: SharedArea | null;
  #part: Part = 'prefix';
  #target: Uint8Array = new Uint8Array(PREFIX_BYTES);
  #filled = 0;
  #bodyBytes = 0;
  #place = FOLLOWS;
  #head: unknown;

  /**
   * @param memory for the arrays of one message: so many bytes or more
   * @param area that the other process puts arrays into
   */
  constructor(
    take: (message: Message) => void,
    memory = (bytes: number) => new ArrayBuffer(bytes),
    area: SharedArea | null = null,
  ) {
    this.#take = take;
    this.#memory = memory;
    this.#area = area;
  }

  /** Where the next bytes belong, as many as fit. */
  get space(): Uint8Array {
    return this.#target.subarray(this.#filled);
  }

  /** So many bytes were put there. */
  advance(count: number): void {
    this.#filled += count;
    if (this.#filled === this.#target.length) this.#next();
  }

  /** For who has the bytes elsewhere. */
  push(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length; ) {
      const some = chunk.subarray(at, at + this.space.length);
      this.space.set(some);
      this.advance(some.length);
      at += some.length;
    }
  }

  #next(): void {
    const buffer = this.#target.buffer as ArrayBuffer;
    if (this.#part === 'prefix') {
      const [headBytes, bodyBytes, place] = new Uint32Array(buffer);
      this.#bodyBytes = bodyBytes!;
      this.#place = place!;
      this.#fill('head', new Uint8Array(headBytes!));
      return;
    }
    if (this.#part === 'head') this.#head = JSON.parse(Buffer.from(buffer).toString());
    let arrays = buffer;
    if (this.#part === 'head' && this.#bodyBytes > 0) {
      const body = new Uint8Array(this.#memory(this.#bodyBytes), 0, this.#bodyBytes);
      if (this.#place === FOLLOWS) {
        this.#fill('body', body);
        return;
      }
      this.#area!.read(this.#place, body);
      arrays = body.buffer as ArrayBuffer;
    }
    this.#fill('prefix', new Uint8Array(PREFIX_BYTES));
    this.#take(withArrays(this.#head, arrays) as Message);
  }

  #fill(part: Part, target: Uint8Array): void {
    this.#part = part;
    this.#target = target;
    this.#filled = 0;
  }
}

function withPlaceholders(value: unknown, body: OutgoingBody): unknown {
  if (!ArrayBuffer.isView(value)) return mapped(value, (inner) => withPlaceholders(inner, body));
  const type = value instanceof Uint8Array ? 'Uint8Array' : value.constructor.name;
  return { $array: [type, body.add(value), (value as Uint8Array).length] };
}

function withArrays(value: unknown, body: ArrayBuffer): unknown {
  if (!isPlaceholder(value)) return mapped(value, (inner) => withArrays(inner, body));
  const [type, offset, length] = value.$array;
  return length > 0 ? new TYPES[type](body, offset, length) : new TYPES[type]();
}

const isPlaceholder = (value: unknown): value is Placeholder =>
  typeof value === 'object' && value !== null && '$array' in value;

function mapped(value: unknown, change: (inner: unknown) => unknown): unknown {
  if (Array.isArray(value)) return value.map(change);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, change(inner)]));
}
