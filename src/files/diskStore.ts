/**
 * Stored files on a disk: a folder a tenant, written under another name and renamed. What `put` has answered survives a
 * crash.
 */
import { randomUUID } from 'node:crypto';
import { access, mkdir, open, readdir, readFile, rename, rm, stat, statfs, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { PalateError } from '../errors.ts';
import { filePath, firstDigits, isFileName, isTenantId, pathOfDigits, tenantPath } from './names.ts';
import type { FileStore } from './store.ts';

/** A file still incomplete after this long was left by a process that died. */
const ABANDONED_AFTER_MS = 60 * 60 * 1000;

export class DiskStore implements FileStore {
  readonly folders = firstDigits(2);
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
    await rm(join(this.#root, tenantPath(tenantId)), { recursive: true, force: true });
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
    for (const folder of this.folders) yield* await this.listFolder(tenantId, folder);
  }

  async listFolder(tenantId: string, folder: string): Promise<string[]> {
    const path = join(this.#root, pathOfDigits(tenantId, folder));
    return (await readdir(path).catch(noneWhereMissing)).filter(isFileName);
  }

  async tenants(): Promise<string[]> {
    return (await readdir(this.#root)).filter(isTenantId);
  }

  async writtenAt(tenantId: string, sha256: string): Promise<number | null> {
    return stat(this.#path(tenantId, sha256)).then(
      ({ mtimeMs }) => mtimeMs,
      () => null,
    );
  }

  #path(tenantId: string, sha256: string): string {
    return join(this.#root, filePath(tenantId, sha256));
  }

  async sweep(): Promise<void> {
    for (const name of await readdir(this.#incoming)) {
      const path = join(this.#incoming, name);
      const facts = await stat(path).catch(() => undefined); // another process may have finished it
      if (facts && Date.now() - facts.mtimeMs > ABANDONED_AFTER_MS) await rm(path, { force: true });
    }
  }
}

function noneWhereMissing(error: NodeJS.ErrnoException): string[] {
  if (error.code === 'ENOENT') return [];
  throw error;
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
