/**
 * The manifest beside an encoder: what the file is, where it is from, and all that turns a picture or a text into its
 * input. One format for the encoders that ship and for an operator's own (docs/encoders.md). Knows no database.
 */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { PalateError } from '../../errors.ts';

const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 hexadecimal digits');
const pixels = z.int().min(1).max(4096);
const threeNumbers = z.tuple([z.number(), z.number(), z.number()]);

/** Where the weights come from: an npm package by version and integrity, or an address. */
const source = z.union([
  z.strictObject({ package: z.string(), version: z.string(), integrity: z.string() }),
  z.strictObject({ url: z.string() }),
]);

const common = {
  name: z.string().regex(/^[a-z0-9][a-z0-9._-]*$/, 'must be lower-case letters, digits, dots and dashes'),
  description: z.string(),
  licence: z.string(),
  source,
};
const output = z.strictObject({ name: z.string(), dimensions: z.int().min(1).max(65_536) });
const onnxModel = z.strictObject({ file: z.string(), sha256 });

const imageManifest = z.strictObject({
  ...common,
  kind: z.literal('image'),
  model: onnxModel,
  input: z
    .strictObject({
      name: z.string(),
      layout: z.enum(['NCHW', 'NHWC']),
      channels: z.enum(['RGB', 'BGR']),
      /** `shortestEdge` keeps the proportions; `width` and `height` stretch. */
      resize: z.union([z.strictObject({ shortestEdge: pixels }), z.strictObject({ width: pixels, height: pixels })]),
      /** The middle of the resized picture: what the model sees. */
      crop: z.strictObject({ width: pixels, height: pixels }),
      /** A channel value v of 0 to 255 becomes (v · scale − mean) / std; mean and std in the order of `channels`. */
      scale: z.number().positive(),
      mean: threeNumbers,
      std: threeNumbers.refine((std) => std.every((value) => value > 0), 'must be above 0'),
    })
    .refine(({ resize, crop }) => {
      const [width, height] =
        'shortestEdge' in resize ? [resize.shortestEdge, resize.shortestEdge] : [resize.width, resize.height];
      return crop.width <= width && crop.height <= height;
    }, 'crop must fit into the resized picture'),
  output,
});

const textManifest = z.strictObject({
  ...common,
  kind: z.literal('text'),
  /** An ONNX file that pools by itself, or the weights of a BERT sentence encoder in an npm package (miniLM.ts). */
  model: z.union([onnxModel, z.strictObject({ package: z.string(), file: z.string(), sha256 })]),
  /** Beside the model, in the same package or folder. */
  tokenizer: z.strictObject({ file: z.string(), sha256 }),
  input: z.strictObject({
    ids: z.string(),
    mask: z.string(),
    /** Given zeros where the model has such an input. */
    tokenTypes: z.string().optional(),
    maxTokens: z.int().min(2).max(8192),
  }),
  output,
});

export type ImageManifest = z.infer<typeof imageManifest>;
export type TextManifest = z.infer<typeof textManifest>;
export type EncoderManifest = ImageManifest | TextManifest;

/** Reads and checks `manifest.json` in `directory`; throws BAD_USER_INPUT that names the file and every wrong field. */
export async function readManifest<Kind extends EncoderManifest['kind']>(
  directory: string,
  kind: Kind,
): Promise<Extract<EncoderManifest, { kind: Kind }>> {
  const path = join(directory, 'manifest.json');
  let content: unknown;
  try {
    content = JSON.parse(await readFile(path, 'utf8'));
  } catch (cause) {
    const why = (cause as Error).message;
    throw new PalateError('BAD_USER_INPUT', `${path} cannot be read as an encoder's manifest: ${why}.`, { cause });
  }
  const parsed = (kind === 'image' ? imageManifest : textManifest).safeParse(content);
  if (!parsed.success) {
    const faults = parsed.error.issues.map(({ path: at, message }) => `${at.join('.') || 'the file'}: ${message}`);
    throw new PalateError(
      'BAD_USER_INPUT',
      `${path} is no manifest of ${kind === 'image' ? 'an image' : 'a text'} encoder: ${faults.join('; ')}.`,
    );
  }
  return parsed.data as Extract<EncoderManifest, { kind: Kind }>;
}

/**
 * The encoder's hash, by which embeddings are stored: SHA-256 over all that decides the numbers (model, tokenizer,
 * input, output) and nothing that does not (name, description, licence, source).
 */
export function encoderHash(manifest: EncoderManifest): string {
  const { kind, model, input, output } = manifest;
  const tokenizer = 'tokenizer' in manifest ? manifest.tokenizer.sha256 : undefined;
  const identity = { kind, model: model.sha256, tokenizer, input, output };
  return createHash('sha256')
    .update(JSON.stringify(sortKeys(identity)))
    .digest('hex');
}

/** Reads a file that a manifest names; throws INTERNAL_SERVER_ERROR when its bytes are not those of the manifest. */
export async function readVerified(path: string, expected: string): Promise<Buffer> {
  const bytes = await readFile(path);
  const actual = createHash('sha256').update(bytes).digest('hex');
  if (actual !== expected) {
    throw new PalateError(
      'INTERNAL_SERVER_ERROR',
      `${path} has SHA-256 ${actual}, its manifest says ${expected}: restore the file or write its manifest anew.`,
    );
  }
  return bytes;
}

/** The same value with every object's keys in order, so that two equal manifests give one hash. */
function sortKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortKeys);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, item]) => [key, sortKeys(item)]));
}
