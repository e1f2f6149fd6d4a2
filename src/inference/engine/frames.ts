/**
 * Messages between two processes over a pipe: a head in JSON, then the numbers of its typed arrays as they lie in memory.
 * They are written from where they are, and read into memory of their own: nothing is packed. Knows no message.
 *
 *     head's length (4 bytes) | {"message": …, "lengths": [bytes of each array]} | bytes of each array
 */
import type { Duplex } from 'node:stream';

const TYPES = { Float32Array, Uint16Array, BigInt64Array, Int32Array, Int8Array, Uint8Array };
type TypeName = keyof typeof TYPES;
/** What stands in a head for a typed array. */
interface Placeholder {
  readonly $array: number;
  readonly type: TypeName;
}
const PREFIX_BYTES = 4;

export function writeFrame(channel: Duplex, message: object): void {
  const arrays: Uint8Array[] = [];
  const packed = withPlaceholders(message, arrays);
  const head = JSON.stringify({ message: packed, lengths: arrays.map(({ byteLength }) => byteLength) });
  const prefix = Buffer.alloc(PREFIX_BYTES);
  prefix.writeUInt32LE(Buffer.byteLength(head));
  channel.cork(); // one call of the system for all of it
  channel.write(prefix);
  channel.write(Buffer.from(head));
  for (const array of arrays) if (array.byteLength > 0) channel.write(array);
  channel.uncork();
}

/** Calls `take` with each message as it is whole. */
export function readFrames<Message>(channel: Duplex, take: (message: Message) => void): void {
  let frame = new IncomingFrame();
  channel.on('data', (chunk: Buffer) => {
    for (let at = 0; at < chunk.length; ) {
      at += frame.fill(chunk, at);
      if (!frame.isWhole) continue;
      take(frame.message() as Message);
      frame = new IncomingFrame();
    }
  });
}

interface Head {
  readonly message: unknown;
  readonly lengths: readonly number[];
}

class IncomingFrame {
  /** What is being filled: the prefix, the head, then each array. */
  #part: Uint8Array = new Uint8Array(PREFIX_BYTES);
  #filled = 0;
  #hasPrefix = false;
  #head: Head | null = null;
  readonly #arrays: Uint8Array[] = [];
  isWhole = false;

  /** Takes what it needs of the chunk from there on; answers how much. */
  fill(chunk: Buffer, at: number): number {
    const count = Math.min(chunk.length - at, this.#part.length - this.#filled);
    this.#part.set(chunk.subarray(at, at + count), this.#filled);
    this.#filled += count;
    if (this.#filled === this.#part.length) this.#next();
    return count;
  }

  message(): unknown {
    return withArrays(this.#head!.message, this.#arrays);
  }

  #next(): void {
    const part = Buffer.from(this.#part.buffer);
    if (this.#head) this.#arrays.push(this.#part);
    else if (this.#hasPrefix) this.#head = JSON.parse(part.toString()) as Head;
    const next = this.#hasPrefix ? this.#nextLength() : part.readUInt32LE();
    this.#hasPrefix = true;
    this.isWhole = next === undefined;
    this.#part = new Uint8Array(next ?? 0);
    this.#filled = 0;
  }

  /** Of the next array that has any bytes. */
  #nextLength(): number | undefined {
    const { lengths } = this.#head!;
    while (lengths[this.#arrays.length] === 0) this.#arrays.push(new Uint8Array());
    return lengths[this.#arrays.length];
  }
}

function withPlaceholders(value: unknown, arrays: Uint8Array[]): unknown {
  if (ArrayBuffer.isView(value)) {
    const $array = arrays.push(new Uint8Array(value.buffer, value.byteOffset, value.byteLength)) - 1;
    return { $array, type: value instanceof Uint8Array ? 'Uint8Array' : value.constructor.name };
  }
  return mapped(value, (inner) => withPlaceholders(inner, arrays));
}

function withArrays(value: unknown, arrays: readonly Uint8Array[]): unknown {
  if (!isPlaceholder(value)) return mapped(value, (inner) => withArrays(inner, arrays));
  const { buffer } = arrays[value.$array]!;
  return new TYPES[value.type](buffer as ArrayBuffer);
}

const isPlaceholder = (value: unknown): value is Placeholder =>
  typeof value === 'object' && value !== null && '$array' in value;

function mapped(value: unknown, change: (inner: unknown) => unknown): unknown {
  if (Array.isArray(value)) return value.map(change);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, change(inner)]));
}
