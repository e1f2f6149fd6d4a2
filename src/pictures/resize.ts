/**
 * A stored picture in a smaller size, for showing: upright, first frame, sRGB, without the metadata it came with.
 */
import sharp from 'sharp';
import { PICTURE_FORMATS } from './formats.ts';

/** What resized pictures are: small, with transparency, and shown by every browser. */
export const RESIZED_MEDIA_TYPE = PICTURE_FORMATS.webp.mediaType;
/** Of WebP: where people stop telling it from the original at these sizes. */
const QUALITY = 82;

/** WebP bytes whose longer side is at most `longerSide` pixels; a smaller picture keeps its size. */
export async function resizePicture(bytes: Buffer, longerSide: number): Promise<Buffer> {
  return sharp(bytes)
    .autoOrient()
    .resize({ width: longerSide, height: longerSide, fit: 'inside', withoutEnlargement: true })
    .toColourspace('srgb')
    .webp({ quality: QUALITY })
    .toBuffer();
}
