/**
 * Running a model: the one module that imports onnxruntime-node. Everything above it speaks of tensors and
 * sessions, so that another engine can take its place here and nowhere else. Knows no preference and no encoder.
 */
import './noTelemetry.ts'; // before the runtime
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import * as ort from 'onnxruntime-node';
import { PalateError } from '../errors.ts';
import { PROCESSOR_NODES } from '../onnx/index.ts';
import { closedError } from './carrier.ts';
import { type ModelFile, modelIn } from './encoding/modelFile.ts';
import { SessionHost } from './sessionHost.ts';

/** Element types that cross the boundary; `float16` travels as the raw 16 bits. */
export type ElementType = 'float32' | 'float16' | 'int64' | 'int32' | 'int8' | 'uint8' | 'bool';
export type TensorData = Float32Array | Uint16Array | BigInt64Array | Int32Array | Int8Array | Uint8Array;

/** `data` is row-major and holds the product of `dims` elements. */
export interface Tensor {
  readonly dtype: ElementType;
  readonly dims: readonly number[];
  readonly data: TensorData;
}

export type Tensors = Record<string, Tensor>;

export interface SessionOptions {
  /** What runs the model; the processor, if left out. */
  provider?: ExecutionProvider;
  /** Threads within one operator; 1 by default: results are then bit-identical from run to run. */
  threads?: number;
  /** Runs in a thread of its own, so that a long call leaves the event loop free. With WebGPU, always in its thread. */
  worker?: boolean;
  /**
   * With `worker`: its threads take the processor when nothing else of the machine wants it. On Linux alone, and not
   * with WebGPU, whose thread has people waiting for scores too.
   */
  background?: boolean;
}

/** What can run a model: the engine's names. */
export const EXECUTION_PROVIDERS = ['cpu', 'webgpu', 'cuda'] as const;
export type ExecutionProvider = (typeof EXECUTION_PROVIDERS)[number];

/** Whether the engine has what it needs for the provider, but for a device and its driver. */
export function hasFilesOf(provider: ExecutionProvider): boolean {
  // The engine says of CUDA's files whether they came with it, and not whether they were fetched afterwards.
  if (provider === 'cuda') return existsSync(join(engineFolder(), 'libonnxruntime_providers_cuda.so'));
  return ort.listSupportedBackends().some(({ name, bundled }) => name === provider && bundled);
}

/** Where the engine's libraries lie. */
function engineFolder(): string {
  const main = createRequire(import.meta.url).resolve('onnxruntime-node');
  return join(main, '..', '..', 'bin', 'napi-v6', process.platform, process.arch);
}

/** A model's bytes, the path of its file (which lets the engine map weights kept beside it), or what it is read from. */
export type ModelContent = Uint8Array | string | ModelFile;
/** Or what makes its bytes. */
export type ModelSource = ModelContent | (() => Uint8Array | Promise<Uint8Array>);

export interface RunOptions {
  /**
   * The feeds' memory is given up: moved to another thread rather than copied, if the model runs in one. Kept or given
   * up, feeds stay as they are until the run has ended.
   */
  give?: boolean;
}

export interface Session {
  readonly executionProvider: ExecutionProvider;
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  /** Runs the model. Throws INTERNAL_SERVER_ERROR, naming the engine's reason, when the feeds do not fit it. */
  run(feeds: Tensors, outputs?: readonly string[], options?: RunOptions): Promise<Tensors>;
  /** A run begun before may fail; one begun after does. */
  close(): Promise<void>;
}

/** Opens a model, in this thread unless told otherwise. */
export async function openSession(model: ModelSource, options: SessionOptions = {}): Promise<Session> {
  const { worker = options.provider === 'webgpu', ...others } = options;
  if (worker) return openInThread(model, others);
  return openHere(typeof model === 'function' ? await model() : model, others);
}

/** Opens a model in this thread. For WebGPU it must be the one that all of the process's WebGPU runs in. */
export async function openHere(content: ModelContent, options: SessionOptions): Promise<Session> {
  const model = typeof content === 'object' && 'path' in content ? await modelIn(content) : content;
  const { provider = 'cpu' } = options;
  const settings: ort.InferenceSession.SessionOptions = {
    executionProviders: [engineProvider(provider)],
    intraOpNumThreads: options.threads ?? 1,
    interOpNumThreads: 1,
    logSeverityLevel: 3,
    // Waiting threads that spin make runs 2 to 4 times slower on a busy machine.
    extra: { session: { intra_op: { allow_spinning: '0' } } },
  };
  let engine: ort.InferenceSession;
  try {
    engine = await (typeof model === 'string'
      ? ort.InferenceSession.create(model, settings)
      : ort.InferenceSession.create(model, settings));
  } catch (cause) {
    throw new PalateError('INTERNAL_SERVER_ERROR', `The model could not be opened: ${reason(cause)}`, { cause });
  }
  let closed = false;
  return {
    executionProvider: provider,
    inputNames: engine.inputNames,
    outputNames: engine.outputNames,
    async run(feeds, outputs = engine.outputNames) {
      if (closed) throw closedError();
      try {
        const engineFeeds = Object.fromEntries(Object.entries(feeds).map(([name, t]) => [name, toEngine(t)]));
        const results = await engine.run(engineFeeds, [...outputs]);
        return Object.fromEntries(Object.entries(results).map(([name, t]) => [name, fromEngine(t)]));
      } catch (cause) {
        throw new PalateError('INTERNAL_SERVER_ERROR', `The model could not be run: ${reason(cause)}`, { cause });
      }
    },
    async close() {
      if (closed) return;
      closed = true;
      await engine.release();
    },
  };
}

/** What a provider cannot run, the processor does. */
function engineProvider(provider: ExecutionProvider): ort.InferenceSession.ExecutionProviderConfig {
  return provider === 'webgpu' ? { name: provider, forceCpuNodeNames: PROCESSOR_NODES } : provider;
}

function toEngine({ dtype, dims, data }: Tensor): ort.Tensor {
  return new ort.Tensor(dtype as 'float32', data as Float32Array, dims);
}

function fromEngine(tensor: ort.Tensor): Tensor {
  return { dtype: tensor.type as ElementType, dims: tensor.dims, data: tensor.data as TensorData };
}

const reason = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause));

/** A session in a thread that ends with it. */
async function openInThread(model: ModelSource, options: SessionOptions): Promise<Session> {
  const host = new SessionHost(options);
  try {
    return Object.assign(await host.open(model), { close: () => host.close() });
  } catch (error) {
    await host.close();
    throw error;
  }
}
