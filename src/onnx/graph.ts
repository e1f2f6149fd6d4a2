/**
 * A graph under construction: inputs, constants, nodes and outputs, and the tape that reverse-mode
 * differentiation reads (differentiation.ts). The operators live in operators/, one file a family; each appends nodes
 * here and says how its gradient is made. Knows no preference.
 */
import { PalateError } from '../errors.ts';
import {
  type Attributes,
  type Dim,
  type ElementType,
  type Initializer,
  type ModelDefinition,
  type NodeDefinition,
  type ValueInfo,
  writeModel,
} from './modelFile.ts';
import { formatShape, type Shape } from './shape.ts';

/** A tensor in a graph: what an operator gives and the next one takes. */
export class Value {
  readonly graph: Graph;
  readonly name: string;
  readonly shape: Shape;
  readonly dtype: ElementType;
  /** True where a gradient may be asked for: a parameter, or something made from one. */
  readonly differentiable: boolean;

  constructor(graph: Graph, name: string, shape: Shape, dtype: ElementType, differentiable: boolean) {
    this.graph = graph;
    this.name = name;
    this.shape = shape;
    this.dtype = dtype;
    this.differentiable = differentiable;
  }
}

/**
 * How an operator hands back the gradient: given that of each output (undefined where none is needed), that of
 * each input (undefined where there is none).
 */
export type Backward = (outputGradients: readonly (Value | undefined)[]) => readonly (Value | undefined)[];

export interface TapeEntry {
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
  readonly backward: Backward;
}

/**
 * What nodes are called that stay on the processor, whatever runs the rest (`Graph.onProcessor`): an engine is told by
 * their names.
 */
export const PROCESSOR_NODES: readonly string[] = Array.from({ length: 16 }, (_, i) => `processor_${i}`);

export class Graph {
  readonly tape: TapeEntry[] = [];
  readonly #name: string;
  readonly #nodes: NodeDefinition[] = [];
  readonly #initializers: Initializer[] = [];
  readonly #inputs: ValueInfo[] = [];
  readonly #outputs: ValueInfo[] = [];
  readonly #constants = new Map<string, Value>();
  readonly #names = new Set<string>();
  readonly #symbolSources = new Map<string, { value: Value; axis: number }>();
  #counter = 0;
  #taping = true;
  #onProcessor = false;
  #processorNodes = 0;

  constructor(name: string) {
    this.#name = name;
  }

