/**
 * Where a phase of training came to, as a file: a run that was ended goes on from it to the same weights. Written whole
 * or not at all; read only by the run that it belongs to.
 */
import { createHash } from 'node:crypto';
import { open, readFile, rename } from 'node:fs/promises';
import { z } from 'zod';
import { PalateError } from '../../errors.ts';
import type { PhaseState, StepReport } from '../trainer.ts';

const VECTORS = ['weights', 'firstMoment', 'secondMoment', 'average', 'best'] as const;
const headerSchema = z.strictObject({
  format: z.literal('palate-checkpoint-2'),
  /** Names everything that the run depends on. */
  run: z.string(),
  step: z.int().min(0),
  accuracy: z.number(),
  score: z.number(),
  sinceBest: z.int().min(0),
  /** Step, losses and accuracy of every step so far. */
  curve: z.array(z.tuple([z.int(), z.number(), z.number(), z.number(), z.number().nullable()])),
  /** Numbers in each of the five vectors. */
  size: z.int().positive(),
  /** Of the vectors' bytes. */
  sha256: z.string(),
});

/** What a step came to: whoever heard of it may be gone when it is asked for. */
export type CurvePoint = Pick<StepReport, 'step' | 'base' | 'contrastive' | 'loss' | 'validationAccuracy'>;

export interface Checkpoint {
  readonly state: PhaseState;
  /** Of every step up to the state's. */
  readonly curve: readonly CurvePoint[];
}

/** One line of JSON, then the vectors. */
export async function writeCheckpoint(file: string, run: string, { state, curve }: Checkpoint): Promise<void> {
  const { weights, firstMoment, secondMoment, average, best } = state;
  const vectors = [weights, firstMoment, secondMoment, average, best.weights].map(bytesOf);
  const header: z.infer<typeof headerSchema> = {
    format: 'palate-checkpoint-2',
    run,
    step: state.step,
    accuracy: best.accuracy,
    score: best.score,
    sinceBest: state.sinceBest,
    curve: curve.map((point) => [point.step, point.base, point.contrastive, point.loss, point.validationAccuracy]),
    size: weights.length,
    sha256: sha256Of(vectors),
  };
  const partial = `${file}.partial`;
  const handle = await open(partial, 'w');
  try {
    await handle.writev([Buffer.from(`${JSON.stringify(header)}\n`), ...vectors]);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(partial, file);
}

/**
 * What a checkpoint holds; null where there is none, or one of another run. Throws BAD_USER_INPUT where the
 * file is damaged.
 */
export async function readCheckpoint(file: string, run: string): Promise<Checkpoint | null> {
  let bytes: Buffer;
  try {
    bytes = await readFile(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  const end = bytes.indexOf('\n');
  const header = parseHeader(bytes.subarray(0, Math.max(0, end)).toString());
  const body = Uint8Array.from(bytes.subarray(end + 1));
  if (!header || body.length !== VECTORS.length * 4 * header.size || sha256Of([body]) !== header.sha256) {
    throw new PalateError('BAD_USER_INPUT', `The checkpoint ${file} is damaged: delete it to begin the training anew.`);
  }
  if (header.run !== run) return null;
  const vector = (name: (typeof VECTORS)[number]) =>
    new Float32Array(body.buffer, VECTORS.indexOf(name) * 4 * header.size, header.size).slice();
  const state = {
    step: header.step,
    weights: vector('weights'),
    firstMoment: vector('firstMoment'),
    secondMoment: vector('secondMoment'),
    average: vector('average'),
    best: { weights: vector('best'), accuracy: header.accuracy, score: header.score },
    sinceBest: header.sinceBest,
  };
  const curve = header.curve.map(([step, base, contrastive, loss, validationAccuracy]) => {
    return { step, base, contrastive, loss, validationAccuracy };
  });
  return { state, curve };
}

function parseHeader(text: string): z.infer<typeof headerSchema> | null {
  try {
    return headerSchema.parse(JSON.parse(text));
  } catch {
    return null;
  }
}

function sha256Of(parts: readonly Uint8Array[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
}

const bytesOf = (numbers: Float32Array): Uint8Array =>
  new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength);
