/**
 * Oil: strokes from broad to fine, each in the colour under its middle, following the shapes (across the gradient of
 * lightness); then light falls from the upper left on the ridges of the paint. After Hertzmann, "Painterly Rendering
 * with Curved Brush Strokes of Multiple Sizes" (SIGGRAPH 1998).
 */
import type { Random } from '../../random.ts';
import { type Colour, css, lightness } from '../colour.ts';
import { valueNoise } from '../noise.ts';
import { blurred, offsetOf, type Raster, renderSvg } from '../raster.ts';
import { type Detail, type Scene, SIDE, sceneToSvg, svgDocument } from '../scene.ts';

/** Stroke widths in scene units, and how many strokes of each. */
const LAYERS = [
  { width: 26, strokes: 360, length: 60 },
  { width: 12, strokes: 1100, length: 30 },
  { width: 5, strokes: 2600, length: 15 },
] as const;

export async function oil(scene: Scene, { random, detail }: { random: Random; detail: Detail }): Promise<Raster> {
  const plain = await renderSvg(sceneToSvg(scene));
  const guide = await blurred(plain, 5);
  const flow = valueNoise(random);
  let strokes = '';
  for (const layer of detail === 'sparse' ? LAYERS.slice(0, 2) : LAYERS) {
    for (let stroke = 0; stroke < layer.strokes; stroke++) {
      strokes += strokeAt(plain, guide, flow, random, layer.width, layer.length);
    }
  }
  const canvas = await renderSvg(
    svgDocument(
      `<rect width="${SIDE}" height="${SIDE}" fill="#b9a58a"/><g fill="none" stroke-linecap="round">${strokes}</g>`,
    ),
  );
  return lit(canvas, random);
}

function strokeAt(
  plain: Raster,
  guide: Raster,
  flow: (x: number, y: number) => number,
  random: Random,
  width: number,
  length: number,
): string {
  const x = random.between(0, SIDE);
  const y = random.between(0, SIDE);
  const at = offsetOf(plain, x, y);
  const tone = random.between(-13, 13);
  const colour: Colour = [plain.data[at]! + tone, plain.data[at + 1]! + tone, plain.data[at + 2]! + tone * 0.8];
  const angle = alongEdge(guide, x, y) ?? flow(x / 130, y / 130) * 2.2;
  const dx = (Math.cos(angle) * length) / 2;
  const dy = (Math.sin(angle) * length) / 2;
  const bend = random.between(-0.3, 0.3) * length;
  const path = `M${(x - dx).toFixed(1)} ${(y - dy).toFixed(1)}Q${(x - dy * (bend / length)).toFixed(1)} ${(y + dx * (bend / length)).toFixed(1)} ${(x + dx).toFixed(1)} ${(y + dy).toFixed(1)}`;
  return `<path d="${path}" stroke="${css(colour)}" stroke-width="${(width * random.between(0.7, 1.15)).toFixed(1)}"/>`;
}

/** The direction in which lightness does not change at a point; null where there is no edge to follow. */
function alongEdge(guide: Raster, x: number, y: number): number | null {
  const light = (px: number, py: number): number => {
    const at = offsetOf(guide, px, py);
    return lightness(guide.data[at]!, guide.data[at + 1]!, guide.data[at + 2]!);
  };
  const dx = light(x + 4, y) - light(x - 4, y);
  const dy = light(x, y + 4) - light(x, y - 4);
  return Math.hypot(dx, dy) < 0.02 ? null : Math.atan2(dy, dx) + Math.PI / 2;
}

function lit(canvas: Raster, random: Random): Raster {
  const { width, height, data } = canvas;
  const weave = valueNoise(random);
  const heights = new Float32Array(width * height);
  for (let i = 0; i < heights.length; i++) {
    heights[i] =
      lightness(data[i * 3]!, data[i * 3 + 1]!, data[i * 3 + 2]!) +
      weave((i % width) / 2.2, Math.floor(i / width) / 2.2) * 0.03;
  }
  for (let y = height - 1; y > 0; y--) {
    for (let x = width - 1; x > 0; x--) {
      const i = y * width + x;
      const slope = Math.max(-0.16, Math.min(0.16, heights[i]! - heights[i - width - 1]!)) * 130;
      for (let channel = 0; channel < 3; channel++) data[i * 3 + channel] = data[i * 3 + channel]! + slope;
    }
  }
  return canvas;
}
