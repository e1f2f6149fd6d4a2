/**
 * An ONNX model as plain data, and its bytes. Field numbers are those of onnx.proto3 (github.com/onnx/onnx).
 * Knows nothing of shapes' meaning or of gradients: graph.ts builds, this file writes.
 */
import { ProtobufWriter } from './protobuf.ts';

export type ElementType = 'float32' | 'float16' | 'int64' | 'int32' | 'int8' | 'uint8' | 'bool';
/** A size, or the name of a size that is known only when the model runs. */
export type Dim = number | string;
export type Attribute = number | readonly number[] | string | { float: number };
export type Attributes = Readonly<Record<string, Attribute>>;

export interface NodeDefinition {
  readonly operator: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Attributes;
  /** Its operator and its place, if left out. */
  readonly name?: string;
}

/** A constant, row-major. float16 as raw 16 bits. */
export interface Initializer {
  readonly name: string;
  readonly dtype: ElementType;
  readonly dims: readonly number[];
  readonly data: ArrayBufferView;
}

export interface ValueInfo {
  readonly name: string;
  readonly dtype: ElementType;
  readonly dims: readonly Dim[];
}

export interface ModelDefinition {
  readonly name: string;
  readonly nodes: readonly NodeDefinition[];
  readonly initializers: readonly Initializer[];
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
}

/** TensorProto.DataType. */
export const ELEMENT_TYPE_CODE: Record<ElementType, number> = {
  float32: 1,
  uint8: 2,
  int8: 3,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
};
/** AttributeProto.AttributeType. */
const ATTRIBUTE = { FLOAT: 1, INT: 2, STRING: 3, INTS: 7 } as const;
const IR_VERSION = 9;
/** Opset 20 is what ONNX Runtime 1.30 and Triton both run, and has everything used here. */
const OPSET = 20;

/** The bytes of a .onnx file. */
export function writeModel(model: ModelDefinition): Uint8Array {
  return new ProtobufWriter()
    .integer(1, IR_VERSION)
    .text(2, 'palate')
    .message(7, (graph) => {
      for (const [index, node] of model.nodes.entries()) graph.message(1, (m) => writeNode(m, node, index));
      graph.text(2, model.name);
      for (const initializer of model.initializers) graph.message(5, (m) => writeInitializer(m, initializer));
      for (const input of model.inputs) graph.message(11, (m) => writeValueInfo(m, input));
      for (const output of model.outputs) graph.message(12, (m) => writeValueInfo(m, output));
    })
    .message(8, (opset) => opset.text(1, '').integer(2, OPSET))
    .finish();
}

function writeNode(message: ProtobufWriter, node: NodeDefinition, index: number): void {
  for (const input of node.inputs) message.text(1, input);
  for (const output of node.outputs) message.text(2, output);
  message.text(3, node.name ?? `${node.operator}_${index}`).text(4, node.operator);
  for (const [name, value] of Object.entries(node.attributes)) {
    message.message(5, (attribute) => writeAttribute(attribute.text(1, name), value));
  }
}

function writeAttribute(message: ProtobufWriter, value: Attribute): void {
  if (typeof value === 'number') message.integer(3, value).integer(20, ATTRIBUTE.INT);
  else if (typeof value === 'string') message.text(4, value).integer(20, ATTRIBUTE.STRING);
  else if ('float' in value) message.float(2, value.float).integer(20, ATTRIBUTE.FLOAT);
  else {
    for (const item of value) message.integer(8, item);
    message.integer(20, ATTRIBUTE.INTS);
  }
}

function writeInitializer(message: ProtobufWriter, { name, dtype, dims, data }: Initializer): void {
  for (const dim of dims) message.integer(1, dim);
  message
    .integer(2, ELEMENT_TYPE_CODE[dtype])
    .text(8, name)
    .bytes(9, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
}

function writeValueInfo(message: ProtobufWriter, { name, dtype, dims }: ValueInfo): void {
  message.text(1, name).message(2, (type) =>
    type.message(1, (tensor) =>
      tensor.integer(1, ELEMENT_TYPE_CODE[dtype]).message(2, (shape) => {
        for (const dim of dims) {
          shape.message(1, (d) => (typeof dim === 'number' ? d.integer(1, dim) : d.text(2, dim)));
        }
      }),
    ),
  );
}
