/**
 * When stored bytes go: when no row of the tenant needs them. Whoever deletes the rows of pictures names the files in the
 * same transaction, and a job erases them after it; so a crash loses nothing, and an undone deletion erases nothing. The
 * files of model versions go with the tenant, or where the row never came.
 */
import { currentTenant, type Database, NO_TENANT, type Queries } from '../database/client.ts';
import type { FileStore } from '../files/store.ts';
import { type Queue, takeOutTenant } from '../queue/queue.ts';
import { lockFile } from './images.ts';
import { readTenant } from './tenants.ts';
import { lockVersions } from './versionTurns.ts';

/** Files named in the database at a time. */
const NAMED_AT_ONCE = 100;
/** A model's file without a row is of a training that is about to write it, unless it is older than this. */
const TRAINING_ENDS_MS = 24 * 60 * 60 * 1000;
/** A file without a row is of an upload that is still running, unless it is older than any upload takes. */
const UPLOAD_TAKES_MS = 60 * 60 * 1000;

export interface FilePlatform {
  readonly database: Database;
  readonly queue: Queue;
  readonly pictures: FileStore;
  /** The files of model versions. */
  readonly weights: FileStore;
}

/** Has these files erased after the transaction, those that no row needs by then. */
export async function eraseLater(transaction: Queries, queue: Queue, sha256s: readonly string[]): Promise<void> {
  if (sha256s.length === 0) return;
  const tenantId = currentTenant();
  await transaction.fileToErase.createMany({
    data: [...new Set(sha256s)].sort().map((sha256) => ({ tenantId, sha256 })),
    skipDuplicates: true,
  });
  await queue.send(transaction, 'erase', [{ tenantId }]);
}

/** Erases what was named of the tenant of the session; of a tenant that is gone, all of its files and jobs. */
export async function eraseFiles({ database, pictures, weights }: FilePlatform): Promise<void> {
  if (!(await readTenant(database))) {
    for (const files of [pictures, weights]) await files.removeTenant(currentTenant());
    await takeOutTenant(database);
    return;
  }
  for (;;) {
    const named = await database.fileToErase.findMany({ take: NAMED_AT_ONCE, orderBy: { sha256: 'asc' } });
    for (const { tenantId, sha256 } of named) {
      await database.$transaction(async (transaction) => {
        await lockFile(transaction, sha256);
        if (!(await transaction.image.findFirst({ where: { sha256 }, select: { id: true } }))) {
          await pictures.remove(tenantId, sha256);
        }
        await transaction.fileToErase.deleteMany({ where: { sha256 } });
      });
    }
    if (named.length < NAMED_AT_ONCE) return;
  }
}

/** Sends a job where files are still named: the one that should have erased them was tried in vain, or lost. */
export async function retryErasing({ database, queue }: FilePlatform): Promise<void> {
  if (!(await database.fileToErase.findFirst())) return;
  await database.$transaction((transaction) => queue.send(transaction, 'erase', [{ tenantId: currentTenant() }]));
}

/**
 * Finds files of one folder of the session's tenant that no row needs, left by an upload whose process died between
 * the bytes and the row, and has them erased. Index: images_tenant_id_sha256_owner_id_key.
 */
export async function eraseOrphans(platform: FilePlatform, folder: string, now: Date): Promise<number> {
  const { database, queue, pictures } = platform;
  const tenantId = currentTenant();
  const names = await pictures.listFolder(tenantId, folder);
  const orphans: string[] = [];
  for (let start = 0; start < names.length; start += NAMED_AT_ONCE) {
    const some = names.slice(start, start + NAMED_AT_ONCE);
    const rows = await database.image.findMany({ where: { sha256: { in: some } }, select: { sha256: true } });
    const needed = new Set(rows.map(({ sha256 }) => sha256));
    for (const sha256 of some.filter((name) => !needed.has(name))) {
      const writtenAt = await pictures.writtenAt(tenantId, sha256);
      if (writtenAt !== null && writtenAt < now.getTime() - UPLOAD_TAKES_MS) orphans.push(sha256);
    }
  }
  await database.$transaction((transaction) => eraseLater(transaction, queue, orphans));
  return orphans.length;
}

/**
 * Erases model files of one folder of the session's tenant that no version's row names, left by a training whose process
 * died between the file and the row. The installation's own stay: any tenant may have begun with them.
 */
export async function eraseStrayWeights({ database, weights }: FilePlatform, folder: string, now: Date): Promise<void> {
  const tenantId = currentTenant();
  if (tenantId === NO_TENANT) return;
  for (const sha256 of await weights.listFolder(tenantId, folder)) {
    const writtenAt = await weights.writtenAt(tenantId, sha256);
    if (writtenAt === null || writtenAt > now.getTime() - TRAINING_ENDS_MS) continue;
    await database.$transaction(async (transaction) => {
      await lockVersions(transaction); // a training that made the same weights again may be writing its row
      const named = await transaction.model.findFirst({ where: { sha256 }, select: { id: true } });
      if (!named) await weights.remove(tenantId, sha256);
    });
  }
}

/**
 * Erases the files of tenants that are no more, written by a process that died as the tenant was deleted. In an
 * operator's session.
 */
export async function eraseStrayFolders({ database, pictures, weights }: FilePlatform): Promise<void> {
  for (const files of [pictures, weights]) {
    const folders = await files.tenants(); // before the rows: a tenant's row is there before its first file
    const rows = await database.tenant.findMany({ where: { id: { in: folders } }, select: { id: true } });
    const there = new Set([NO_TENANT, ...rows.map(({ id }) => id)]);
    for (const tenantId of folders) if (!there.has(tenantId)) await files.removeTenant(tenantId);
  }
}
