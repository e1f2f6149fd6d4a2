/** The key that signs picture addresses, where no setting gives one: made once and kept in the data folder. */
import { randomBytes } from 'node:crypto';
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const FILE = 'signing.key';

/** Reads the key of the data folder, making it first if there is none; two processes that start at once agree. */
export async function readSigningKey(dataDirectory: string): Promise<string> {
  const path = join(dataDirectory, FILE);
  const known = await readFile(path, 'utf8').catch(() => null);
  if (known) return known;
  await mkdir(dataDirectory, { recursive: true });
  const draft = `${path}.${process.pid}`;
  await writeFile(draft, randomBytes(32).toString('base64url'), { mode: 0o600 });
  await link(draft, path).catch(() => {}); // whole or not at all; who comes second reads the first one's
  await rm(draft);
  return readFile(path, 'utf8');
}
