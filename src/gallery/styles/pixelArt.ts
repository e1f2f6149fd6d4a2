/** Pixel art: 64 or 96 large pixels a side, a handful of colours, ordered dithering between them. */
import { type Colour, mix, type Palette } from '../colour.ts';
import { emptyRaster, offsetOf, type Raster, renderSvg } from '../raster.ts';
import { type Detail, type Scene, sceneToSvg } from '../scene.ts';

/** Bayer's 4 × 4 threshold matrix. */
const BAYER = [0, 8, 2, 10, 12, 4, 14, 6, 3, 11, 1, 9, 15, 7, 13, 5];

export async function pixelArt(
  scene: Scene,
  { palette, detail }: { palette: Palette; detail: Detail },
): Promise<Raster> {
  const side = detail === 'rich' ? 96 : 64;
  const small = await renderSvg(sceneToSvg(scene), side);
  const colours = limitedColours(palette);
  const cells = new Uint8Array(side * side * 3);
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      const at = offsetOf(small, x, y);
      const push = (BAYER[(y % 4) * 4 + (x % 4)]! / 16 - 0.47) * 26;
      const wanted: Colour = [small.data[at]! + push, small.data[at + 1]! + push, small.data[at + 2]! + push];
      cells.set(nearest(colours, wanted), (y * side + x) * 3);
    }
  }
  const picture = emptyRaster();
  for (let y = 0, at = 0; y < picture.height; y++) {
    for (let x = 0; x < picture.width; x++, at += 3) {
      const from = (Math.floor((y * side) / picture.height) * side + Math.floor((x * side) / picture.width)) * 3;
      for (let channel = 0; channel < 3; channel++) picture.data[at + channel] = cells[from + channel]!;
    }
  }
  return picture;
}

function limitedColours({ sky, ground, accents, dark, light }: Palette): Colour[] {
  const roles = [...sky, ...ground, ...accents, dark, light];
  return [
    ...roles,
    ...accents.map((accent) => mix(accent, dark, 0.4)),
    mix(ground[0], light, 0.5),
    mix(ground[2], dark, 0.5),
  ];
}

function nearest(colours: readonly Colour[], [red, green, blue]: Colour): Colour {
  let best = colours[0]!;
  let least = Infinity;
  for (const colour of colours) {
    const distance = 2 * (colour[0] - red) ** 2 + 4 * (colour[1] - green) ** 2 + 3 * (colour[2] - blue) ** 2;
    if (distance < least) [best, least] = [colour, distance];
  }
  return best;
}
