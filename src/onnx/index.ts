/**
 * The graph builder: operators with shapes and gradients, written as ONNX. To add an operator, add it to the file
 * of its family in operators/ and its case to tests/onnx/gradients.test.ts.
 */
export { gradients } from './differentiation.ts';
export { Graph, PROCESSOR_NODES, Value } from './graph.ts';
export type { Dim, ElementType } from './modelFile.ts';
export * from './operators/activation.ts';
export * from './operators/arithmetic.ts';
export * from './operators/cast.ts';
export * from './operators/layout.ts';
export * from './operators/linear.ts';
export * from './operators/normalization.ts';
export * from './operators/reduction.ts';
export * from './operators/selection.ts';
export { productOf, type Shape } from './shape.ts';
