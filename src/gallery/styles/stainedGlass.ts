/** Stained glass: cells around scattered points, one colour each, light through the glass, lead between. */
import type { Random } from '../../random.ts';
import { valueNoise } from '../noise.ts';
import { emptyRaster, offsetOf, type Raster, renderSvg } from '../raster.ts';
import { type Detail, type Scene, SIDE, sceneToSvg } from '../scene.ts';

const CELL: Record<Detail, number> = { sparse: 30, moderate: 23, rich: 17 };
/** Half the width of the lead, in pixels. */
const LEAD = 1.3;

export async function stainedGlass(
  scene: Scene,
  { random, detail }: { random: Random; detail: Detail },
): Promise<Raster> {
  const plain = await renderSvg(sceneToSvg(scene));
  const cell = CELL[detail];
  const columns = Math.ceil(SIDE / cell) + 2;
  const centres = Float32Array.from({ length: columns * columns * 2 }, (_, i) => {
    const index = i >> 1;
    const place = i % 2 === 0 ? index % columns : Math.floor(index / columns);
    return (place - 1 + random.between(0.12, 0.88)) * cell;
  });
  const glass = valueNoise(random);
  const window = emptyRaster();
  for (let y = 0, at = 0; y < SIDE; y++) {
    for (let x = 0; x < SIDE; x++, at += 3) {
      const { centre, margin } = nearestCentre(centres, columns, cell, x, y);
      const from = offsetOf(plain, centres[centre * 2]!, centres[centre * 2 + 1]!);
      const lead = Math.min(1, Math.max(0, (LEAD + 1 - margin) / 1.4));
      const glow = 1.06 + glass(x / 26 + centre, y / 26) * 0.13 + Math.min(0.12, margin * 0.009);
      for (let channel = 0; channel < 3; channel++) {
        const mean = (plain.data[from]! + plain.data[from + 1]! + plain.data[from + 2]!) / 3;
        const pure = mean + (plain.data[from + channel]! - mean) * 1.3;
        window.data[at + channel] = pure * glow * (1 - lead) + 22 * lead;
      }
    }
  }
  return window;
}

/** The nearest centre to a pixel, and how far the pixel lies from the border to the second nearest. */
function nearestCentre(
  centres: Float32Array,
  columns: number,
  cell: number,
  x: number,
  y: number,
): { centre: number; margin: number } {
  const column = Math.floor(x / cell) + 1;
  const row = Math.floor(y / cell) + 1;
  let centre = 0;
  let least = Infinity;
  let second = Infinity;
  for (let r = Math.max(0, row - 1); r <= Math.min(columns - 1, row + 1); r++) {
    for (let c = Math.max(0, column - 1); c <= Math.min(columns - 1, column + 1); c++) {
      const index = r * columns + c;
      const distance = Math.hypot(centres[index * 2]! - x, centres[index * 2 + 1]! - y);
      if (distance < least) {
        second = least;
        least = distance;
        centre = index;
      } else if (distance < second) second = distance;
    }
  }
  return { centre, margin: (second - least) / 2 };
}
