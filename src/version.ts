/** The version of Palate that runs, as package.json states it: the same path from src and from dist. */
import { readFileSync } from 'node:fs';

export const { version: VERSION, description: DESCRIPTION } = JSON.parse(
  readFileSync(new URL('../package.json', import.meta.url), 'utf8'),
) as { version: string; description: string };
