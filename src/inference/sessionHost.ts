/**
 * Models that run in a thread beside the caller's, any number of them in one thread: the engine blocks the thread that
 * calls it, and the event loop stays free. Tensors are moved to it and back where they are given up. A thread that dies
 * fails what it had at hand; its models are opened on the next one, each when it is next asked for. Knows no engine.
 *
 * All WebGPU of a process runs in one thread, whoever's host it is: its models share one device, and two threads that
 * use it at once end the process (onnxruntime's issue 32561).
 */
import { Worker } from 'node:worker_threads';
import { PalateError } from '../errors.ts';
import type { ModelSource, RunOptions, Session, SessionOptions, Tensors } from './session.ts';

/** What the thread is asked and what it answers; `id` pairs them, `session` is a number of the asker's. */
export type HostRequest =
  | { id: number; kind: 'open'; session: number; model: Uint8Array | string; options: SessionOptions }
  | { id: number; kind: 'run'; session: number; feeds: Tensors; outputs: readonly string[] | undefined }
  | { id: number; kind: 'close'; session: number }
  | { id: number; kind: 'end' };
/** What the thread answers to `open`. */
export type SessionFacts = Pick<Session, 'executionProvider' | 'inputNames' | 'outputNames'>;
export type HostReply = { id: number; value: unknown } | { id: number; error: string };
type Call = HostRequest extends infer R ? (R extends HostRequest ? Omit<R, 'id'> : never) : never;

export const closedError = () => new PalateError('INTERNAL_SERVER_ERROR', "The model's session is closed.");

export class SessionHost {
  readonly #options: SessionOptions;
  #thread: HostThread | null = null;
  #closed = false;
  readonly #models = new Set<HostedModel>();
  /** A session that nobody holds any more is closed in the thread too, which cannot see that. */
  readonly #forgotten = new FinalizationRegistry<HostedModel>((model) => void this.#drop(model));

  /** @param options of every session; the thread is started with the first of them. */
  constructor(options: Omit<SessionOptions, 'worker'> = {}) {
    this.#options = options;
  }

