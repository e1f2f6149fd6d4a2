/**
 * What a bench has measured, as a file beside its table: with the machine and the versions, without which no figure
 * says anything. And the options that such benches share.
 */
import { writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { cpus, totalmem } from 'node:os';
import { VERSION } from '../../src/version.ts';

const GIB = 2 ** 30;

/** Figures are numbers, not words: the table is for people, the file for programs. */
export interface Report {
  /** As in `npm run bench:…`. */
  readonly bench: string;
  /** What it was told by options. */
  readonly settings: object;
  readonly figures: object;
}

/** Writes the file that `--json` names, if it names one. */
export async function writeReport(file: string | undefined, { bench, settings, figures }: Report): Promise<void> {
  if (file === undefined) return;
  const report = { bench, at: new Date().toISOString(), machine: machine(), versions: versions(), settings, figures };
  await writeFile(file, `${JSON.stringify(report, null, 2)}\n`);
}

function machine(): object {
  const processors = cpus();
  return {
    processor: processors[0]?.model.trim() ?? 'unknown',
    cores: processors.length,
    memoryGiB: Math.round(totalmem() / GIB),
    system: `${process.platform} ${process.arch}`,
  };
}

function versions(): object {
  const { version } = createRequire(import.meta.url)('onnxruntime-node/package.json') as { version: string };
  return { palate: VERSION, node: process.versions.node, onnxruntime: version };
}

/** `--env NAME=VALUE`, given any number of times, as an environment. Throws for what has no name. */
export function environmentOf(settings: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    settings.map((setting) => {
      const [, name, value] = /^([A-Z][A-Z0-9_]*)=(.*)$/.exec(setting) ?? [];
      if (name === undefined || value === undefined) throw new Error(`--env ${setting}: give it as NAME=VALUE.`);
      return [name, value];
    }),
  );
}
