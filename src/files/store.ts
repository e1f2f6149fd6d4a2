/**
 * Bytes on disk under a SHA-256, apart by tenant: the same name of one tenant is one file, another tenant's is another.
 * Pictures lie in one such store, models in another. What `put` has answered survives a crash. Knows neither rows nor
 * people, nor what the bytes are.
 */
import { randomUUID } from 'node:crypto';
import { access, mkdir, open, readdir, readFile, rename, rm, stat, statfs, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { PalateError } from '../errors.ts';

/** A file still incomplete after this long was left by a process that died. */
const ABANDONED_AFTER_MS = 60 * 60 * 1000;

/** Where files of tenants are kept, whatever keeps them. Names are SHA-256s, of the bytes or of what they stand for. */
export interface FileStore {
  /** Keeps the bytes; returns when they are kept for good. Where there is a file of this name, nothing changes. */
  put(tenantId: string, sha256: string, bytes: Uint8Array): Promise<void>;
  /** The bytes. Throws NOT_FOUND when there are none. */
  get(tenantId: string, sha256: string): Promise<Buffer>;
  /** Forgets the bytes; nothing happens where there are none. */
  remove(tenantId: string, sha256: string): Promise<void>;
  /** Forgets every file of a tenant. */
  removeTenant(tenantId: string): Promise<void>;
  /** The name of every file of a tenant, in no order, folder by folder. */
  list(tenantId: string): AsyncGenerator<string>;
  /** Of the tenant's files those of one of the {@link FOLDERS}. */
  listFolder(tenantId: string, folder: string): Promise<string[]>;
  /** Whose folders there are; one may be empty. */
  tenants(): Promise<string[]>;
  /** Milliseconds since 1970 at which a file was written; null where there is none. */
  writtenAt(tenantId: string, sha256: string): Promise<number | null>;
  /** Forgets what writes that never ended have left behind. */
  sweep(): Promise<void>;
  /** Rejects where no file can be made. */
  checkWritable(): Promise<void>;
  /** Throws NOT_READY where there is less room than this. */
  checkFreeBytes(least: number): Promise<void>;
}

export class DiskStore implements FileStore {
  readonly #root: string;
  readonly #incoming: string;

  private constructor(root: string) {
    this.#root = resolve(root);
    this.#incoming = join(this.#root, 'incoming');
  }

  /** Opens the store in `directory`, making it if need be, and sweeps what crashed writes left. */
  static async open(directory: string): Promise<DiskStore> {
    const store = new DiskStore(directory);
    await makeFolder(store.#incoming);
    await store.sweep();
    return store;
  }

  /** Throws NOT_READY where the disk has no room for them; nothing is left of them then. */
  async put(tenantId: string, sha256: string, bytes: Uint8Array): Promise<void> {
    const path = this.#path(tenantId, sha256);
    if (!(await exists(path))) {
      const incoming = join(this.#incoming, randomUUID());
      try {
        await makeFolder(dirname(path));
        await writeThrough(incoming, bytes);
        await rename(incoming, path); // whole or not at all
      } catch (error) {
        await rm(incoming, { force: true });
        throw isFull(error) ? noRoom(bytes.length, error) : error;
      }
    }
    await syncFolder(dirname(path)); // also where another request has renamed and not yet synced
  }

  async get(tenantId: string, sha256: string): Promise<Buffer> {
    try {
      return await readFile(this.#path(tenantId, sha256));
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw cause;
      throw new PalateError('NOT_FOUND', `There is no stored file ${sha256} of tenant ${tenantId}.`, { cause });
    }
  }

  async remove(tenantId: string, sha256: string): Promise<void> {
    await rm(this.#path(tenantId, sha256), { force: true });
  }

  async removeTenant(tenantId: string): Promise<void> {
    await rm(join(this.#root, checked(tenantId, UUID)), { recursive: true, force: true });
  }

  async checkWritable(): Promise<void> {
    const path = join(this.#incoming, `check-${randomUUID()}`);
    try {
      await writeFile(path, 'x');
    } finally {
      await rm(path, { force: true });
    }
  }

  async checkFreeBytes(least: number): Promise<void> {
    const { bavail, bsize } = await statfs(this.#root);
    const free = bavail * bsize;
    if (free < least) {
      throw new PalateError('NOT_READY', `The disk of ${this.#root} has ${free} bytes left, and ${least} are needed.`);
    }
  }

  async *list(tenantId: string): AsyncGenerator<string> {
    for (const folder of FOLDERS) yield* await this.listFolder(tenantId, folder);
  }

  async listFolder(tenantId: string, folder: string): Promise<string[]> {
    const path = join(this.#root, checked(tenantId, UUID), checked(folder, FOLDER));
    return (await readdir(path).catch(noneWhereMissing)).filter((name) => SHA256.test(name));
  }

  async tenants(): Promise<string[]> {
    return (await readdir(this.#root)).filter((name) => UUID.test(name));
  }

  async writtenAt(tenantId: string, sha256: string): Promise<number | null> {
    return stat(this.#path(tenantId, sha256)).then(
      ({ mtimeMs }) => mtimeMs,
      () => null,
    );
  }

  /** 256 folders a tenant, so that none holds too many files. */
  #path(tenantId: string, sha256: string): string {
    return join(this.#root, checked(tenantId, UUID), checked(sha256, SHA256).slice(0, 2), sha256);
  }

  async sweep(): Promise<void> {
    for (const name of await readdir(this.#incoming)) {
      const path = join(this.#incoming, name);
      const facts = await stat(path).catch(() => undefined); // another process may have finished it
      if (facts && Date.now() - facts.mtimeMs > ABANDONED_AFTER_MS) await rm(path, { force: true });
    }
  }
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const SHA256 = /^[0-9a-f]{64}$/;
const FOLDER = /^[0-9a-f]{2}$/;

/** Where a tenant's files lie: under the first two digits of their SHA-256. */
export const FOLDERS: readonly string[] = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, '0'));

function noneWhereMissing(error: NodeJS.ErrnoException): string[] {
  if (error.code === 'ENOENT') return [];
  throw error;
}

/** Both parts of a path are ours; anything else would be a bug that reaches outside the store. */
function checked(part: string, pattern: RegExp): string {
  if (pattern.test(part)) return part;
  throw new PalateError('INTERNAL_SERVER_ERROR', `"${part}" cannot be part of a stored file's path.`);
}

/** No room on the disk, none in the quota, or more than one file may hold. */
const FULL: readonly unknown[] = ['ENOSPC', 'EDQUOT', 'EFBIG'];

const isFull = (error: unknown): boolean => FULL.includes((error as NodeJS.ErrnoException).code);

const noRoom = (bytes: number, cause: unknown): PalateError =>
  new PalateError('NOT_READY', `The disk has no room for a file of ${bytes} bytes: make room, then try again.`, {
    cause,
  });

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

async function writeThrough(path: string, bytes: Uint8Array): Promise<void> {
  const file = await open(path, 'wx', 0o640);
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Makes a folder and, where it is new, writes its entry through in every folder above it that was made. */
async function makeFolder(path: string): Promise<void> {
  const firstMade = await mkdir(path, { recursive: true });
  if (!firstMade) return;
  for (let folder = path; folder.length >= firstMade.length; folder = dirname(folder))
    await syncFolder(dirname(folder));
}

/** Windows cannot sync a folder, and needs not: it keeps entries in its journal. */
async function syncFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
