/**
 * Bytes under a SHA-256, apart by tenant: the same name of one tenant is one file, another tenant's is another. Pictures
 * lie in one such store, models in another, on a disk (diskStore.ts) or in a bucket (s3Store.ts). A store knows neither
 * rows nor people, nor what the bytes are.
 */
import { PalateError } from '../errors.ts';

/**
 * Names are SHA-256s, of the bytes or of what they stand for. Whatever cannot be had now and may be had later throws
 * {@link StoreUnreachable}.
 */
export interface FileStore {
  /** Keeps the bytes; returns when they are kept for good. Where there is a file of this name, nothing changes. */
  put(tenantId: string, sha256: string, bytes: Uint8Array): Promise<void>;
  /** The bytes. Throws NOT_FOUND when there are none. */
  get(tenantId: string, sha256: string): Promise<Buffer>;
  /** Forgets the bytes; nothing happens where there are none. */
  remove(tenantId: string, sha256: string): Promise<void>;
  /** Forgets every file of a tenant. */
  removeTenant(tenantId: string): Promise<void>;
  /** The name of every file of a tenant, in no order. */
  list(tenantId: string): AsyncGenerator<string>;
  /** What `listFolder` takes: all together hold every file of a tenant, and none of them too many to list. */
  readonly folders: readonly string[];
  /** Of the tenant's files those of one of the {@link folders}. */
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

/** What keeps the files does not answer, or refuses. The words are for clients: they name nothing of the installation. */
export class StoreUnreachable extends PalateError {
  constructor(cause: unknown) {
    super('NOT_READY', 'The stored files cannot be reached at the moment: try again.', { cause });
  }
}
