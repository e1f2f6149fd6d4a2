/** Low poly: a net of triangles, finer along edges, each in one colour and shaded as if it were tilted. */
import type { Random } from '../../random.ts';
import { type Colour, css, lightness, mix } from '../colour.ts';
import { offsetOf, type Raster, renderSvg } from '../raster.ts';
import { type Detail, type Point, pathOf, type Scene, SIDE, sceneToSvg, svgDocument } from '../scene.ts';
import { triangulate } from '../triangulation.ts';

/** Points on edges, and points anywhere, by detail. */
const POINTS: Record<Detail, readonly [number, number]> = { sparse: [220, 60], moderate: [460, 110], rich: [760, 160] };

export async function lowPoly(scene: Scene, { random, detail }: { random: Random; detail: Detail }): Promise<Raster> {
  const plain = await renderSvg(sceneToSvg(scene));
  const [onEdges, anywhere] = POINTS[detail];
  const points: Point[] = [];
  for (let step = 0; step <= 8; step++) {
    const along = (step / 8) * SIDE;
    points.push([along, -6], [along, SIDE + 6], [-6, along], [SIDE + 6, along]);
  }
  for (let tries = 0; tries < onEdges * 40 && points.length < 36 + onEdges; tries++) {
    const [x, y] = [random.between(0, SIDE), random.between(0, SIDE)];
    if (contrast(plain, x, y) > 0.09) points.push([x, y]);
  }
  for (let point = 0; point < anywhere; point++) points.push([random.between(0, SIDE), random.between(0, SIDE)]);
  const faces = triangulate(points).map((corners) => {
    const outline = corners.map((corner) => points[corner]!);
    const fill = css(shaded(plain, outline, random));
    return `<path d="${pathOf(outline)}" fill="${fill}" stroke="${fill}" stroke-width="0.7"/>`;
  });
  return renderSvg(svgDocument(faces.join('')));
}

function contrast(raster: Raster, x: number, y: number): number {
  const light = (px: number, py: number): number => {
    const at = offsetOf(raster, px, py);
    return lightness(raster.data[at]!, raster.data[at + 1]!, raster.data[at + 2]!);
  };
  return Math.abs(light(x - 3, y) - light(x + 3, y)) + Math.abs(light(x, y - 3) - light(x, y + 3));
}

/** The mean colour of a face at five points, lighter or darker by which way it leans. */
function shaded(raster: Raster, outline: readonly Point[], random: Random): Colour {
  const [a, b, c] = outline as [Point, Point, Point];
  const middle: Point = [(a[0] + b[0] + c[0]) / 3, (a[1] + b[1] + c[1]) / 3];
  const sum = [0, 0, 0];
  const samples: Point[] = [middle, ...outline.map(([x, y]): Point => [(x + middle[0]) / 2, (y + middle[1]) / 2])];
  for (const [x, y] of samples) {
    const at = offsetOf(raster, x, y);
    for (let channel = 0; channel < 3; channel++) sum[channel]! += raster.data[at + channel]! / samples.length;
  }
  const lean = random.between(-0.16, 0.16);
  return mix(sum as unknown as Colour, lean > 0 ? [255, 255, 255] : [0, 0, 0], Math.abs(lean));
}
