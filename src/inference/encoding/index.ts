/**
 * The encoders: frozen models from pixels or text to an embedding. To add one, put its ONNX file and its manifest into
 * a folder (docs/encoders.md); the two that ship are named here.
 */
import { fileURLToPath } from 'node:url';

export { type ImageEncoder, loadImageEncoder } from './imageEncoder.ts';
export { encoderHash, type ImageManifest, readManifest, type TextManifest } from './manifest.ts';
export { loadTextEncoder, type TextEncoder } from './textEncoder.ts';

/** Folders of the encoders that ship; the same path from src and from dist. */
const shipped = (name: string): string => fileURLToPath(new URL(`../../../models/encoders/${name}`, import.meta.url));
export const SHIPPED_IMAGE_ENCODER = shipped('resnet50-style');
export const SHIPPED_TEXT_ENCODER = shipped('minilm');
