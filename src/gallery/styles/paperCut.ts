/** Layers of coloured paper, each throwing a soft shadow on the one behind it. */
import type { Random } from '../../random.ts';
import { css } from '../colour.ts';
import { addGrain } from '../grain.ts';
import { type Raster, renderSvg } from '../raster.ts';
import { pathOf, type Scene, type Shape, sceneToSvg } from '../scene.ts';

/** Offsets of the faint copies that together make one soft shadow, in scene units. */
const SHADOW = [1, 2.5, 4.5, 7, 10];

export async function paperCut(scene: Scene, { random }: { random: Random }): Promise<Raster> {
  const svg = sceneToSvg(scene, (shape) => `fill="${css(shape.colour)}"`);
  const shadows = scene.shapes.map(shadowOf);
  let index = 0;
  const layered = svg.replace(/<path /g, (start) => `${shadows[index++]!}${start}`);
  return addGrain(await renderSvg(layered), random, { strength: 7, scale: 1.6 });
}

function shadowOf(shape: Shape): string {
  const path = pathOf(shape.outline);
  const reach = 0.35 + 0.65 * shape.depth;
  return SHADOW.map(
    (offset) => `<path d="${path}" transform="translate(${offset * 0.5 * reach} ${offset * reach})" opacity="0.075"/>`,
  ).join('');
}
