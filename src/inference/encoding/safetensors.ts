/**
 * Reads tensors from a safetensors file: eight bytes of length, a JSON header, then the numbers.
 * Source: github.com/huggingface/safetensors, "Format". Knows no model.
 */
import { PalateError } from '../../errors.ts';

/** Raw little-endian bytes, row-major; `dtype` as the file spells it: F16, F32, I64. */
export interface StoredTensor {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data: Uint8Array;
}

/** Returns a function that finds a tensor by name; it throws INTERNAL_SERVER_ERROR when there is none. */
export function readSafetensors(file: Buffer): (name: string) => StoredTensor {
  const headerLength = Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.toString('utf8', 8, 8 + headerLength)) as Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] }
  >;
  const body = file.subarray(8 + headerLength);
  return (name) => {
    const entry = header[name];
    if (!entry) throw new PalateError('INTERNAL_SERVER_ERROR', `The safetensors file has no tensor named ${name}.`);
    return { dtype: entry.dtype, shape: entry.shape, data: body.subarray(...entry.data_offsets) };
  };
}
