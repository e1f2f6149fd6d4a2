/**
 * Reverse-mode differentiation of a graph: walks the tape backwards and adds the nodes that compute gradients to
 * the same graph, so that one run gives the loss and all of them.
 */
import { PalateError } from '../errors.ts';
import type { Value } from './graph.ts';
import { add } from './operators/arithmetic.ts';
import { expand } from './operators/layout.ts';
import { formatShape, sameShape, shapeMismatch } from './shape.ts';

/**
 * The gradient of `loss` (a scalar) with respect to each parameter, in their order and shapes. Throws when the loss is
 * no scalar, or does not depend on a parameter; with `unused: 'zero'` the gradient of such a parameter is zero.
 */
export function gradients(
  loss: Value,
  parameters: readonly Value[],
  { unused = 'error' }: { unused?: 'error' | 'zero' } = {},
): Value[] {
  if (loss.shape.length > 0) {
    throw new PalateError('INTERNAL_SERVER_ERROR', `A loss is a scalar; this one is ${formatShape(loss.shape)}.`);
  }
  const { graph } = loss;
  const byName = new Map<string, Value>([[loss.name, graph.scalar(1)]]);
  graph.withoutTape(() => {
    for (const { inputs, outputs, backward } of graph.tape.toReversed()) {
      const outputGradients = outputs.map((output) => byName.get(output.name));
      if (outputGradients.every((gradient) => gradient === undefined)) continue;
      backward(outputGradients).forEach((gradient, i) => {
        const input = inputs[i]!;
        if (!gradient || !input.differentiable) return;
        if (!sameShape(gradient.shape, input.shape)) {
          throw shapeMismatch(`gradient of ${input.name}`, gradient.shape, input.shape, 'they must be the same');
        }
        const before = byName.get(input.name);
        byName.set(input.name, before ? add(before, gradient) : gradient);
      });
    }
  });
  return parameters.map((parameter) => {
    const gradient = byName.get(parameter.name);
    if (gradient) return gradient;
    if (unused === 'zero') return graph.withoutTape(() => expand(graph.scalar(0), parameter.shape));
    throw new PalateError('INTERNAL_SERVER_ERROR', `The loss does not depend on ${parameter.name}.`);
  });
}
