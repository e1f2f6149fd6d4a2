/**
 * Gathers jobs of all who ask into batches for one engine. A batch begins when there are rows enough for a full one, or
 * when the oldest job has waited its time; the engine has so many at once, and meanwhile the next one gathers. People who
 * wait come before work in the background, and lanes take turns. It knows what a job costs, and nothing of what it is.
 */
import { PalateError } from '../errors.ts';
import { turn } from '../scheduling/eventLoop.ts';
import { FairQueue } from '../scheduling/fairQueue.ts';

export interface Clock {
  /** Milliseconds. */
  now(): number;
  /** Has something done once; returns what calls it off. */
  after(ms: number, work: () => void): () => void;
}

export const systemClock: Clock = {
  now: () => performance.now(),
  after: (ms, work) => {
    const timer = setTimeout(work, ms);
    return () => clearTimeout(timer);
  },
};

export interface BatcherOptions<Work, Result> {
  /** Runs a batch: a result for each work, in their order. May be run again with a part of it where it fails. */
  readonly run: (batch: readonly Work[]) => Promise<readonly Result[]>;
  /** Of a full batch. One job that has more is a batch of its own. */
  readonly maxRows: number;
  /** How long a job waits for others, in milliseconds; 0 for no longer than the engine is busy. */
  readonly waitMs: number;
  /** Batches that the engine has at once. With two, one is there when the one before ends, and the engine never waits. */
  readonly maxRunning: number;
  /** Of what people wait for; one lane may hold half. Background work is bounded by those who make it. */
  readonly maxQueuedRows: number;
  readonly clock?: Clock;
}

/** How a job waits. */
export interface Waiting {
  /** Whose turn it uses. */
  readonly lane: string;
  /** By the batcher's clock: from then on it is not computed any more. */
  readonly deadline?: number;
  /** Aborted when nobody wants the result any more. */
  readonly signal?: AbortSignal;
  /** Whether nobody waits for it. */
  readonly background?: boolean;
}

interface Job<Work, Result> extends Waiting {
  readonly work: Work;
  readonly rows: number;
  readonly arrived: number;
  readonly queue: FairQueue<Job<Work, Result>>;
  readonly forget: () => void;
  readonly resolve: (result: Result) => void;
  readonly reject: (reason: unknown) => void;
}

const ROWS_A_TURN = 64;
/** Of so many batches one is of background work, however much people ask for. */
const BACKGROUND_TURN = 8;

export class Batcher<Work, Result> {
  readonly #options: BatcherOptions<Work, Result>;
  readonly #clock: Clock;
  readonly #people: FairQueue<Job<Work, Result>>;
  readonly #background: FairQueue<Job<Work, Result>>;
  /** All that is queued, the oldest first. */
  readonly #queued = new Set<Job<Work, Result>>();
  /** Batches that the engine has. */
  #running = 0;
  #alarm: (() => void) | null = null;
  /** Batches of people's since background work was last waiting in vain. */
  #passedOver = 0;

  constructor(options: BatcherOptions<Work, Result>) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    const queue = { of: 'the model', rowsATurn: ROWS_A_TURN };
    this.#people = new FairQueue({ ...queue, most: options.maxQueuedRows });
    this.#background = new FairQueue({ ...queue, most: Number.POSITIVE_INFINITY });
  }

  /**
   * The job's result. Rejects with OVERLOADED where there is no room or its time is up, and with its signal's reason.
   * @param rows what it costs, at least 1
   */
  async submit(work: Work, rows: number, waiting: Waiting): Promise<Result> {
    const { signal, background = false } = waiting;
    signal?.throwIfAborted();
    return new Promise((resolve, reject) => {
      const gone = () => this.#drop(job, signal?.reason);
      const job: Job<Work, Result> = {
        ...waiting,
        ...{ work, rows, resolve, reject },
        arrived: this.#clock.now(),
        queue: background ? this.#background : this.#people,
        forget: () => signal?.removeEventListener('abort', gone),
      };
      job.queue.add(job);
      this.#queued.add(job);
      signal?.addEventListener('abort', gone, { once: true });
      this.#consider();
    });
  }

  /** Begins a batch, or sees to it that one begins in time. */
  #consider(): void {
    const [oldest] = this.#queued;
    if (this.#running >= this.#options.maxRunning || !oldest) return;
    const ms = oldest.arrived + this.#options.waitMs - this.#clock.now();
    if (ms <= 0 || this.#people.rows + this.#background.rows >= this.#options.maxRows) return void this.#begin();
    this.#alarm ??= this.#clock.after(ms, () => {
      this.#alarm = null;
      this.#consider();
    });
  }

  async #begin(): Promise<void> {
    this.#alarm?.();
    this.#alarm = null;
    const batch = this.#nextBatch();
    if (batch.length === 0) return;
    this.#running++;
    try {
      const results = await this.#options.run(batch.map(({ work }) => work));
      // Each goes on in its turn: a crowd that did at once would have all others wait until the last had answered.
      for (const [i, { lane, resolve }] of batch.entries()) void turn(lane).then(() => resolve(results[i]!));
    } catch {
      await this.#runEach(batch);
    }
    this.#running--;
    this.#consider();
  }

  /** After a failure: an engine that died is another one by now, and a job that it cannot do is to fail alone. */
  async #runEach(batch: readonly Job<Work, Result>[]): Promise<void> {
    for (const { work, resolve, reject } of batch) {
      try {
        const [result] = await this.#options.run([work]);
        resolve(result!);
      } catch (error) {
        reject(error);
      }
    }
  }

  #nextBatch(): Job<Work, Result>[] {
    const now = this.#clock.now();
    for (const job of this.#queued) if (job.deadline !== undefined && job.deadline <= now) this.#drop(job, late());
    const batch = this.#nextQueue().take(this.#options.maxRows);
    for (const job of batch) this.#leave(job);
    return batch;
  }

  /** People come first, but for one batch in so many. */
  #nextQueue(): FairQueue<Job<Work, Result>> {
    if (this.#background.rows === 0) this.#passedOver = 0;
    else this.#passedOver++;
    const isTurn = this.#passedOver >= BACKGROUND_TURN || this.#people.rows === 0;
    if (!isTurn) return this.#people;
    this.#passedOver = 0;
    return this.#background;
  }

  #drop(job: Job<Work, Result>, reason: unknown): void {
    job.queue.remove(job);
    this.#leave(job);
    job.reject(reason);
  }

  #leave(job: Job<Work, Result>): void {
    this.#queued.delete(job);
    job.forget();
  }
}

const late = () =>
  new PalateError('OVERLOADED', 'This waited for the model until its time was up: send this again in a second.');
