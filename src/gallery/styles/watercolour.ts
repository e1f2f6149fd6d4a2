/**
 * Watercolour: every shape is laid down several times, each time with an outline that has run a little further, so
 * that colour pools inside and thins at the edge (after Tyler Hobbs, "How to hack a painting"). Pigment settles in
 * the paper's grain, and the sheet stays white around the picture.
 */
import type { Random } from '../../random.ts';
import { type Colour, css, mix } from '../colour.ts';
import { fractal, valueNoise } from '../noise.ts';
import { type Raster, renderSvg } from '../raster.ts';
import { type Point, pathOf, type Scene, SIDE, svgDocument } from '../scene.ts';

const WASHES = 4;
/** The backdrop is laid down as so many overlapping washes, from its top colour to its bottom one. */
const SKY_BANDS = 6;
/** Of the sheet around the picture, in scene units. */
const MARGIN = 18;
const PAPER: Colour = [253, 250, 242];

export async function watercolour(scene: Scene, { random }: { random: Random }): Promise<Raster> {
  const layers = [
    ...Array.from({ length: SKY_BANDS }, (_, band) => {
      const top = MARGIN + ((SIDE - 2 * MARGIN) * band) / SKY_BANDS;
      const sheet: Point[] = [
        [MARGIN, top],
        [SIDE - MARGIN, top],
        [SIDE - MARGIN, SIDE - MARGIN],
        [MARGIN, SIDE - MARGIN],
      ];
      return washes(sheet, mix(...scene.backdrop, band / (SKY_BANDS - 1)), random, 0.27);
    }),
    ...scene.shapes.map(
      (shape) =>
        `<path d="${pathOf(shape.outline)}" fill="${css(PAPER)}" opacity="0.45"/>${washes(shape.outline, shape.colour, random, 0.36)}`,
    ),
  ];
  const sheet = await renderSvg(
    svgDocument(`<rect width="${SIDE}" height="${SIDE}" fill="${css(PAPER)}"/>${layers.join('')}`),
  );
  return settle(sheet, random);
}

function washes(outline: readonly Point[], colour: Colour, random: Random, opacity: number): string {
  const xs = outline.map(([x]) => x);
  const ys = outline.map(([, y]) => y);
  const extent = Math.min(120, Math.max(...xs) - Math.min(...xs), Math.max(...ys) - Math.min(...ys));
  const spread = Math.min(9, extent * 0.09);
  let paths = '';
  for (let wash = 0; wash < WASHES; wash++) {
    const run = frayed(outline, random, spread);
    paths += `<path d="${pathOf(run)}" fill="${css(mix(colour, PAPER, wash * 0.04))}" opacity="${opacity}"/>`;
  }
  const edge = css(mix(colour, [20, 20, 40], 0.25));
  return extent < 12
    ? paths
    : `${paths}<path d="${pathOf(outline)}" fill="none" stroke="${edge}" stroke-width="1.4" opacity="0.25"/>`;
}

/** The outline with every side broken once and every point moved a little. */
function frayed(outline: readonly Point[], random: Random, spread: number): Point[] {
  const points: Point[] = [];
  outline.forEach(([x, y], index) => {
    const [nextX, nextY] = outline[(index + 1) % outline.length]!;
    points.push([x + random.between(-spread, spread) * 0.5, y + random.between(-spread, spread) * 0.5]);
    if (Math.hypot(nextX - x, nextY - y) > 14) {
      const t = random.between(0.3, 0.7);
      points.push([
        x + (nextX - x) * t + random.between(-spread, spread),
        y + (nextY - y) * t + random.between(-spread, spread),
      ]);
    }
  });
  return points;
}

/** Lets pigment gather in the paper's hollows and wears the sheet's edge back to white. */
function settle(raster: Raster, random: Random): Raster {
  const { width, height, data } = raster;
  const noise = valueNoise(random);
  const pools = fractal(noise, 3);
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at += 3) {
      const edge = Math.min(x, y, width - 1 - x, height - 1 - y) + pools(x / 18, y / 18) * 12;
      const inside = edge > 22 ? 1 : edge < 12 ? 0 : (edge - 12) / 10;
      const pigment = inside * (0.97 + pools(x / 70, y / 70) * 0.3 + noise(x / 1.7, y / 1.7) * 0.09);
      for (let channel = 0; channel < 3; channel++) {
        const paper = PAPER[channel]!;
        data[at + channel] = paper - (paper - data[at + channel]!) * pigment;
      }
    }
  }
  return raster;
}
