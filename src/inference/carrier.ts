/**
 * What runs models beside the caller's thread, a thread or a process: what it is asked, what it answers, and the calls
 * that wait for it. Knows neither of them, and no engine.
 */
import { PalateError } from '../errors.ts';
import type { ModelContent, Session, SessionOptions, Tensors } from './session.ts';

/**
 * What is asked; `id` pairs it with its answer, `session` is a number of the asker's, and models of one `host` share a
 * thread.
 */
export type HostRequest =
  | {
      id: number;
      kind: 'open';
      session: number;
      host: number;
      model: ModelContent;
      options: SessionOptions;
    }
  | {
      id: number;
      kind: 'run';
      session: number;
      feeds: Tensors;
      outputs: readonly string[] | undefined;
      /** Memory of the feeds that comes back with the answer, which is then {@link RunAndBack}. */
      back?: ArrayBuffer;
    }
  | { id: number; kind: 'close'; session: number }
  | { id: number; kind: 'end' };
/** What is answered to `open`. */
export type SessionFacts = Pick<Session, 'executionProvider' | 'inputNames' | 'outputNames'>;
export interface RunAndBack {
  readonly results: Tensors;
  readonly back: ArrayBuffer;
}
export type HostReply = { id: number; value: unknown } | { id: number; error: string };
type WithoutId<Request> = Request extends { id: number } ? Omit<Request, 'id'> : never;
export type Call = WithoutId<HostRequest>;

export interface Carrier {
  /** False once it has failed or was ended. */
  readonly runs: boolean;
  newSession(): number;
  /** @param moved memory that is the carrier's from now on */
  ask<Value>(call: Call, moved?: readonly ArrayBuffer[]): Promise<Value>;
  /** Ends it, and with it every session: what it was asked fails. */
  end(): Promise<void>;
}

/** Where the models of a host run: in a thread, or in a process that may be another one tomorrow. */
export interface Carriers {
  /** Gives the work what runs now. The work may be given another one and done again, if the first is lost meanwhile. */
  run<Value>(work: (carrier: Carrier) => Promise<Value>): Promise<Value>;
}

export const closedError = () => new PalateError('INTERNAL_SERVER_ERROR', "The model's session is closed.");

/** The memory of these tensors that is theirs alone: what lies within a larger piece is copied. */
export function buffersOf(tensors: Readonly<Record<string, { readonly data: unknown }>>): ArrayBuffer[] {
  const whole = Object.values(tensors).flatMap(({ data }) =>
    ArrayBuffer.isView(data) && data.buffer instanceof ArrayBuffer && data.byteLength === data.buffer.byteLength
      ? [data.buffer]
      : [],
  );
  return [...new Set(whole)];
}

/** What keeps this process alive, or not. */
interface Keeper {
  ref(): void;
  unref(): void;
}

interface Waiting {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

/** Calls on their way. One that waits keeps the process alive; an idle carrier never does. */
export class WaitingCalls {
  readonly #waiting = new Map<number, Waiting>();
  readonly #keeper: Keeper;
  #failure: Error | null = null;
  #nextId = 0;

  constructor(keeper: Keeper) {
    this.#keeper = keeper;
  }

  /** What everybody is told from now on, if anything. */
  get failure(): Error | null {
    return this.#failure;
  }

  newId(): number {
    return this.#nextId++;
  }

  add<Value>(send: (id: number) => void): Promise<Value> {
    return new Promise((resolve, reject) => {
      if (this.#failure) return reject(this.#failure);
      const id = this.newId();
      send(id);
      this.#waiting.set(id, { resolve: resolve as Waiting['resolve'], reject });
      this.#keeper.ref();
    });
  }

  take(reply: HostReply): void {
    const call = this.#waiting.get(reply.id);
    this.#waiting.delete(reply.id);
    if (this.#waiting.size === 0 && !this.#failure) this.#keeper.unref();
    if ('error' in reply) call?.reject(new PalateError('INTERNAL_SERVER_ERROR', reply.error));
    else call?.resolve(reply.value);
  }

  /** The first failure is what everybody is told. */
  fail(error: Error): void {
    this.#failure ??= error;
    for (const { reject } of this.#waiting.values()) reject(this.#failure);
    this.#waiting.clear();
    this.#keeper.unref();
  }
}
