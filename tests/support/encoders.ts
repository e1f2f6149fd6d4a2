/** The encoders that ship, each opened when it is first asked to encode: most tests need one of them, or neither. */
import {
  encoderHash,
  type ImageEncoder,
  loadImageEncoder,
  loadTextEncoder,
  readManifest,
  SHIPPED_IMAGE_ENCODER,
  SHIPPED_TEXT_ENCODER,
  type TextEncoder,
} from '../../src/inference/encoding/index.ts';

interface Encoder<Input> {
  readonly sha256: string;
  readonly dimensions: number;
  encode(inputs: readonly Input[]): Promise<Float32Array[]>;
  close(): Promise<void>;
}

export async function shippedEncoders(): Promise<{ imageEncoder: ImageEncoder; textEncoder: TextEncoder }> {
  const image = await readManifest(SHIPPED_IMAGE_ENCODER, 'image');
  const text = await readManifest(SHIPPED_TEXT_ENCODER, 'text');
  return {
    imageEncoder: opened(encoderHash(image), image.output, () => loadImageEncoder(SHIPPED_IMAGE_ENCODER)),
    textEncoder: opened(encoderHash(text), text.output, () => loadTextEncoder(SHIPPED_TEXT_ENCODER)),
  };
}

function opened<Input>(
  sha256: string,
  { dimensions }: { dimensions: number },
  load: () => Promise<Encoder<Input>>,
): Encoder<Input> {
  let encoder: Promise<Encoder<Input>> | null = null;
  return {
    ...{ sha256, dimensions },
    async encode(inputs) {
      if (inputs.length === 0) return [];
      encoder ??= load();
      return (await encoder).encode(inputs);
    },
    close: async () => (await encoder)?.close(),
  };
}
