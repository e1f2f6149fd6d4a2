/** A file of a known size, read anywhere; one that is not large is held in memory, since training reads it many times. */
import { closeSync, fstatSync, openSync, readFileSync, readSync } from 'node:fs';
import { PalateError } from '../../errors.ts';

/** Some 300,000 images' item vectors; a larger file is read where it is needed. */
const HELD_BYTES = 128 * 1024 * 1024;

export class WholeFile {
  readonly #file: number;
  readonly #held: Buffer | null;

  /**
   * Throws BAD_USER_INPUT, naming the file, where its size is another.
   * @param mostHeld bytes of a file that is held in memory
   */
  constructor(path: string, bytes: number, mostHeld = HELD_BYTES) {
    this.#file = openSync(path, 'r');
    const { size } = fstatSync(this.#file);
    if (size !== bytes) {
      closeSync(this.#file);
      throw new PalateError('BAD_USER_INPUT', `${path} has ${size} bytes where ${bytes} are expected.`);
    }
    this.#held = size <= mostHeld ? readFileSync(this.#file) : null;
  }

  /** Bytes of their own buffer, so that typed arrays may lie over them. */
  read(position: number, length: number): Buffer {
    const bytes = Buffer.from(new ArrayBuffer(length));
    if (this.#held) {
      if (position + length > this.#held.length) throw tooEarly();

      this.#held.copy(bytes, 0, position, position + length);
      return bytes;
    }
    for (let at = 0; at < length; ) {
      const got = readSync(this.#file, bytes, at, length - at, position + at);
      if (got === 0) throw tooEarly();
      at += got;
    }
    return bytes;
  }

  close(): void {
    closeSync(this.#file);
  }
}

const tooEarly = () => new PalateError('BAD_USER_INPUT', 'A file of the snapshot ends too early.');
