/**
 * Random numbers from a seed: the same on every machine, so that a training run, a split or an evaluation set can be
 * made again. Generators are named: `split` gives a stream that depends on the seed and the names alone, never on
 * what was drawn before, so adding a draw in one place moves no other. Not for secrets.
 */
import { PalateError } from './errors.ts';

export class Random {
  readonly #key: string;
  readonly #state: Uint32Array;
  #spareNormal: number | null = null;

  /** A stream of its own for each seed; a seed is any number or text. */
  constructor(seed: number | string) {
    this.#key = String(seed);
    this.#state = new Uint32Array([...hash96(this.#key), 1]);
    for (let i = 0; i < 12; i++) this.#next();
  }

  /** The stream of this seed and this name, however much was drawn here before. */
  split(name: number | string): Random {
    return new Random(`${this.#key}/${name}`);
  }

  /** A number in [0, 1), with 53 random bits. */
  uniform(): number {
    const high = this.#next() >>> 5;
    const low = this.#next() >>> 6;
    return (high * 0x4000000 + low) / 0x20000000000000;
  }

  /** A number in [low, high). */
  between(low: number, high: number): number {
    return low + (high - low) * this.uniform();
  }

  /** A standard normal number (Marsaglia's polar method). */
  normal(): number {
    if (this.#spareNormal !== null) {
      const spare = this.#spareNormal;
      this.#spareNormal = null;
      return spare;
    }
    for (;;) {
      const x = 2 * this.uniform() - 1;
      const y = 2 * this.uniform() - 1;
      const square = x * x + y * y;
      if (square >= 1 || square === 0) continue;
      const scale = Math.sqrt((-2 * Math.log(square)) / square);
      this.#spareNormal = y * scale;
      return x * scale;
    }
  }

  /** A whole number from 0 to `below` − 1. */
  int(below: number): number {
    if (!(Number.isSafeInteger(below) && below > 0)) {
      throw new PalateError('INVALID', `int(${below}) has nothing to draw from: ask for a whole number above 0.`);
    }
    return Math.floor(this.uniform() * below);
  }

  /** One of the items. */
  pick<T>(items: ArrayLike<T>): T {
    return items[this.int(items.length)]!;
  }

  /** `count` different items in random order. Throws when there are fewer. */
  choose<T>(items: ArrayLike<T>, count: number): T[] {
    if (count > items.length) {
      throw new PalateError('INVALID', `Cannot choose ${count} different items of ${items.length}.`);
    }
    const pool = Array.from(items);
    for (let i = 0; i < count; i++) {
      const j = i + this.int(pool.length - i);
      [pool[i], pool[j]] = [pool[j]!, pool[i]!];
    }
    pool.length = count;
    return pool;
  }

  /** The items in random order; the argument stays as it is. */
  shuffle<T>(items: ArrayLike<T>): T[] {
    return this.choose(items, items.length);
  }

  /** 32 bits of sfc32 (Chris Doty-Humphrey, PractRand). */
  #next(): number {
    const s = this.#state;
    const result = (s[0]! + s[1]! + s[3]!) >>> 0;
    s[3] = s[3]! + 1;
    s[0] = s[1]! ^ (s[1]! >>> 9);
    s[1] = s[2]! + (s[2]! << 3);
    s[2] = ((s[2]! << 21) | (s[2]! >>> 11)) + result;
    return result;
  }
}

/** A number in [0, 1) that depends on the text alone: where a thing falls in a split that is for good. */
export function hashFraction(text: string): number {
  return hash96(text)[0] / 0x100000000;
}

/** Three words of 32 bits from UTF-16 text: one multiplicative hash under three keys, each mixed as in MurmurHash3. */
function hash96(text: string): [number, number, number] {
  return [hash32(text, 0x9e3779b9), hash32(text, 0x243f6a88), hash32(text, 0xb7e15162)];
}

function hash32(text: string, key: number): number {
  let h = key ^ text.length;
  for (let i = 0; i < text.length; i++) {
    h = Math.imul(h ^ text.charCodeAt(i), 0x85ebca6b);
    h = (h << 13) | (h >>> 19);
  }
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
