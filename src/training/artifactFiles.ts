/** Writing a model to a folder: manifest.json and the weights beside it, as `loadArtifact` (inference/) reads them. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { encodeWeights, type ModelArtifact } from '../model/artifact.ts';

/** Makes the folder; what lies there under the same names is written over. */
export async function writeArtifact(directory: string, artifact: ModelArtifact): Promise<void> {
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, artifact.manifest.weights.file), encodeWeights(artifact));
  await writeFile(join(directory, 'manifest.json'), `${JSON.stringify(artifact.manifest, null, 2)}\n`);
}
