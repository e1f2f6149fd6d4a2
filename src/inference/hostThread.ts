/**
 * One thread that runs models, seen from the thread that asks it: tensors are moved to it and back where they are given
 * up. One that dies fails what it had at hand. Knows no engine.
 *
 * All WebGPU of a process runs in one thread, whoever's host it is: its models share one device, and two threads that
 * use it at once end the process (onnxruntime's issue 32561).
 */
import { Worker } from 'node:worker_threads';
import { PalateError } from '../errors.ts';
import { type Call, type Carrier, closedError, type HostReply, type HostRequest, WaitingCalls } from './carrier.ts';

export class HostThread implements Carrier {
  readonly #worker = startThread();
  readonly #calls = new WaitingCalls(this.#worker);
  readonly #ended: Promise<void>;
  #nextSession = 0;

  /** @param onFailure told when it fails of itself */
  constructor(onFailure: (error: Error) => void = () => {}) {
    const fail = (error: Error) => {
      if (this.runs) onFailure(error);
      this.#calls.fail(error);
    };
    this.#worker.on('message', (reply: HostReply) => this.#calls.take(reply));
    this.#worker.on('error', (cause: Error) =>
      fail(threadError(`The thread that runs the models failed: ${cause?.message ?? cause}`, cause)),
    );
    this.#worker.on('exit', () => fail(threadError('The thread that runs the models ended.')));
    this.#ended = new Promise((resolve) => this.#worker.once('exit', () => resolve()));
  }

  get runs(): boolean {
    return this.#calls.failure === null;
  }

  newSession(): number {
    return this.#nextSession++;
  }

  ask<Value>(call: Call, moved: readonly ArrayBuffer[] = []): Promise<Value> {
    return this.#calls.add((id) => this.#worker.postMessage({ id, ...call }, moved));
  }

  /** The thread ends what it runs: ended from outside within the engine, it would take the process with it. */
  async end(): Promise<void> {
    if (this.runs) {
      this.#calls.fail(closedError());
      this.#worker.ref();
      this.#worker.postMessage({ id: this.#calls.newId(), kind: 'end' } satisfies HostRequest);
    }
    await this.#ended;
  }
}

/** Lasts as long as the process: a next one could begin while this one still ends. */
let webGpuThread: HostThread | null = null;

export function runningWebGpuThread(onFailure?: (error: Error) => void): HostThread {
  if (!webGpuThread?.runs) webGpuThread = new HostThread(onFailure);
  return webGpuThread;
}

const threadError = (message: string, cause?: unknown) => new PalateError('INTERNAL_SERVER_ERROR', message, { cause });

/** From dist the thread is plain JavaScript; from source a loader is registered in it first. */
function startThread(): Worker {
  const fromSource = import.meta.url.endsWith('.ts');
  return new Worker(new URL(fromSource ? './sessionThread.mjs' : './sessionThread.js', import.meta.url));
}
