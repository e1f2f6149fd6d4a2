/** Half floats: every one of them, and the rounding between them. */
import { fromHalfFloats, LARGEST_HALF, toHalfFloats, withinHalfFloats } from '../src/halfFloats.ts';

it('takes every half float to a number and back to the same bits', () => {
  const all = Uint16Array.from({ length: 65_536 }, (_, i) => i);
  const values = fromHalfFloats(all);
  const back = toHalfFloats(values);
  const changed = all.filter((bits, i) => back[i] !== bits && !Number.isNaN(values[i]));
  expect([...changed]).toEqual([]);
  expect(values[0x3c00]).toBe(1);
  expect(values[0xc000]).toBe(-2);
  expect(values[0x0001]).toBe(2 ** -24);
  expect(values[0x7bff]).toBe(LARGEST_HALF);
});

it('rounds to the nearest, ties to even', () => {
  const step = 2 ** -10;
  const rounded = fromHalfFloats(toHalfFloats([1 + 0.49 * step, 1 + 0.5 * step, 1 + 1.5 * step, 1 + 0.51 * step]));
  expect([...rounded]).toEqual([1, 1, 1 + 2 * step, 1 + step]);
  const tiny = 2 ** -24;
  expect([...fromHalfFloats(toHalfFloats([0.5 * tiny, 1.5 * tiny, -0.6 * tiny]))]).toEqual([0, 2 * tiny, -tiny]);
});

it('makes infinity of what is too large, and keeps NaN', () => {
  const values = fromHalfFloats(toHalfFloats([65_519, 65_520, -1e9, Number.NaN]));
  expect([...values]).toEqual([LARGEST_HALF, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN]);
});

it('are held within the largest', () => {
  const values = Float32Array.of(1, 65_519, 65_520, Number.NEGATIVE_INFINITY, Number.NaN);
  expect([...withinHalfFloats(values)]).toEqual([1, LARGEST_HALF, LARGEST_HALF, -LARGEST_HALF, Number.NaN]);
});
