/**
 * The image encoder: picture files in, embeddings out. Any ONNX model with a manifest (manifest.ts) can be one.
 * Runs in batches, in a thread of its own or in a host's; knows no storage and no queue.
 */
import { join } from 'node:path';
import { openSession, type SessionOptions } from '../session.ts';
import type { SessionHost } from '../sessionHost.ts';
import { encoderHash, readManifest } from './manifest.ts';
import type { ModelFile } from './modelFile.ts';
import { inputLength, writePixels } from './preprocess.ts';

export interface ImageEncoder {
  /** Names the encoder: embeddings are stored by it. */
  readonly sha256: string;
  readonly dimensions: number;
  /** Bytes of picture files → one embedding each, in order. Throws INVALID when one cannot be decoded. */
  encode(pictures: readonly Buffer[]): Promise<Float32Array[]>;
  close(): Promise<void>;
}

/** Pictures of one run: more gain no speed on one core (bench/encode.ts) and hold more memory. */
const BATCH = 8;

/**
 * Opens the encoder whose manifest is in `directory`, in a worker thread unless told otherwise.
 * @param options.host runs it, by its own options
 */
export async function loadImageEncoder(
  directory: string,
  { batch = BATCH, host, ...options }: SessionOptions & { batch?: number; host?: SessionHost } = {},
): Promise<ImageEncoder> {
  const manifest = await readManifest(directory, 'image');
  const { input, output } = manifest;
  const { file, sha256 } = manifest.model;
  const model: ModelFile = { path: join(directory, file), sha256, holds: 'model' };
  const session = await (host ? host.open(model) : openSession(model, { worker: true, ...options }));
  const length = inputLength(input);
  const frame = [input.crop.height, input.crop.width];
  const dims = input.layout === 'NCHW' ? [3, ...frame] : [...frame, 3];

  const prepare = async (pictures: readonly Buffer[]) => {
    const data = new Float32Array(pictures.length * length);
    await Promise.all(pictures.map((picture, i) => writePixels(picture, input, data, i * length)));
    return { dtype: 'float32' as const, dims: [pictures.length, ...dims], data };
  };

  return {
    sha256: encoderHash(manifest),
    dimensions: output.dimensions,
    async encode(pictures) {
      const embeddings: Float32Array[] = [];
      for (let start = 0; start < pictures.length; start += batch) {
        const pixels = await prepare(pictures.slice(start, start + batch));
        const results = await session.run({ [input.name]: pixels }, [output.name], { give: true });
        embeddings.push(...splitRows(results[output.name]!.data as Float32Array, output.dimensions));
      }
      return embeddings;
    },
    close: () => session.close(),
  };
}

/** A row-major matrix as one array a row, each with memory of its own. */
export function splitRows(matrix: Float32Array, columns: number): Float32Array[] {
  return Array.from({ length: matrix.length / columns }, (_, i) => matrix.slice(i * columns, (i + 1) * columns));
}
