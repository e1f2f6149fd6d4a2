/**
 * Whom the embedded PostgreSQL runs as. It refuses to run as root, so a service started by root lends it another
 * system user; everybody else runs it as themselves.
 */
import { execFile } from 'node:child_process';
import { chown, cp, mkdir, realpath, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { PalateError } from '../errors.ts';

/** Where root keeps what the lent user must reach, if its own folder is closed to that user. */
export const SYSTEM_DIRECTORY = '/var/lib/palate';

/** A user lent to the server; null where it runs as the service's own. */
export type ServerUser = { readonly uid: number; readonly gid: number } | null;

/** `postgres` where there is one, else `nobody`, which every system has; no user is created. */
export async function serverUser(): Promise<ServerUser> {
  if (process.getuid?.() !== 0) return null;
  const id = async (flag: string, name: string) => Number((await promisify(execFile)('id', [flag, name])).stdout);
  for (const name of ['postgres', 'nobody']) {
    const found = await Promise.all([id('-u', name), id('-g', name)]).catch(() => null);
    if (found) return { uid: found[0], gid: found[1] };
  }
  throw new PalateError(
    'NOT_READY',
    'PostgreSQL does not run as root, and this system has neither a user "postgres" nor "nobody" to run it as. ' +
      'Start the service as another user, or set DATABASE_URL.',
  );
}

/** Whether the user can pass through every folder on the way to `path`, which must exist, and into it. */
export async function canEnter(path: string, user: ServerUser): Promise<boolean> {
  if (user === null) return true;
  for (let folder = await realpath(path); ; folder = dirname(folder)) {
    const { mode, uid, gid } = await stat(folder);
    const enter = uid === user.uid ? 0o100 : gid === user.gid ? 0o010 : 0o001;
    if ((mode & enter) === 0) return false;
    if (folder === dirname(folder)) return true;
  }
}

/** Makes a folder that belongs to the user and is closed to others. */
export async function makeOwnFolder(path: string, user: ServerUser): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await mkdir(path, { recursive: true, mode: 0o700 });
  if (user) await chown(path, user.uid, user.gid);
}

/** A copy of the folder `source` that every user can read, under the system's folder; made once. */
export async function readableCopy(source: string, name: string): Promise<string> {
  const copy = join(SYSTEM_DIRECTORY, name);
  const exists = await stat(copy).catch(() => null);
  if (exists) return copy;
  const partial = `${copy}.${process.pid}`;
  await cp(source, partial, { recursive: true, verbatimSymlinks: true });
  await rename(partial, copy).catch(() => rm(partial, { recursive: true })); // another process was first
  return copy;
}
