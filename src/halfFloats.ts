/**
 * Half-precision numbers (IEEE 754 binary16) as raw bits, for vectors and weights kept at two bytes a number.
 * Node 20 has no Float16Array. Knows numbers only.
 */
const float = new Float32Array(1);
const bits = new Uint32Array(float.buffer);

/** Largest finite half-precision number; anything that rounds beyond it becomes infinity. */
export const LARGEST_HALF = 65_504;

/** The half float nearest to `values[i]` (ties to even), as bits. */
export function toHalfFloats(values: ArrayLike<number>): Uint16Array {
  const halves = new Uint16Array(values.length);
  for (let i = 0; i < halves.length; i++) halves[i] = toHalf(values[i]!);
  return halves;
}

/** The values, those beyond the largest half float taken for it, so that none becomes infinite. NaN stays. */
export function withinHalfFloats(values: Float32Array): Float32Array {
  return values.map((value) => Math.min(LARGEST_HALF, Math.max(-LARGEST_HALF, value)));
}

/** Exact: every half float is a single-precision number. */
export function fromHalfFloats(halves: Uint16Array): Float32Array {
  const values = new Float32Array(halves.length);
  for (let i = 0; i < values.length; i++) values[i] = fromHalf(halves[i]!);
  return values;
}

function toHalf(value: number): number {
  float[0] = value;
  const single = bits[0]!;
  const sign = (single >>> 16) & 0x8000;
  const magnitude = single & 0x7fff_ffff;
  if (magnitude > 0x7f80_0000) return sign | 0x7e00; // NaN
  if (magnitude >= 0x4780_0000) return sign | 0x7c00; // 2^16 and beyond, infinity
  if (magnitude < 0x3880_0000) {
    // Below 2^-14 halves are multiples of 2^-24: adding 0.5 leaves that multiple, rounded, in the low bits.
    float[0] = Math.abs(float[0]!) + 0.5;
    return sign | (bits[0]! - 0x3f00_0000);
  }
  const oddMantissa = (magnitude >>> 13) & 1;
  return sign | ((magnitude - 0x3800_0000 + 0xfff + oddMantissa) >>> 13);
}

function fromHalf(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >>> 10) & 0x1f;
  const mantissa = half & 0x3ff;
  if (exponent === 0) return sign * mantissa * 2 ** -24;
  if (exponent === 0x1f) return mantissa ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + mantissa / 1024) * 2 ** (exponent - 15);
}
