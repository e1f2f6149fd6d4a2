/**
 * The text encoder: prompts in, embeddings out. Tokenises, pads batches of like length, runs the model in a thread of
 * its own or in a host's. Knows no storage and no queue.
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { Tokenizer } from '@huggingface/tokenizers';
import { PalateError } from '../../errors.ts';
import { openSession, type SessionOptions, type Tensor } from '../session.ts';
import type { SessionHost } from '../sessionHost.ts';
import { splitRows } from './imageEncoder.ts';
import { encoderHash, readManifest, readVerified, type TextManifest } from './manifest.ts';
import type { ModelFile } from './modelFile.ts';

export interface TextEncoder {
  /** Names the encoder: embeddings are stored by it. */
  readonly sha256: string;
  readonly dimensions: number;
  /** One embedding a text, in order; what is longer than the model reads is cut at the end. */
  encode(texts: readonly string[]): Promise<Float32Array[]>;
  close(): Promise<void>;
}

/** Texts of one run: enough to fill the matrix products, few enough to pad little. */
const BATCH = 16;

/**
 * Opens the encoder whose manifest is in `directory`, in a worker thread unless told otherwise.
 * @param options.host runs it, by its own options
 */
export async function loadTextEncoder(
  directory: string,
  { host, ...options }: SessionOptions & { host?: SessionHost } = {},
): Promise<TextEncoder> {
  const manifest = await readManifest(directory, 'text');
  const { model, input, output } = manifest;
  const folder = 'package' in model ? packageFolder(model.package, model.file) : directory;
  const file: ModelFile = {
    path: join(folder, model.file),
    sha256: model.sha256,
    holds: 'package' in model ? 'weights of MiniLM' : 'model',
  };
  const tokenizer = await openTokenizer(folder, manifest);
  const session = await (host ? host.open(file) : openSession(file, { worker: true, ...options }));

  /** Token ids, the last of them (the end marker) kept where the text is cut. */
  const tokenize = (text: string): number[] => {
    const { ids } = tokenizer.encode(text);
    return ids.length <= input.maxTokens ? ids : [...ids.slice(0, input.maxTokens - 1), ids.at(-1)!];
  };

  return {
    sha256: encoderHash(manifest),
    dimensions: output.dimensions,
    async encode(texts) {
      const tokens = texts.map(tokenize);
      const byLength = [...tokens.keys()].sort((a, b) => tokens[a]!.length - tokens[b]!.length);
      const embeddings = new Array<Float32Array>(texts.length);
      for (let start = 0; start < byLength.length; start += BATCH) {
        const batch = byLength.slice(start, start + BATCH);
        const feeds = pad(
          batch.map((i) => tokens[i]!),
          input,
        );
        const results = await session.run(feeds, [output.name], { give: true });
        const rows = splitRows(results[output.name]!.data as Float32Array, output.dimensions);
        batch.forEach((i, row) => {
          embeddings[i] = rows[row]!;
        });
      }
      return embeddings;
    },
    close: () => session.close(),
  };
}

/** Ids, mask and, where the model has them, token types: [texts, longest text]. */
function pad(tokens: readonly number[][], input: TextManifest['input']): Record<string, Tensor> {
  const width = Math.max(...tokens.map((ids) => ids.length));
  const tensor = (): Tensor & { data: BigInt64Array } => ({
    dtype: 'int64',
    dims: [tokens.length, width],
    data: new BigInt64Array(tokens.length * width),
  });
  const [ids, mask] = [tensor(), tensor()];
  tokens.forEach((text, row) => {
    text.forEach((id, column) => {
      ids.data[row * width + column] = BigInt(id);
      mask.data[row * width + column] = 1n;
    });
  });
  return { [input.ids]: ids, [input.mask]: mask, ...(input.tokenTypes && { [input.tokenTypes]: tensor() }) };
}

async function openTokenizer(folder: string, { tokenizer }: TextManifest): Promise<Tokenizer> {
  const bytes = await readVerified(join(folder, tokenizer.file), tokenizer.sha256);
  return new Tokenizer(JSON.parse(bytes.toString('utf8')) as object, {});
}

/** The folder of an installed package; looked for by a file, since a package need not export its own paths. */
function packageFolder(name: string, file: string): string {
  const { resolve } = createRequire(import.meta.url);
  const folder = (resolve.paths(name) ?? [])
    .map((path) => join(path, name))
    .find((path) => existsSync(join(path, file)));
  if (folder) return folder;
  throw new PalateError(
    'INTERNAL_SERVER_ERROR',
    `The package ${name} is not installed or has no ${file}: npm install.`,
  );
}
