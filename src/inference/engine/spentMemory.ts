/**
 * Memory that is used again: most of what it costs to take in a message is the system's finding of fresh pages for it.
 * Knows nothing of what lies in it.
 */

/** Of one piece, and of all that are kept: beyond them memory is given back to the system. */
const MOST_BYTES_OF_ONE = 8 * 2 ** 20;
const MOST_BYTES = 32 * 2 ** 20;
const LEAST_BYTES = 2 ** 12;

export class SpentMemory {
  readonly #pieces: ArrayBuffer[] = [];
  #bytes = 0;

  /** So many bytes or, at most, some times as many, with anything in them. */
  take(bytes: number): ArrayBuffer {
    if (bytes > MOST_BYTES_OF_ONE) return new ArrayBuffer(bytes);
    const room = Math.max(LEAST_BYTES, 2 ** Math.ceil(Math.log2(bytes)));
    const found = this.#pieces.findIndex(({ byteLength }) => byteLength === room);
    if (found < 0) return new ArrayBuffer(room);
    this.#bytes -= room;
    return this.#pieces.splice(found, 1)[0]!;
  }

  give(piece: ArrayBuffer): void {
    if (piece.byteLength > MOST_BYTES_OF_ONE || this.#bytes + piece.byteLength > MOST_BYTES) return;
    this.#pieces.push(piece);
    this.#bytes += piece.byteLength;
  }
}
