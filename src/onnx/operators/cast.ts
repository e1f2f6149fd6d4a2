/**
 * Changing the element type, and stopping a gradient.
 */
import { Value } from '../graph.ts';
import { ELEMENT_TYPE_CODE, type ElementType } from '../modelFile.ts';

/** The same numbers in another element type. No gradient passes. */
export function cast(a: Value, dtype: ElementType): Value {
  return a.dtype === dtype ? a : a.graph.node('Cast', [a], [a.shape], { to: ELEMENT_TYPE_CODE[dtype] }, dtype)[0]!;
}

/**
 * Half floats as single precision, widened on the processor: a GPU need not have half floats, and what is given at each
 * run or looked up in a table is small.
 */
export function widen(a: Value): Value {
  return a.graph.onProcessor(() => cast(a, 'float32'));
}

/** The same tensor, held constant: no gradient passes. */
export function stopGradient(a: Value): Value {
  return new Value(a.graph, a.name, a.shape, a.dtype, false);
}
