/** Flat shapes, clean edges, nothing else: vector illustration. */
import { type Raster, renderSvg } from '../raster.ts';
import { type Scene, sceneToSvg } from '../scene.ts';

export function flat(scene: Scene): Promise<Raster> {
  return renderSvg(sceneToSvg(scene));
}
