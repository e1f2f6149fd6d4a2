/** Woodcut: two inks on cream paper, light carved as lines that swell and thin along the grain. */
import type { Random } from '../../random.ts';
import { type Colour, lightness, mix, type Palette } from '../colour.ts';
import { fractal, valueNoise } from '../noise.ts';
import { type Raster, renderSvg } from '../raster.ts';
import { type Scene, sceneToSvg } from '../scene.ts';

/** Distance between carved lines, in pixels. */
const SPACING = 6;

export async function woodcut(
  scene: Scene,
  { random, palette }: { random: Random; palette: Palette },
): Promise<Raster> {
  const raster = await renderSvg(sceneToSvg(scene));
  const { width, height, data } = raster;
  const bend = fractal(valueNoise(random), 2);
  const paper: Colour = mix(palette.light, [246, 236, 214], 0.6);
  const key = mix(palette.dark, [18, 14, 14], 0.4);
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at += 3) {
      const colour: Colour = [data[at]!, data[at + 1]!, data[at + 2]!];
      const light = lightness(...colour);
      const place = (y + bend(x / 150, y / 150) * 46 + Math.sin(x / 60) * 3) / SPACING;
      const distance = Math.abs(place - Math.round(place)) * 2;
      const burr = bend(x / 5, y / 5) * 0.22;
      const black = light < 0.16 || distance + burr < (0.78 - light) * 1.15;
      const chroma = Math.max(...colour) - Math.min(...colour);
      const tint = chroma > 70 && light > 0.22 ? mix(paper, colour, 0.9) : mix(paper, colour, 0.22);
      const printed = black ? key : tint;
      data[at] = printed[0];
      data[at + 1] = printed[1];
      data[at + 2] = printed[2];
    }
  }
  return raster;
}
