/** Like a photograph: light across every surface, haze and blur by distance, bloom, a vignette, film grain. */
import type { Random } from '../../random.ts';
import { css, mix } from '../colour.ts';
import { fractal, valueNoise } from '../noise.ts';
import { blurred, type Raster, renderSvg } from '../raster.ts';
import { type Scene, type Shape, SIDE, sceneToSvg } from '../scene.ts';

export async function photograph(scene: Scene, { random }: { random: Random }): Promise<Raster> {
  const gradients = scene.shapes.map(litSurface).join('');
  const paint = (_shape: Shape, index: number): string => `fill="url(#s${index})"`;
  const withGradients = (svg: string): string => svg.replace('</defs>', `${gradients}</defs>`);
  const sharpScene = await renderSvg(withGradients(sceneToSvg(scene, paint)));
  const farScene = await renderSvg(
    withGradients(sceneToSvg(scene, (shape, index) => (shape.depth < 0.45 ? paint(shape, index) : null))),
  );
  const nearScene = await renderSvg(
    withGradients(
      sceneToSvg(
        {
          ...scene,
          backdrop: [
            [0, 0, 0],
            [0, 0, 0],
          ],
        },
        (shape) => (shape.depth < 0.45 ? null : 'fill="#fff"'),
      ),
    ),
  );
  const [far, mask, bloom] = await Promise.all([
    blurred(farScene, 4.5),
    blurred(nearScene, 1.3),
    blurred(sharpScene, 16),
  ]);
  return developed(sharpScene, far, mask, bloom, random);
}

/** A surface lit from the upper left: its colour, lighter there and darker at the lower right. */
function litSurface(shape: Shape, index: number): string {
  const lit = css(mix(shape.colour, [255, 248, 230], 0.2));
  const dim = css(mix(shape.colour, [10, 12, 30], 0.34));
  return `<linearGradient id="s${index}" x1="0.1" y1="0" x2="0.8" y2="1"><stop offset="0" stop-color="${lit}"/><stop offset="0.45" stop-color="${css(shape.colour)}"/><stop offset="1" stop-color="${dim}"/></linearGradient>`;
}

function developed(near: Raster, far: Raster, mask: Raster, bloom: Raster, random: Random): Raster {
  const texture = fractal(valueNoise(random), 4);
  for (let y = 0, at = 0; y < SIDE; y++) {
    for (let x = 0; x < SIDE; x++, at += 3) {
      const inFocus = mask.data[at]! / 255;
      const rough = texture(x / 22, y / 22) * 26 * (0.25 + inFocus);
      const away = Math.hypot(x / SIDE - 0.5, y / SIDE - 0.5);
      const vignette = 1.06 - away * away * 0.95;
      const grain = random.between(-7, 7);
      for (let channel = 0; channel < 3; channel++) {
        const base = near.data[at + channel]! * inFocus + far.data[at + channel]! * (1 - inFocus) + rough;
        const glow = bloom.data[at + channel]! / 255;
        const screened = 255 - (255 - base) * (1 - 0.28 * glow * glow);
        near.data[at + channel] = (screened - 128) * 1.08 * vignette + 128 * vignette - 8 + grain;
      }
    }
  }
  return near;
}
