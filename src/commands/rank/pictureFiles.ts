/** Picture files on disk: finding them, reading them, and the prompt beside each. Knows no model. */
import { readdir, readFile, stat } from 'node:fs/promises';
import { extname, join, resolve } from 'node:path';
import { PalateError } from '../../errors.ts';
import { checkPicture } from '../../pictures/check.ts';

/** A file that had to be left out, and why. */
export interface FileFault {
  readonly file: string;
  readonly message: string;
}

export interface PictureFile {
  readonly file: string;
  readonly bytes: Buffer;
  /** From the sidecar: `cat.txt` or `cat.jpg.txt` beside `cat.jpg`. Null where there is none. */
  readonly prompt: string | null;
}

/** Endings by which a folder's files are taken for pictures; a file that is named itself is always tried. */
const PICTURE_ENDINGS = new Set(['.jpg', '.jpeg', '.png', '.webp', '.avif']);

/**
 * The files that paths stand for: a file for itself, a folder for the pictures right in it. Each file once, in order of
 * the paths, a folder's by name. Paths that cannot be read are `faults`.
 */
export async function findPictures(paths: readonly string[]): Promise<{ files: string[]; faults: FileFault[] }> {
  const files = new Map<string, string>();
  const faults: FileFault[] = [];
  for (const path of paths) {
    try {
      const found = (await stat(path)).isDirectory() ? await picturesIn(path) : [path];
      for (const file of found) if (!files.has(resolve(file))) files.set(resolve(file), file);
    } catch (error) {
      faults.push({ file: path, message: reason(error) });
    }
  }
  return { files: [...files.values()], faults };
}

async function picturesIn(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { withFileTypes: true });
  return entries
    .filter((entry) => !entry.isDirectory() && PICTURE_ENDINGS.has(extname(entry.name).toLowerCase()))
    .map((entry) => join(directory, entry.name))
    .sort();
}

/** The files, most lately modified first; files of one time by name. */
export async function newestFirst(files: readonly string[]): Promise<string[]> {
  const dated = await Promise.all(files.map(async (file) => ({ file, modified: (await stat(file)).mtimeMs })));
  return dated.sort((a, b) => b.modified - a.modified || (a.file < b.file ? -1 : 1)).map(({ file }) => file);
}

/** Reads a picture and its sidecar. Throws PalateError where it is not a picture that can be decoded. */
export async function readPicture(file: string): Promise<PictureFile> {
  const bytes = await readFile(file);
  await checkPicture(bytes, undefined, 'the file');
  return { file, bytes, prompt: await readSidecar(file) };
}

async function readSidecar(file: string): Promise<string | null> {
  for (const sidecar of [`${file}.txt`, `${file.slice(0, -extname(file).length || undefined)}.txt`]) {
    try {
      return (await readFile(sidecar, 'utf8')).trim() || null;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  return null;
}

/** Why a file was left out, in words for who named it. */
export function reason(error: unknown): string {
  if (error instanceof PalateError) return error.message;
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT') return 'There is no such file or folder.';
  if (code === 'EACCES') return 'It may not be read: check its permissions.';
  return message;
}
