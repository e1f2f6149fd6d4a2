/**
 * Pictures as pixels: rendering SVG, reading colours at a point, writing JPEG. The one file of the gallery that
 * speaks to sharp.
 */
import sharp, { type Sharp } from 'sharp';
import { SIDE } from './scene.ts';

/** Red, green and blue bytes, row by row from the top left. */
export interface Raster {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8ClampedArray;
}

/** Pixels of a scene-sized SVG document, opaque. */
export async function renderSvg(svg: string, side = SIDE): Promise<Raster> {
  const { data, info } = await sharp(Buffer.from(svg), { density: (72 * side) / SIDE })
    .flatten({ background: '#ffffff' })
    .removeAlpha()
    .toColourspace('srgb')
    .raw()
    .toBuffer({ resolveWithObject: true });
  return {
    width: info.width,
    height: info.height,
    data: new Uint8ClampedArray(data.buffer, data.byteOffset, data.length),
  };
}

export function emptyRaster(side = SIDE): Raster {
  return { width: side, height: side, data: new Uint8ClampedArray(side * side * 3) };
}

/** Where the pixel at (x, y) begins in `data`; points outside are moved to the nearest edge. */
export function offsetOf(raster: Raster, x: number, y: number): number {
  const column = x < 0 ? 0 : x >= raster.width ? raster.width - 1 : x | 0;
  const row = y < 0 ? 0 : y >= raster.height ? raster.height - 1 : y | 0;
  return (row * raster.width + column) * 3;
}

/** The raster blurred by a Gaussian of `sigma` pixels. */
export async function blurred(raster: Raster, sigma: number): Promise<Raster> {
  const data = await asSharp(raster).blur(sigma).raw().toBuffer();
  return { ...raster, data: new Uint8ClampedArray(data.buffer, data.byteOffset, data.length) };
}

/** Baseline JPEG, full chroma. The same pixels give the same bytes. */
export function encodeJpeg(raster: Raster, quality = 88): Promise<Buffer> {
  return asSharp(raster).jpeg({ quality, chromaSubsampling: '4:4:4' }).toBuffer();
}

function asSharp(raster: Raster): Sharp {
  const { width, height, data } = raster;
  return sharp(Buffer.from(data.buffer, data.byteOffset, data.length), { raw: { width, height, channels: 3 } });
}
