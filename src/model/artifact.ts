/**
 * A trained model as it is stored: one file of numbers and a manifest that says what they are, where they came from
 * and how good they were. Bytes and text only: reading files is inference/, writing them training/.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { PalateError } from '../errors.ts';
import type { InputTransformWeights } from './graphs.ts';
import { parameterLayout } from './parameters.ts';

const positive = z.int().positive();
const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 hexadecimal digits');

const architectureSchema = z.strictObject({
  imageInputs: positive,
  textInputs: positive,
  width: positive,
  imageMetric: positive,
  textMetric: positive,
  components: z.int().min(0).optional(),
  layers: positive,
  heads: positive,
  hidden: positive,
  tokens: positive,
  history: positive,
  parts: z.strictObject({
    prior: z.boolean(),
    metricPath: z.boolean(),
    tokenPath: z.boolean(),
    cosineTokens: z.boolean(),
    tokensInSoftmax: z.boolean().default(false),
    evidenceGate: z.boolean(),
  }),
});

const transformSchema = z.strictObject({ inputs: positive, scale: z.number().positive() });

/**
 * How a margin s becomes P(like) = σ(T s + β + ρ logit(the person's shrunken like rate)), and how sure that is:
 * `standardErrors` holds, for a number of judgements read, the standard error of T s (docs/model.md, "Calibration").
 */
const calibrationSchema = z.strictObject({
  temperature: z.number().positive(),
  offset: z.number(),
  likeRateWeight: z.number(),
  standardErrors: z.array(z.strictObject({ judgements: z.number().min(0), logit: z.number().positive() })).min(1),
});

/** Of what this version reads and writes. */
const FORMAT = 'palate-model-1';

const manifestSchema = z.strictObject({
  format: z.literal(FORMAT),
  name: z.string(),
  description: z.string(),
  licence: z.string(),
  weights: z.strictObject({ file: z.string(), sha256, bytes: positive }),
  architecture: architectureSchema,
  encoders: z.strictObject({ image: sha256, text: sha256 }),
  inputTransforms: z.strictObject({ image: transformSchema, text: transformSchema }),
  calibration: calibrationSchema,
  /** What it was trained on, with which command and seed, and what was measured: for people to read. */
  training: z.record(z.string(), z.unknown()),
});

export type Calibration = z.infer<typeof calibrationSchema>;
export type ModelManifest = z.infer<typeof manifestSchema>;

export interface ModelArtifact {
  readonly manifest: ModelManifest;
  /** Flat, in the order of `parameterSpecs`. */
  readonly parameters: Float32Array;
  readonly transforms: { readonly image: InputTransformWeights; readonly text: InputTransformWeights };
}

/** The file of numbers: parameters, then mean and projection of the image transform and of the text transform. */
export function encodeWeights({ parameters, transforms }: Omit<ModelArtifact, 'manifest'>): Uint8Array {
  const parts = [
    parameters,
    transforms.image.mean,
    transforms.image.projection,
    transforms.text.mean,
    transforms.text.projection,
  ];
  const all = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    all.set(part, offset);
    offset += part.length;
  }
  return new Uint8Array(all.buffer);
}

/** States the weights' hash and size in the manifest. */
export function seal({ manifest, parameters, transforms }: ModelArtifact): ModelArtifact {
  const bytes = encodeWeights({ parameters, transforms });
  const weights = { file: manifest.weights.file, sha256: sha256Of(bytes), bytes: bytes.length };
  return { manifest: { ...manifest, weights }, parameters, transforms };
}

/** Reads stored weights. Throws BAD_USER_INPUT, naming what is wrong, where they are not those of the manifest. */
export function decodeModel(manifest: ModelManifest, weights: Uint8Array): ModelArtifact {
  const { architecture, inputTransforms } = manifest;
  const actual = sha256Of(weights);
  if (actual !== manifest.weights.sha256) {
    throw new PalateError(
      'BAD_USER_INPUT',
      `${manifest.weights.file}: SHA-256 is ${actual}, the manifest says ${manifest.weights.sha256}. Copy the file again.`,
    );
  }
  const numbers = new Float32Array(Uint8Array.from(weights).buffer);
  let offset = 0;
  const take = (length: number): Float32Array => {
    const part = numbers.slice(offset, offset + length);
    offset += length;
    return part;
  };
  const parameters = take(parameterLayout(architecture).size);
  const transform = (inputs: number, outputs: number, scale: number): InputTransformWeights => ({
    mean: take(inputs),
    projection: take(inputs * outputs),
    scale,
  });
  const { image, text } = inputTransforms;
  const transforms = {
    image: transform(image.inputs, architecture.imageInputs, image.scale),
    text: transform(text.inputs, architecture.textInputs, text.scale),
  };
  if (offset !== numbers.length) {
    throw new PalateError(
      'BAD_USER_INPUT',
      `${manifest.weights.file} holds ${numbers.length} numbers; this architecture has ${offset}.`,
    );
  }
  return { manifest, parameters, transforms };
}

/** Reads manifest.json. Throws BAD_USER_INPUT, naming its format where it is another, else every field that does not fit. */
export function parseManifest(text: string): ModelManifest {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new PalateError('BAD_USER_INPUT', 'manifest.json is not JSON.', { cause });
  }
  const { format } = (json ?? {}) as { format?: unknown };
  if (typeof format === 'string' && format !== FORMAT) {
    const message = `manifest.json is of the format "${format}"; this version of Palate reads ${FORMAT}. Use the one that made it.`;
    throw new PalateError('BAD_USER_INPUT', message);
  }
  const parsed = manifestSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  throw new PalateError('BAD_USER_INPUT', `manifest.json does not fit: ${z.prettifyError(parsed.error)}`);
}

/**
 * Names what makes item vectors: encoders, input transforms and the tower's parameters. Models that share it share
 * item vectors.
 */
export function towerHash({ manifest, parameters, transforms }: ModelArtifact): string {
  const hash = createHash('sha256').update(manifest.encoders.image).update(manifest.encoders.text);
  for (const { mean, projection, scale } of [transforms.image, transforms.text]) {
    hash.update(bytesOf(mean)).update(bytesOf(projection)).update(String(scale));
  }
  const layout = parameterLayout(manifest.architecture);
  for (const { name } of layout.specs.filter(({ name }) => /^(item|metric)\./.test(name))) {
    const { start, end } = layout.range(name);
    hash.update(bytesOf(parameters.subarray(start, end)));
  }
  return hash.digest('hex');
}

export const sha256Of = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

const bytesOf = (numbers: Float32Array): Uint8Array =>
  new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength);
