/** Risograph: cyan-like, red-like and dark inks of the palette as rotated screens of dots, slightly out of register. */
import type { Random } from '../../random.ts';
import { type Colour, lightness, mix, type Palette } from '../colour.ts';
import { addGrain } from '../grain.ts';
import { emptyRaster, offsetOf, type Raster, renderSvg } from '../raster.ts';
import { type Scene, sceneToSvg } from '../scene.ts';

const CELL = 6.5;
const PAPER: Colour = [248, 242, 226];

interface Screen {
  readonly ink: Colour;
  readonly angle: number;
  /** How much ink a colour takes, 0 to 1. */
  readonly coverage: (red: number, green: number, blue: number) => number;
}

export async function halftone(
  scene: Scene,
  { random, palette }: { random: Random; palette: Palette },
): Promise<Raster> {
  const plain = await renderSvg(sceneToSvg(scene));
  const print = emptyRaster();
  for (let at = 0; at < print.data.length; at += 3) print.data.set(PAPER, at);
  const screens: Screen[] = [
    { ink: mix(palette.accents[1], [255, 214, 60], 0.35), angle: 0.05, coverage: (r, _g, b) => (r - b) / 290 + 0.05 },
    {
      ink: mix(palette.accents[0], [240, 70, 90], 0.35),
      angle: 0.3,
      coverage: (r, g, b) => (r - (g + b) / 2) / 230 + (235 - g) / 1100,
    },
    {
      ink: mix(palette.dark, [30, 70, 150], 0.35),
      angle: 0.9,
      coverage: (r, g, b) => 0.98 - lightness(r, g, b) * 1.16,
    },
  ];
  for (const screen of screens) printScreen(print, plain, screen, random.between(-2, 2), random.between(-2, 2));
  return addGrain(print, random, { strength: 8, scale: 0.9 });
}

function printScreen(
  print: Raster,
  plain: Raster,
  { ink, angle, coverage }: Screen,
  shiftX: number,
  shiftY: number,
): void {
  const cosine = Math.cos(angle);
  const sine = Math.sin(angle);
  for (let y = 0, at = 0; y < print.height; y++) {
    for (let x = 0; x < print.width; x++, at += 3) {
      const u = (x * cosine + y * sine) / CELL;
      const v = (y * cosine - x * sine) / CELL;
      const [middleU, middleV] = [Math.round(u), Math.round(v)];
      const [cellX, cellY] = [(middleU * cosine - middleV * sine) * CELL, (middleU * sine + middleV * cosine) * CELL];
      const from = offsetOf(plain, cellX + shiftX, cellY + shiftY);
      const wanted = coverage(plain.data[from]!, plain.data[from + 1]!, plain.data[from + 2]!);
      if (wanted <= 0.02) continue;
      const radius = Math.sqrt(Math.min(1, wanted)) * 0.74;
      const amount = Math.min(1, Math.max(0, (radius - Math.hypot(u - middleU, v - middleV)) * CELL + 0.5));
      if (amount === 0) continue;
      for (let channel = 0; channel < 3; channel++) {
        const under = print.data[at + channel]!;
        print.data[at + channel] = under * (1 - amount) + ((under * ink[channel]!) / 255) * amount;
      }
    }
  }
}
