/**
 * An area of memory that two processes have: a file in memory without a name. One puts bytes there and says where, the
 * other reads them from there: a pipe takes a fraction of a message at a time, and both would be woken for each. Only one
 * of the two puts; what it puts stays until it is freed. Knows no message.
 */
import { randomUUID } from 'node:crypto';
import { closeSync, ftruncateSync, openSync, readSync, unlinkSync, writevSync } from 'node:fs';

/** Linux keeps files of this folder in memory. */
const FOLDER = '/dev/shm';
/** Room is taken as it is used. */
const AREA_BYTES = 64 * 2 ** 20;
/** Regions begin at a page's beginning. */
const PAGE_BYTES = 4_096;

interface Region {
  readonly start: number;
  readonly end: number;
}

export class SharedArea {
  /** For the other process to have too. */
  readonly file: number;
  /** In use, by where they begin. */
  readonly #regions: Region[] = [];

  constructor(file: number) {
    this.file = file;
  }

  /** Null where the system has no such files. */
  static create(): SharedArea | null {
    const path = `${FOLDER}/palate-${randomUUID()}`;
    try {
      const file = openSync(path, 'wx+', 0o600);
      unlinkSync(path);
      ftruncateSync(file, AREA_BYTES);
      return new SharedArea(file);
    } catch {
      return null;
    }
  }

  /** Answers where the pieces lie, one after the other; null where there is no room for them. */
  put(pieces: readonly Uint8Array[], bytes: number): number | null {
    const start = this.#room(bytes);
    if (start === null) return null;
    try {
      if (writevSync(this.file, pieces, start) < bytes) return null;
    } catch {
      return null; // the system has no more memory for it
    }
    this.#regions.push({ start, end: start + PAGE_BYTES * Math.ceil(bytes / PAGE_BYTES) });
    this.#regions.sort((a, b) => a.start - b.start);
    return start;
  }

  read(start: number, into: Uint8Array): void {
    readSync(this.file, into, 0, into.length, start);
  }

  free(start: number): void {
    const i = this.#regions.findIndex((region) => region.start === start);
    if (i >= 0) this.#regions.splice(i, 1);
  }

  close(): void {
    closeSync(this.file);
  }

  #room(bytes: number): number | null {
    let start = 0;
    for (const region of this.#regions) {
      if (region.start - start >= bytes) return start;
      start = region.end;
    }
    return AREA_BYTES - start >= bytes ? start : null;
  }
}
