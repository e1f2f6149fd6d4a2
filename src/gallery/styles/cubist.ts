/** Cubist: lines cut the scene into facets; each facet shows it from a place a little aside, with a tone of its own. */
import type { Random } from '../../random.ts';
import { valueNoise } from '../noise.ts';
import { emptyRaster, offsetOf, type Raster, renderSvg } from '../raster.ts';
import { type Detail, type Scene, SIDE, sceneToSvg } from '../scene.ts';

const CUTS: Record<Detail, number> = { sparse: 5, moderate: 8, rich: 12 };

export async function cubist(scene: Scene, { random, detail }: { random: Random; detail: Detail }): Promise<Raster> {
  const plain = await renderSvg(sceneToSvg(scene));
  const cuts = Array.from({ length: CUTS[detail] }, () => {
    const angle = random.between(0, Math.PI);
    const [x, y] = [random.between(0.15, 0.85) * SIDE, random.between(0.15, 0.85) * SIDE];
    return { x: Math.cos(angle), y: Math.sin(angle), offset: Math.cos(angle) * x + Math.sin(angle) * y };
  });
  const facets = new Map<number, { x: number; y: number; zoom: number; slopeX: number; slopeY: number }>();
  const canvas = valueNoise(random);
  const picture = emptyRaster();
  for (let y = 0, at = 0; y < SIDE; y++) {
    for (let x = 0; x < SIDE; x++, at += 3) {
      let sides = 0;
      let nearest = Infinity;
      for (const cut of cuts) {
        const distance = x * cut.x + y * cut.y - cut.offset;
        sides = sides * 2 + (distance > 0 ? 1 : 0);
        nearest = Math.min(nearest, Math.abs(distance));
      }
      let facet = facets.get(sides);
      if (!facet) {
        facet = {
          x: random.between(-34, 34),
          y: random.between(-34, 34),
          zoom: random.between(0.85, 1.2),
          slopeX: random.between(-0.12, 0.12),
          slopeY: random.between(-0.12, 0.12),
        };
        facets.set(sides, facet);
      }
      const from = offsetOf(
        plain,
        (x - SIDE / 2) * facet.zoom + SIDE / 2 + facet.x,
        (y - SIDE / 2) * facet.zoom + SIDE / 2 + facet.y,
      );
      const tone = (x - SIDE / 2) * facet.slopeX + (y - SIDE / 2) * facet.slopeY + canvas(x / 3, y / 3) * 8;
      const line = Math.max(0, 1 - nearest / 1.5) * 0.6;
      for (let channel = 0; channel < 3; channel++) {
        picture.data[at + channel] = (plain.data[from + channel]! + tone) * (1 - line) + 30 * line;
      }
    }
  }
  return picture;
}
