/** Pen and ink: wavering outlines, and shadow built from hatching that crosses itself where it is darkest. */
import type { Random } from '../../random.ts';
import { type Colour, css, lightness, type Palette } from '../colour.ts';
import { valueNoise } from '../noise.ts';
import { blurred, type Raster, renderSvg } from '../raster.ts';
import { type Point, pathOf, type Scene, SIDE, sceneToSvg, svgDocument } from '../scene.ts';

const PAPER: Colour = [250, 247, 238];

/** Each set of hatching: its direction, its spacing in pixels, and the lightness below which it is drawn. */
const HATCHES = [
  { x: 0.71, y: 0.71, spacing: 6.5, below: 0.72 },
  { x: 0.71, y: -0.71, spacing: 6.5, below: 0.47 },
  { x: 0.05, y: 1, spacing: 5, below: 0.27 },
] as const;

export async function ink(scene: Scene, { random, palette }: { random: Random; palette: Palette }): Promise<Raster> {
  const pen: Colour = lightness(...palette.dark) < 0.25 ? palette.dark : [25, 22, 30];
  const tone = await blurred(await renderSvg(sceneToSvg(scene)), 1.2);
  const outlines = scene.shapes.map((shape) => {
    const line = wavering(shape.outline, random);
    const width = (0.7 + 1.5 * shape.depth * random.between(0.7, 1.2)).toFixed(2);
    return `<path d="${pathOf(line)}" fill="#fff" stroke="#000" stroke-width="${width}" stroke-linejoin="round"/>`;
  });
  const lines = await renderSvg(
    svgDocument(`<rect width="${SIDE}" height="${SIDE}" fill="${css([255, 255, 255])}"/>${outlines.join('')}`),
  );
  return inked(tone, lines, pen, random);
}

function wavering(outline: readonly Point[], random: Random): Point[] {
  return outline.map(([x, y]) => [x + random.between(-0.8, 0.8), y + random.between(-0.8, 0.8)]);
}

function inked(tone: Raster, lines: Raster, pen: Colour, random: Random): Raster {
  const { width, height, data } = tone;
  const noise = valueNoise(random);
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at += 3) {
      const light = lightness(data[at]!, data[at + 1]!, data[at + 2]!) + noise(x / 30, y / 30) * 0.05;
      let coverage = 1 - lines.data[at]! / 255;
      for (const hatch of HATCHES) {
        if (light >= hatch.below) continue;
        const along = (x * hatch.x + y * hatch.y + noise(x / 40, y / 40) * 2.5) / hatch.spacing;
        const distance = Math.abs(along - Math.round(along)) * hatch.spacing;
        const half = 0.45 + Math.min(1, (hatch.below - light) * 2.2);
        coverage = Math.max(coverage, Math.min(1, Math.max(0, half + 0.5 - distance)) * 0.88);
      }
      const fibre = noise(x / 1.9, y / 1.9) * 4;
      for (let channel = 0; channel < 3; channel++) {
        data[at + channel] = PAPER[channel]! * (1 - coverage) + pen[channel]! * coverage + fibre;
      }
    }
  }
  return tone;
}
