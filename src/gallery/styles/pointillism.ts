/** Pointillism: dots of pure colour over a pale wash, set close, each a little off the true hue. */
import type { Random } from '../../random.ts';
import { type Colour, css } from '../colour.ts';
import { offsetOf, type Raster, renderSvg } from '../raster.ts';
import { type Scene, SIDE, sceneToSvg } from '../scene.ts';

const SPACING = 6.4;

export async function pointillism(scene: Scene, { random }: { random: Random }): Promise<Raster> {
  const plain = await renderSvg(sceneToSvg(scene));
  const dots: string[] = [];
  for (let row = 0; row < SIDE; row += SPACING) {
    for (let column = 0; column < SIDE; column += SPACING) {
      const x = column + random.between(-4, 4);
      const y = row + random.between(-4, 4);
      const at = offsetOf(plain, x, y);
      const colour = vivid([plain.data[at]!, plain.data[at + 1]!, plain.data[at + 2]!], random);
      dots.push(
        `<circle cx="${x.toFixed(1)}" cy="${y.toFixed(1)}" r="${random.between(2.4, 4.2).toFixed(1)}" fill="${css(colour)}"/>`,
      );
    }
  }
  return renderSvg(
    sceneToSvg(scene).replace(
      '</svg>',
      `<rect width="${SIDE}" height="${SIDE}" fill="#f3ead6" opacity="0.35"/>${random.shuffle(dots).join('')}</svg>`,
    ),
  );
}

/** The colour with more chroma, and each channel moved by up to a tenth. */
function vivid(colour: Colour, random: Random): Colour {
  const mean = (colour[0] + colour[1] + colour[2]) / 3;
  const shift = (channel: number): number => mean + (channel - mean) * 1.35 + random.between(-26, 26);
  return [shift(colour[0]), shift(colour[1]), shift(colour[2])];
}
