/** Grain over a finished picture: paper fibre, film, pigment. */
import type { Random } from '../random.ts';
import { valueNoise } from './noise.ts';
import type { Raster } from './raster.ts';

/**
 * Lightens and darkens pixels at random, in place.
 * @param strength the largest change of a channel, of 255
 * @param scale size of a grain in pixels; below 1 every pixel is drawn by itself
 */
export function addGrain(
  raster: Raster,
  random: Random,
  { strength, scale }: { strength: number; scale: number },
): Raster {
  const { width, height, data } = raster;
  const noise = valueNoise(random);
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at += 3) {
      const change = noise((x + (y % 7) * 0.3) / scale, y / scale) * strength;
      data[at] = data[at]! + change;
      data[at + 1] = data[at + 1]! + change;
      data[at + 2] = data[at + 2]! + change;
    }
  }
  return raster;
}
