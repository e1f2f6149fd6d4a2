/** Numbers for graphs: what is measured does not look at them. */
import type { Tensor } from '../../src/inference/session.ts';
import type { Random } from '../../src/random.ts';

export const tensor = (data: Float32Array, ...dims: number[]): Tensor => ({ dtype: 'float32', dims, data });

/** Makes tensors of normal numbers, of these dimensions. */
export function normalsOf(random: Random): (...dims: number[]) => Tensor {
  return (...dims) => {
    const length = dims.reduce((product, dim) => product * dim, 1);
    return tensor(
      Float32Array.from({ length }, () => random.normal()),
      ...dims,
    );
  };
}
