/**
 * The program as it ships, compiled into dist/ before the tests that start it: from source each start would take twice
 * as long, and they start it a hundred times. Left as it is where no source is newer.
 */
import { execFile } from 'node:child_process';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const root = fileURLToPath(new URL('../..', import.meta.url));
const MAIN = join(root, 'dist/main.js');
const SOURCES = ['src', 'scripts', 'tsconfig.json', 'tsconfig.build.json', 'package.json'];

export async function buildProgram() {
  const builtAt = await stat(MAIN).then(
    ({ mtimeMs }) => mtimeMs,
    () => 0,
  );
  if (builtAt < (await newest(SOURCES.map((name) => join(root, name))))) {
    await promisify(execFile)('npm', ['run', '--silent', 'build'], { cwd: root, shell: process.platform === 'win32' });
  }
  process.env.PALATE_TEST_PROGRAM = MAIN;
}

/** When the newest of the files, and of all in the folders, was written. */
async function newest(paths) {
  const times = await Promise.all(
    paths.map(async (path) => {
      const facts = await stat(path);
      if (!facts.isDirectory()) return facts.mtimeMs;
      return newest((await readdir(path)).map((name) => join(path, name)));
    }),
  );
  return Math.max(0, ...times);
}
