/**
 * Models that run beside the caller's thread, any number of them in one thread: the engine blocks the thread that calls
 * it, and the event loop stays free. The thread is one of this process, or of the engine's (engine.ts). Where a thread
 * or a process is gone, its models are opened on the next one, each when it is next asked for. Knows no engine.
 */
import { buffersOf, type Carrier, type Carriers, closedError, type SessionFacts } from './carrier.ts';
import type { Engine } from './engine/engine.ts';
import { HostThread, runningWebGpuThread } from './hostThread.ts';
import type { ModelSource, RunOptions, Session, SessionOptions, Tensors } from './session.ts';

/** What was asked for within so long is opened on a carrier before it takes over. */
const IN_USE_MS = 5 * 60_000;

let hosts = 0;

export class SessionHost {
  readonly #options: SessionOptions;
  readonly #engine: Engine | undefined;
  readonly #carriers: Carriers;
  readonly #id = hosts++;
  #thread: HostThread | null = null;
  #closed = false;
  readonly #models = new Set<HostedModel>();
  /** A session that nobody holds any more is closed there too, where it cannot be seen. */
  readonly #forgotten = new FinalizationRegistry<HostedModel>((model) => void this.#drop(model));

  /**
   * @param options of every session; the thread is started with the first of them
   * @param engine whose process has the thread; this one, if left out
   */
  constructor(options: Omit<SessionOptions, 'worker'> = {}, engine?: Engine) {
    this.#options = options;
    this.#engine = engine;
    const carriers = engine ?? { run: async <Value>(work: Work<Value>) => work(this.#runningThread()) };
    this.#carriers = {
      run: async (work) => {
        if (this.#closed) throw closedError();
        return carriers.run(work);
      },
    };
    engine?.join(this);
  }

  /** Opens a model. What a function makes is moved there, and made again if it must be opened again. */
  async open(source: ModelSource): Promise<Session> {
    const model = new HostedModel(source, { host: this.#id, options: this.#options }, this.#carriers);
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

  /** Opens, one after the other, what was used lately on a carrier that is to take over. */
  async prepare(carrier: Carrier): Promise<void> {
    const since = performance.now() - IN_USE_MS;
    for (const model of [...this.#models]) if (model.usedAt >= since) await model.prepare(carrier);
  }

  /** Ends the thread, and with it every session; in WebGPU's thread and in the engine's process, closes every session. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#engine?.leave(this);
    await this.#thread?.end();
    await Promise.all([...this.#models].map((model) => this.#drop(model)));
  }

  #runningThread(): HostThread {
    if (this.#options.provider === 'webgpu') return runningWebGpuThread();
    if (!this.#thread?.runs) this.#thread = new HostThread();
    return this.#thread;
  }

  async #drop(model: HostedModel): Promise<void> {
    this.#models.delete(model);
    await model.close();
  }
}

type Work<Value> = (carrier: Carrier) => Promise<Value>;

/** How a model is opened, wherever that is. */
interface Opening {
  readonly host: number;
  readonly options: SessionOptions;
}

/** Where a model is open. */
interface Place {
  readonly session: number;
  readonly facts: Promise<SessionFacts>;
}

class HostedModel {
  readonly #source: ModelSource;
  readonly #opening: Opening;
  readonly #carriers: Carriers;
  readonly #places = new Map<Carrier, Place>();
  #closed = false;
  /** By the clock of `performance.now`. */
  usedAt = performance.now();

  constructor(source: ModelSource, opening: Opening, carriers: Carriers) {
    this.#source = source;
    this.#opening = opening;
    this.#carriers = carriers;
  }

  facts(): Promise<SessionFacts> {
    return this.#carriers.run((carrier) => this.#placeOn(carrier).facts);
  }

  async run(feeds: Tensors, outputs?: readonly string[], { give = false }: RunOptions = {}): Promise<Tensors> {
    this.usedAt = performance.now();
    return this.#carriers.run(async (carrier) => {
      const { session, facts } = this.#placeOn(carrier);
      await facts;
      return carrier.ask<Tensors>({ kind: 'run', session, feeds, outputs }, give ? buffersOf(feeds) : []);
    });
  }

  async prepare(carrier: Carrier): Promise<void> {
    if (!this.#closed) await this.#placeOn(carrier).facts;
  }

  async close(): Promise<void> {
    this.#closed = true;
    const places = [...this.#places];
    this.#places.clear();
    await Promise.all(
      places.map(async ([carrier, { session, facts }]) => {
        try {
          await facts; // what is not open yet cannot be closed
          await carrier.ask({ kind: 'close', session });
        } catch {
          // it was not opened, or what ran it is gone: nothing is left of it
        }
      }),
    );
  }

  /** However many ask at once, a model is opened once a carrier. */
  #placeOn(carrier: Carrier): Place {
    if (this.#closed) throw closedError();
    const known = this.#places.get(carrier);
    if (known) return known;
    for (const other of this.#places.keys()) if (!other.runs) this.#places.delete(other);
    const session = carrier.newSession();
    const place = { session, facts: this.#openOn(carrier, session) };
    this.#places.set(carrier, place);
    place.facts.catch(() => {
      if (this.#places.get(carrier) === place) this.#places.delete(carrier); // the next call tries again
    });
    return place;
  }

  async #openOn(carrier: Carrier, session: number): Promise<SessionFacts> {
    const source = this.#source;
    const model = typeof source === 'function' ? await source() : source;
    const moved = typeof source === 'function' ? buffersOf({ model: { data: model } }) : [];
    return carrier.ask<SessionFacts>({ kind: 'open', session, model, ...this.#opening }, moved);
  }
}