  /** A tensor given at every run. A string in `shape` is a size known only then. */
  input(name: string, shape: Shape, dtype: ElementType = 'float32'): Value {
    this.#claim(name);
    this.#inputs.push({ name, dtype, dims: shape });
    const value = new Value(this, name, shape, dtype, false);
    shape.forEach((dim, axis) => {
      if (typeof dim === 'string' && !this.#symbolSources.has(dim)) this.#symbolSources.set(dim, { value, axis });
    });
    return value;
  }

  /** A tensor fixed in the file: `data` row-major, float16 as raw bits. */
  constant(name: string, dims: readonly number[], data: ArrayBufferView, dtype: ElementType = 'float32'): Value {
    const bytesEach = { float32: 4, float16: 2, int64: 8, int32: 4, int8: 1, uint8: 1, bool: 1 }[dtype];
    const expected = dims.reduce((product, dim) => product * dim, bytesEach);
    if (data.byteLength !== expected) {
      throw new PalateError(
        'INTERNAL_SERVER_ERROR',
        `constant ${name}: ${formatShape(dims)} of ${dtype} takes ${expected} bytes, got ${data.byteLength}.`,
      );
    }
    this.#claim(name);
    this.#initializers.push({ name, dtype, dims, data });
    return new Value(this, name, dims, dtype, false);
  }

  /** The same number or list of integers is stored once. */
  scalar(value: number): Value {
    return this.#once(`scalar ${value}`, () => this.constant(this.#fresh('scalar'), [], new Float32Array([value])));
  }

  integers(values: readonly number[]): Value {
    return this.#once(`integers ${values}`, () =>
      this.constant(this.#fresh('integers'), [values.length], BigInt64Array.from(values, BigInt), 'int64'),
    );
  }

  /** `shape` as a tensor of integers: a constant where all sizes are known, else read from the inputs at run time. */
  shapeTensor(shape: Shape): Value {
    if (shape.every((dim) => typeof dim === 'number')) return this.integers(shape);
    return this.#once(`shape ${shape}`, () => {
      const parts = shape.map((dim) => (typeof dim === 'number' ? this.integers([dim]) : this.#sizeOf(dim)));
      return this.node('Concat', parts, [[shape.length]], { axis: 0 }, 'int64')[0]!;
    });
  }

  /** Appends a node as it is, without a gradient. Operators are built from this. */
  node(
    operator: string,
    inputs: readonly Value[],
    outputShapes: readonly Shape[],
    attributes: Attributes = {},
    dtype: ElementType = 'float32',
  ): Value[] {
    const foreign = inputs.find((input) => input.graph !== this);
    if (foreign) {
      throw new PalateError('INTERNAL_SERVER_ERROR', `${operator}: ${foreign.name} belongs to another graph.`);
    }
    const outputs = outputShapes.map((shape) => new Value(this, this.#fresh(operator), shape, dtype, false));
    this.#append(operator, inputs, outputs, attributes);
    return outputs;
  }

  /** Appends a node with its gradient: it is taped where any input is differentiable. */
  differentiableNode(
    operator: string,
    inputs: readonly Value[],
    outputShapes: readonly Shape[],
    attributes: Attributes,
    backward: (outputs: readonly Value[]) => Backward,
  ): Value[] {
    const outputs = this.node(operator, inputs, outputShapes, attributes);
    return this.differentiable(inputs, outputs, backward(outputs));
  }

  /** Gives `outputs`, made from `inputs` by any nodes, a gradient of their own. */
  differentiable(inputs: readonly Value[], outputs: readonly Value[], backward: Backward): Value[] {
    if (!this.#taping || !inputs.some((input) => input.differentiable)) return [...outputs];
    const taped = outputs.map(({ name, shape, dtype }) => new Value(this, name, shape, dtype, true));
    this.tape.push({ inputs, outputs: taped, backward });
    return taped;
  }

  /** Runs `build` without taping: what it appends is not differentiated (a gradient itself, an optimiser's step). */
  withoutTape<Result>(build: () => Result): Result {
    const before = this.#taping;
    this.#taping = false;
    try {
      return build();
    } finally {
      this.#taping = before;
    }
  }

  /** What `build` appends stays on the processor. Not every GPU has half floats: they are widened here. */
  onProcessor<Result>(build: () => Result): Result {
    const before = this.#onProcessor;
    this.#onProcessor = true;
    try {
      return build();
    } finally {
      this.#onProcessor = before;
    }
  }

  /** The same tensor, now one that gradients are asked for. */
  parameter(value: Value): Value {
    return new Value(this, value.name, value.shape, value.dtype, true);
  }

  /** Names a result of the model. */
  output(name: string, value: Value): void {
    this.#claim(name);
    const { shape, dtype } = value;
    this.#append('Identity', [value], [new Value(this, name, shape, dtype, false)], {});
    this.#outputs.push({ name, dtype, dims: shape });
  }

  definition(): ModelDefinition {
    return {
      name: this.#name,
      nodes: this.#nodes,
      initializers: this.#initializers,
      inputs: this.#inputs,
      outputs: this.#outputs,
    };
  }

  /** The .onnx file. */
  toBytes(): Uint8Array {
    return writeModel(this.definition());
  }

  #append(operator: string, inputs: readonly Value[], outputs: readonly Value[], attributes: Attributes): void {
    const names = { inputs: inputs.map((v) => v.name), outputs: outputs.map((v) => v.name) };
    this.#nodes.push({ operator, ...names, attributes, ...(this.#onProcessor ? { name: this.#processorName() } : {}) });
  }

  #processorName(): string {
    const name = PROCESSOR_NODES[this.#processorNodes++];
    if (name) return name;
    throw new PalateError(
      'INTERNAL_SERVER_ERROR',
      `A graph can keep ${PROCESSOR_NODES.length} nodes on the processor, and no more.`,
    );
  }

  #sizeOf(symbol: Dim & string): Value {
    return this.#once(`size ${symbol}`, () => {
      const source = this.#symbolSources.get(symbol);
      if (!source) {
        throw new PalateError('INTERNAL_SERVER_ERROR', `No input of the graph has an axis of size ${symbol}.`);
      }
      const { value, axis } = source;
      return this.node('Shape', [value], [[1]], { start: axis, end: axis + 1 }, 'int64')[0]!;
    });
  }

  #once(key: string, make: () => Value): Value {
    const known = this.#constants.get(key);
    if (known) return known;
    const made = make();
    this.#constants.set(key, made);
    return made;
  }

  /** Inputs, constants and node results share one namespace in ONNX. */
  #claim(name: string): void {
    if (this.#names.has(name)) {
      throw new PalateError('INTERNAL_SERVER_ERROR', `The graph has a value named ${name} already.`);
    }
    this.#names.add(name);
  }

  #fresh(prefix: string): string {
    return `${prefix}:${this.#counter++}`;
  }
}