  /** Opens a model in the thread. What a function makes is moved there, and made again if the thread must be. */
  async open(source: ModelSource): Promise<Session> {
    const model = new HostedModel(source, this.#options, () => this.#running());
    const facts = await model.facts();
    this.#models.add(model);
    const session: Session = {
      ...facts,
      run: (feeds, outputs, options) => model.run(feeds, outputs, options),
      close: () => this.#drop(model),
    };
    this.#forgotten.register(session, model);
    return session;
  }

  /** Ends the thread, and with it every session; in WebGPU's thread, closes every session. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#thread?.end();
    await Promise.all([...this.#models].map((model) => this.#drop(model)));
  }

  #running(): HostThread {
    if (this.#closed) throw closedError();
    if (this.#options.provider === 'webgpu') return runningWebGpuThread();
    if (!this.#thread?.runs) this.#thread = new HostThread();
    return this.#thread;
  }

  async #drop(model: HostedModel): Promise<void> {
    this.#models.delete(model);
    await model.close();
  }
}

/** Lasts as long as the process: a next one could begin while this one still ends. */
let webGpuThread: HostThread | null = null;

function runningWebGpuThread(): HostThread {
  if (!webGpuThread?.runs) webGpuThread = new HostThread();
  return webGpuThread;
}

/** A model and where it is open. */
interface Place {
  readonly thread: HostThread;
  readonly session: number;
  readonly facts: Promise<SessionFacts>;
}

class HostedModel {
  readonly #source: ModelSource;
  readonly #options: SessionOptions;
  readonly #running: () => HostThread;
  #place: Place | null = null;
  #closed = false;

  constructor(source: ModelSource, options: SessionOptions, running: () => HostThread) {
    this.#source = source;
    this.#options = options;
    this.#running = running;
  }

  facts(): Promise<SessionFacts> {
    return this.#open().facts;
  }

  async run(feeds: Tensors, outputs?: readonly string[], { give = false }: RunOptions = {}): Promise<Tensors> {
    const { thread, session, facts } = this.#open();
    await facts;
    return thread.ask<Tensors>({ kind: 'run', session, feeds, outputs }, give ? buffersOf(feeds) : []);
  }

  async close(): Promise<void> {
    this.#closed = true;
    const place = this.#place;
    this.#place = null;
    try {
      await place?.facts; // what is not open yet cannot be closed
      await place?.thread.ask({ kind: 'close', session: place.session });
    } catch {
      // it was not opened, or its thread died: nothing is left of it
    }
  }

  /** However many ask at once, a model is opened once a thread. */
  #open(): Place {
    if (this.#closed) throw closedError();
    const thread = this.#running();
    if (this.#place?.thread === thread) return this.#place;
    const session = thread.newSession();
    const facts = this.#openOn(thread, session);
    const place = { thread, session, facts };
    this.#place = place;
    facts.catch(() => {
      if (this.#place === place) this.#place = null; // the next call tries again
    });
    return place;
  }

  async #openOn(thread: HostThread, session: number): Promise<SessionFacts> {
    const source = this.#source;
    const model = typeof source === 'function' ? await source() : source;
    const moved = model === source ? [] : buffersOf({ model: { data: model } });
    return thread.ask<SessionFacts>({ kind: 'open', session, model, options: this.#options }, moved);
  }
}

/** One thread and what it has been asked. */
class HostThread {
  readonly #worker = startThread();
  readonly #waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  readonly #ended: Promise<void>;
  #failure: PalateError | null = null;
  #nextId = 0;
  #nextSession = 0;

  constructor() {
    this.#worker.on('message', (reply: HostReply) => this.#take(reply));
    this.#worker.on('error', (cause: Error) =>
      this.#fail(threadError(`The thread that runs the models failed: ${cause?.message ?? cause}`, cause)),
    );
    this.#worker.on('exit', () => this.#fail(threadError('The thread that runs the models ended.')));
    this.#ended = new Promise((resolve) => this.#worker.once('exit', () => resolve()));
  }

  get runs(): boolean {
    return this.#failure === null;
  }

  newSession(): number {
    return this.#nextSession++;
  }

  /** @param moved memory that is the thread's from now on */
  ask<Value>(call: Call, moved: readonly ArrayBuffer[] = []): Promise<Value> {
    return new Promise((resolve, reject) => {
      if (this.#failure) return reject(this.#failure);
      const id = this.#nextId++;
      this.#worker.postMessage({ id, ...call }, moved);
      this.#waiting.set(id, { resolve: resolve as (value: unknown) => void, reject });
      this.#worker.ref(); // an idle thread never keeps the process alive, a running one does
    });
  }

  /** The thread ends what it runs: ended from outside within the engine, it would take the process with it. */
  async end(): Promise<void> {
    if (this.runs) {
      this.#fail(closedError());
      this.#worker.ref();
      this.#worker.postMessage({ id: this.#nextId++, kind: 'end' } satisfies HostRequest);
    }
    await this.#ended;
  }

  #take(reply: HostReply): void {
    const call = this.#waiting.get(reply.id);
    this.#waiting.delete(reply.id);
    if (this.#waiting.size === 0 && this.runs) this.#worker.unref();
    if ('error' in reply) call?.reject(new PalateError('INTERNAL_SERVER_ERROR', reply.error));
    else call?.resolve(reply.value);
  }

  /** The first failure is what everybody is told. */
  #fail(error: PalateError): void {
    this.#failure ??= error;
    for (const { reject } of this.#waiting.values()) reject(this.#failure);
    this.#waiting.clear();
    this.#worker.unref();
  }
}

const threadError = (message: string, cause?: unknown) => new PalateError('INTERNAL_SERVER_ERROR', message, { cause });

/** The memory of these tensors that is theirs alone: what lies within a larger piece is copied. */
export function buffersOf(tensors: Readonly<Record<string, { readonly data: unknown }>>): ArrayBuffer[] {
  const whole = Object.values(tensors).flatMap(({ data }) =>
    ArrayBuffer.isView(data) && data.buffer instanceof ArrayBuffer && data.byteLength === data.buffer.byteLength
      ? [data.buffer]
      : [],
  );
  return [...new Set(whole)];
}

/** From dist the thread is plain JavaScript; from source a loader is registered in it first. */
function startThread(): Worker {
  const fromSource = import.meta.url.endsWith('.ts');
  return new Worker(new URL(fromSource ? './sessionThread.mjs' : './sessionThread.js', import.meta.url));
}
