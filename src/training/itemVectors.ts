/** Item vectors of pictures, for people who are simulated over them. */
import type { ItemVector, PreferenceModel } from '../inference/preferenceModel.ts';
import type { Matrix } from './fitting/linearAlgebra.ts';

/** Item vectors of all pictures, without prompts. */
export function itemVectorsOf(model: PreferenceModel, features: Matrix): Promise<ItemVector[]> {
  const { rows, columns, data } = features;
  const items = Array.from({ length: rows }, (_, i) => ({
    image: Float32Array.from(data.subarray(i * columns, (i + 1) * columns)),
    text: null,
  }));
  return model.itemVectors(items);
}
