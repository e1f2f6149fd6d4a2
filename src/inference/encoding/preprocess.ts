/**
 * From a picture file's bytes to the numbers an image encoder reads: upright, first frame, sRGB, resized, cropped,
 * scaled, as the manifest says. Trusts that the file was checked before; knows no storage.
 */
import sharp from 'sharp';
import { PalateError } from '../../errors.ts';
import type { ImageManifest } from './manifest.ts';

type ImageInput = ImageManifest['input'];

/** Numbers one picture takes in the input tensor. */
export const inputLength = ({ crop }: ImageInput): number => 3 * crop.width * crop.height;

/**
 * Writes a picture into `target` at `offset`, `inputLength(input)` numbers in the manifest's layout.
 * Throws INVALID when the bytes cannot be decoded.
 */
export async function writePixels(picture: Buffer, input: ImageInput, target: Float32Array, offset: number) {
  const rgb = await decode(picture, input);
  const { scale, mean, std, layout, channels, crop } = input;
  const area = crop.width * crop.height;
  for (let channel = 0; channel < 3; channel++) {
    const from = channels === 'RGB' ? channel : 2 - channel;
    const factor = scale / std[channel]!;
    const shift = mean[channel]! / std[channel]!;
    const start = offset + (layout === 'NCHW' ? channel * area : channel);
    const step = layout === 'NCHW' ? 1 : 3;
    for (let i = 0; i < area; i++) target[start + i * step] = rgb[i * 3 + from]! * factor - shift;
  }
}

/** Eight-bit RGB of the crop, interleaved. Transparent parts stand on white, as on most pages. */
async function decode(picture: Buffer, { resize, crop }: ImageInput): Promise<Buffer> {
  try {
    const image = sharp(picture, { failOn: 'error' });
    const { autoOrient } = await image.metadata();
    const size = resizedSize(autoOrient, resize);
    return await image
      .autoOrient()
      .flatten({ background: '#ffffff' })
      .toColourspace('srgb')
      .resize({ ...size, fit: 'fill', kernel: 'lanczos3' })
      .extract({
        left: Math.floor((size.width - crop.width) / 2),
        top: Math.floor((size.height - crop.height) / 2),
        width: crop.width,
        height: crop.height,
      })
      .raw({ depth: 'uchar' })
      .toBuffer();
  } catch (cause) {
    throw new PalateError('INVALID', `The picture cannot be decoded: ${(cause as Error).message}.`, { cause });
  }
}

function resizedSize({ width, height }: { width: number; height: number }, resize: ImageInput['resize']) {
  if (!('shortestEdge' in resize)) return resize;
  const factor = resize.shortestEdge / Math.min(width, height);
  return { width: Math.round(width * factor), height: Math.round(height * factor) };
}
