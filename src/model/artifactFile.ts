/**
 * A model as one file: a line that names the format and the SHA-256 of all that follows, the manifest on a line, the
 * weights. So manifest and weights are there together, or not at all, and damage to either is found. Bytes only.
 */
import { PalateError } from '../errors.ts';
import { decodeModel, encodeWeights, type ModelArtifact, parseManifest, sha256Of } from './artifact.ts';

const FORMAT = 'palate-model-file-1';
/** Longer than any first line: of what is no model's file, no more is searched. */
const MOST_HEADER_BYTES = 200;
const NEWLINE = 0x0a;

/** The file of a model whose manifest is sealed. */
export function packModel(artifact: ModelArtifact): Uint8Array {
  const manifest = Buffer.from(`${JSON.stringify(artifact.manifest)}\n`);
  const content = Buffer.concat([manifest, encodeWeights(artifact)]);
  return Buffer.concat([Buffer.from(`${FORMAT} ${sha256Of(content)}\n`), content]);
}

/** Reads a packed file. Throws BAD_USER_INPUT that says whether it is damaged, or of another version's format. */
export function unpackModel(bytes: Uint8Array): ModelArtifact {
  const [format, checksum] = headerOf(bytes).split(' ');
  if (!/^palate-model-file-\d+$/.test(format ?? '')) throw damaged('its first line names no format');
  if (format !== FORMAT) {
    const message = `It is of the format ${format}; this version of Palate reads ${FORMAT}. Use the one that wrote it.`;
    throw new PalateError('BAD_USER_INPUT', message);
  }
  const content = bytes.subarray(bytes.indexOf(NEWLINE) + 1);
  const actual = sha256Of(content);
  if (actual !== checksum) throw damaged(`the SHA-256 of its content is ${actual}, its first line says ${checksum}`);
  const end = content.indexOf(NEWLINE);
  const manifest = parseManifest(new TextDecoder().decode(content.subarray(0, end)));
  return decodeModel(manifest, content.subarray(end + 1));
}

/** The first line; nothing where there is none. */
function headerOf(bytes: Uint8Array): string {
  const end = bytes.subarray(0, MOST_HEADER_BYTES).indexOf(NEWLINE);
  return new TextDecoder().decode(bytes.subarray(0, Math.max(0, end)));
}

const damaged = (how: string) => new PalateError('BAD_USER_INPUT', `It is damaged: ${how}. Copy it from a backup.`);
