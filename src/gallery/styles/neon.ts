/** Neon: outlines as glowing tubes on a dark wall. */
import type { Random } from '../../random.ts';
import { css, lightness, mix, type Palette } from '../colour.ts';
import { blurred, type Raster, renderSvg } from '../raster.ts';
import { pathOf, type Scene, SIDE, svgDocument } from '../scene.ts';

export async function neon(scene: Scene, { random, palette }: { random: Random; palette: Palette }): Promise<Raster> {
  const wall = mix(palette.dark, [8, 6, 22], 0.7);
  const tubes = scene.shapes.map((shape) => {
    const glow = lightness(...shape.colour) > 0.3 ? shape.colour : random.pick([...palette.accents, palette.light]);
    const width = (1 + 1.6 * shape.depth).toFixed(1);
    return `<path d="${pathOf(shape.outline)}" fill="${css(mix(wall, shape.colour, 0.07))}" stroke="${css(saturated(glow))}" stroke-width="${width}" stroke-linejoin="round"/>`;
  });
  const lines = await renderSvg(
    svgDocument(`<rect width="${SIDE}" height="${SIDE}" fill="${css(wall)}"/>${tubes.join('')}`),
  );
  const [near, far] = await Promise.all([blurred(lines, 5), blurred(lines, 18)]);
  for (let at = 0; at < lines.data.length; at++) {
    const light = lines.data[at]! + near.data[at]! * 0.85 + far.data[at]! * 0.75 - 24;
    lines.data[at] = light;
  }
  return lines;
}

function saturated([red, green, blue]: readonly [number, number, number]): [number, number, number] {
  const mean = (red + green + blue) / 3;
  const lift = (channel: number): number => mean + (channel - mean) * 1.8 + 25;
  return [lift(red), lift(green), lift(blue)];
}
