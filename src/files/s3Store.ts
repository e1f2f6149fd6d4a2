/**
 * Stored files in a bucket, which any number of machines share: an object a file, written in one request, so that it is
 * whole or not there, and durable once the server has answered.
 */
import { randomUUID } from 'node:crypto';
import { PalateError } from '../errors.ts';
import { filePath, firstDigits, isFileName, isTenantId, pathOfDigits, tenantPath } from './names.ts';
import type { S3Bucket } from './s3Bucket.ts';
import type { FileStore } from './store.ts';

/** An object of a check that is older was left by a process that died. */
const ABANDONED_AFTER_MS = 60 * 60 * 1000;
/** A check that went well holds so long: each is paid for, and anybody may ask for one. */
const WRITABLE_FOR_MS = 15_000;

export class S3Store implements FileStore {
  /** Fewer than a disk's: each listing is paid for, most tenants have little, and a long one comes in pages. */
  readonly folders = firstDigits(1);
  readonly #bucket: S3Bucket;
  readonly #root: string;
  #writable: { at: number; readonly check: Promise<void> } | null = null;

  /** @param root what the keys of its files begin with: empty, or ending in a slash */
  constructor(bucket: S3Bucket, root: string) {
    this.#bucket = bucket;
    this.#root = root;
  }

  /**
   * Looks first, which spares sending most of what is there already. Where two put at once the second takes the place of
   * the first, which has the same name and so the same content; not every server has writes on condition.
   */
  async put(tenantId: string, sha256: string, bytes: Uint8Array): Promise<void> {
    const key = this.#key(tenantId, sha256);
    if ((await this.#bucket.writtenAt(key)) === null) await this.#bucket.put(key, bytes);
  }

  async get(tenantId: string, sha256: string): Promise<Buffer> {
    const bytes = await this.#bucket.get(this.#key(tenantId, sha256));
    if (bytes) return bytes;
    throw new PalateError('NOT_FOUND', `There is no stored file ${sha256} of tenant ${tenantId}.`);
  }

  async remove(tenantId: string, sha256: string): Promise<void> {
    await this.#bucket.remove(this.#key(tenantId, sha256));
  }

  async removeTenant(tenantId: string): Promise<void> {
    await this.#bucket.removeAll(this.#tenant(tenantId));
  }

  async *list(tenantId: string): AsyncGenerator<string> {
    for await (const keys of this.#bucket.list(this.#tenant(tenantId))) yield* namesOf(keys);
  }

  async listFolder(tenantId: string, folder: string): Promise<string[]> {
    const names: string[] = [];
    for await (const keys of this.#bucket.list(`${this.#root}${pathOfDigits(tenantId, folder)}`)) {
      names.push(...namesOf(keys));
    }
    return names;
  }

  async tenants(): Promise<string[]> {
    const found: string[] = [];
    for await (const folders of this.#bucket.folders(this.#root)) found.push(...folders.filter(isTenantId));
    return found;
  }

  async writtenAt(tenantId: string, sha256: string): Promise<number | null> {
    return (await this.#bucket.writtenAt(this.#key(tenantId, sha256)))?.getTime() ?? null;
  }

  /** An object is there whole or not at all: nothing but checks can be left behind. */
  async sweep(): Promise<void> {
    for await (const keys of this.#bucket.list(this.#checkKey(''))) {
      for (const key of keys) {
        const writtenAt = await this.#bucket.writtenAt(key);
        if (writtenAt && Date.now() - writtenAt.getTime() > ABANDONED_AFTER_MS) await this.#bucket.remove(key);
      }
    }
  }

  /** However many ask at once, one check is made. */
  checkWritable(): Promise<void> {
    if (!this.#writable || Date.now() - this.#writable.at > WRITABLE_FOR_MS) {
      const writable = { at: Number.POSITIVE_INFINITY, check: this.#writeAndRemove() };
      this.#writable = writable;
      writable.check.then(
        () => {
          writable.at = Date.now();
        },
        () => {
          this.#writable = null;
        },
      );
    }
    return this.#writable.check;
  }

  /** A bucket has no end. */
  async checkFreeBytes(): Promise<void> {}

  async #writeAndRemove(): Promise<void> {
    const key = this.#checkKey(randomUUID());
    await this.#bucket.put(key, Buffer.from('x'));
    await this.#bucket.remove(key);
  }

  #checkKey(name: string): string {
    return `${this.#root}check-${name}`;
  }

  #key(tenantId: string, sha256: string): string {
    return `${this.#root}${filePath(tenantId, sha256)}`;
  }

  /** With the slash, so that no longer name begins with it. */
  #tenant(tenantId: string): string {
    return `${this.#root}${tenantPath(tenantId)}/`;
  }
}

const namesOf = (keys: readonly string[]): string[] =>
  keys.map((key) => key.slice(key.lastIndexOf('/') + 1)).filter(isFileName);
