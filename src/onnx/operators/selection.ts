/**
 * Choosing elements. No gradient passes.
 */
import { Value } from '../graph.ts';
import { cast } from './cast.ts';

/** The `count` (int64, one number) greatest along the last axis, greatest first, and where they are (int32). */
export function greatest(a: Value, count: Value): { values: Value; places: Value } {
  const shape = a.shape.with(-1, 'count');
  const [values, places] = a.graph.node('TopK', [a, count], [shape, shape]);
  return { values: values!, places: cast(new Value(a.graph, places!.name, shape, 'int64', false), 'int32') };
}
