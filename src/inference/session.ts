/**
 * Running a model: the one module that imports onnxruntime-node. Everything above it speaks of tensors and
 * sessions, so that another engine can take its place here and nowhere else. Knows no preference and no encoder.
 */
import { Worker } from 'node:worker_threads';
import './noTelemetry.ts'; // before the runtime
import * as ort from 'onnxruntime-node';
import { PalateError } from '../errors.ts';

/** Element types that cross the boundary; `float16` travels as the raw 16 bits. */
export type ElementType = 'float32' | 'float16' | 'int64' | 'int32' | 'bool';
export type TensorData = Float32Array | Uint16Array | BigInt64Array | Int32Array | Uint8Array;

/** `data` is row-major and holds the product of `dims` elements. */
export interface Tensor {
  readonly dtype: ElementType;
  readonly dims: readonly number[];
  readonly data: TensorData;
}

export type Tensors = Record<string, Tensor>;

export interface SessionOptions {
  /** Threads within one operator; 1 by default: results are then bit-identical from run to run. */
  threads?: number;
  /** Runs in a thread of its own, so that a long call leaves the event loop free. */
  worker?: boolean;
  /** With `worker`: its threads take the processor when nothing else of the machine wants it. On Linux alone. */
  background?: boolean;
}

/** What runs a model: the engine's name for it. */
export type ExecutionProvider = 'cpu' | 'webgpu' | 'cuda';
const EXECUTION_PROVIDER: ExecutionProvider = 'cpu';

export interface Session {
  readonly executionProvider: ExecutionProvider;
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  /** Runs the model. Throws INTERNAL_SERVER_ERROR, naming the engine's reason, when the feeds do not fit it. */
  run(feeds: Tensors, outputs?: readonly string[]): Promise<Tensors>;
  /** A run begun before may fail; one begun after does. */
  close(): Promise<void>;
}

/** Opens a model given as bytes or as a file's path (a path lets the engine map weights kept beside it). */
export async function openSession(model: Uint8Array | string, options: SessionOptions = {}): Promise<Session> {
  return options.worker ? openInWorker(model, options) : openHere(model, options);
}

async function openHere(model: Uint8Array | string, options: SessionOptions): Promise<Session> {
  const settings: ort.InferenceSession.SessionOptions = {
    executionProviders: [EXECUTION_PROVIDER],
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
    executionProvider: EXECUTION_PROVIDER,
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

function toEngine({ dtype, dims, data }: Tensor): ort.Tensor {
  return new ort.Tensor(dtype as 'float32', data as Float32Array, dims);
}

function fromEngine(tensor: ort.Tensor): Tensor {
  return { dtype: tensor.type as ElementType, dims: tensor.dims, data: tensor.data as TensorData };
}

const closedError = () => new PalateError('INTERNAL_SERVER_ERROR', "The model's session is closed.");
const reason = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause));

// ---------------------------------------------------------------- in a thread of its own

/** What the thread is asked and what it answers; `id` pairs them. */
export type WorkerRequest =
  | { id: number; kind: 'open'; model: Uint8Array | string; options: SessionOptions }
  | { id: number; kind: 'run'; feeds: Tensors; outputs: readonly string[] | undefined }
  | { id: number; kind: 'close' };
/** What the thread answers to `open`. */
export type SessionFacts = Pick<Session, 'executionProvider' | 'inputNames' | 'outputNames'>;
export type WorkerReply = { id: number; value: unknown } | { id: number; error: string };

async function openInWorker(model: Uint8Array | string, options: SessionOptions): Promise<Session> {
  const thread = startThread();
  const waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  let nextId = 0;
  let failure: PalateError | undefined;
  const fail = (error: PalateError) => {
    failure = error;
    for (const { reject } of waiting.values()) reject(error);
    waiting.clear();
    thread.unref();
  };
  thread.on('message', (reply: WorkerReply) => {
    const call = waiting.get(reply.id);
    waiting.delete(reply.id);
    if (waiting.size === 0 && !failure) thread.unref();
    if ('error' in reply) call?.reject(new PalateError('INTERNAL_SERVER_ERROR', reply.error));
    else call?.resolve(reply.value);
  });
  thread.on('error', (cause) =>
    fail(new PalateError('INTERNAL_SERVER_ERROR', `The model's thread failed: ${reason(cause)}`, { cause })),
  );
  thread.on('exit', () => fail(closedError()));

  type Call = WorkerRequest extends infer R ? (R extends WorkerRequest ? Omit<R, 'id'> : never) : never;
  const ask = <Value>(call: Call): Promise<Value> =>
    new Promise((resolve, reject) => {
      if (failure) return reject(failure);
      const id = nextId++;
      waiting.set(id, { resolve: resolve as (value: unknown) => void, reject });
      thread.ref(); // an idle session never keeps the process alive, a running one does
      thread.postMessage({ id, ...call });
    });

  const ended = new Promise<void>((resolve) => thread.once('exit', () => resolve()));
  /** The thread ends what it runs: ended from outside within the engine, it would take the process with it. */
  const close = async (): Promise<void> => {
    if (!failure) {
      fail(closedError());
      thread.ref();
      thread.postMessage({ id: nextId++, kind: 'close' } satisfies WorkerRequest);
    }
    await ended;
  };
  const facts = await ask<SessionFacts>({ kind: 'open', model, options: { ...options, worker: false } }).catch(
    async (error) => {
      await close();
      throw error;
    },
  );
  return { ...facts, run: (feeds, outputs) => ask<Tensors>({ kind: 'run', feeds, outputs }), close };
}

/** From dist the thread is plain JavaScript; from source a loader is registered in it first. */
function startThread(): Worker {
  const fromSource = import.meta.url.endsWith('.ts');
  return new Worker(new URL(fromSource ? './sessionThread.mjs' : './sessionThread.js', import.meta.url));
}
