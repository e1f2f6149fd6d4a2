/**
 * A model that lies in a file: read, checked and, where the file holds weights alone, made where the model is opened. A
 * service that opens one again does so in the engine's process, not in the thread that answers.
 */
import { readVerified } from './manifest.ts';
import { buildMiniLM } from './miniLM.ts';

export interface ModelFile {
  readonly path: string;
  readonly sha256: string;
  /** A model, or weights and what they are of. */
  readonly holds: 'model' | 'weights of MiniLM';
}

/** The model's bytes. Throws INTERNAL_SERVER_ERROR where the file is another than it should be. */
export async function modelIn({ path, sha256, holds }: ModelFile): Promise<Uint8Array> {
  const bytes = await readVerified(path, sha256);
  return holds === 'model' ? bytes : buildMiniLM(bytes);
}
