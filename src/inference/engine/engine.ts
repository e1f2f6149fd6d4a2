/**
 * The process that runs the models of a service, whichever it is just now: replaced without losing a call. One that died
 * (a crash in native code, the system's want of memory) is followed by another, which does again what was at hand; one
 * that holds too much memory or is too old is followed by one that has opened what is in use, and ends what it has at
 * hand. Knows no model and no host of them.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { PalateError } from '../../errors.ts';
import { type Carrier, type Carriers, closedError } from '../carrier.ts';
import { EngineProcess, ProcessLost } from './engineProcess.ts';

/** As much of a logger as this needs. */
export interface EngineLog {
  info(details: object, message: string): void;
  warn(details: object, message: string): void;
  error(details: object, message: string): void;
}

export interface EngineOptions {
  /** Resident memory beyond which the process is replaced. */
  readonly maxBytes: number;
  /** Age at which it is replaced; at none, if null. */
  readonly maxAgeMs: number | null;
  readonly log: EngineLog;
}

/** Who has models that are to be open before a process takes over. */
export interface EngineUser {
  prepare(carrier: Carrier): Promise<void>;
}

/** No process can be had just now. */
export class EngineUnavailable extends PalateError {
  constructor(seconds: number, cause?: unknown) {
    super(
      'NOT_READY',
      `The process that runs the models cannot be kept running, and is started again in ${Math.max(1, Math.ceil(seconds))} s: send this again then. Whoever runs the service finds the reason in its log.`,
      { cause },
    );
    this.name = 'EngineUnavailable';
  }
}

/** How often memory and age are looked at. */
const LOOK_MS = 5_000;
/** Where what is in use takes more than the limit, another process helps little. */
const LEAST_AGE_MS = 10 * 60_000;
/** So long a replaced process may take over what it has at hand; then that is done again on the next. */
const FINISH_MS = 60_000;
/** The second process in a row that does nothing waits so long, each after it twice as long. */
const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 30_000;
/** Who asks waits out a pause of so long, and is told of a longer one. */
const PATIENCE_MS = 1_000;

/** A process in service. */
interface Serving {
  readonly process: EngineProcess;
  /** When it began, or could not be replaced. */
  since: number;
  /** Calls at hand. */
  calls: number;
  /** Told when the last of them has ended. */
  onIdle: () => void;
}

export class Engine implements Carriers {
  readonly #options: EngineOptions;
  readonly #users = new Set<EngineUser>();
  readonly #looking: NodeJS.Timeout;
  #serving: Serving | null = null;
  #starting: Promise<Serving> | null = null;
  #replacing: Promise<void> | null = null;
  /** What was at hand when a process died, done again one after the other; whoever comes now waits for it. */
  #again: Promise<void> | null = null;
  /** Processes in a row that ended without having done anything. */
  #failures = 0;
  /** By the clock of `performance.now`: no process is started before. */
  #notBefore = 0;
  #closed = false;

  constructor(options: EngineOptions) {
    this.#options = options;
    this.#looking = setInterval(() => void this.#look(), LOOK_MS).unref();
  }

  join(user: EngineUser): void {
    this.#users.add(user);
  }

  leave(user: EngineUser): void {
    this.#users.delete(user);
  }

  /** Of the process in service, if there is one just now. */
  get pid(): number | null {
    return this.#serving?.process.pid ?? null;
  }

  /** Resolves where a process runs, or can be started. Throws {@link EngineUnavailable} where none can. */
  async checkRuns(): Promise<void> {
    await this.#running();
  }

  /**
   * What a process was doing when it died is done once more, on the next and alone there: then whatever ends two
   * processes is known, and fails. What was at hand beside it does not fail.
   */
  async run<Value>(work: (carrier: Carrier) => Promise<Value>): Promise<Value> {
    while (this.#again) await this.#again;
    try {
      return await this.#runOnce(work);
    } catch (error) {
      if (!(error instanceof ProcessLost)) throw error;
      return this.#runAgain(work);
    }
  }

  /** Has another process take over, and resolves when the one before has ended. Nothing happens where none runs. */
  replace(why: string): Promise<void> {
    this.#replacing ??= this.#replace(why).finally(() => {
      this.#replacing = null;
    });
    return this.#replacing;
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#looking);
    await this.#starting?.catch(() => {});
    await this.#replacing;
    await this.#serving?.process.end();
  }

  async #runOnce<Value>(work: (carrier: Carrier) => Promise<Value>): Promise<Value> {
    const serving = this.#serving ?? (await this.#running());
    serving.calls++;
    try {
      const value = await work(serving.process);
      this.#failures = 0;
      return value;
    } finally {
      if (--serving.calls === 0) serving.onIdle();
    }
  }

  #runAgain<Value>(work: (carrier: Carrier) => Promise<Value>): Promise<Value> {
    const value = (this.#again ?? Promise.resolve())
      .then(() => this.#runOnce(work))
      .catch((error: unknown) => {
        throw error instanceof ProcessLost ? twiceLost(error) : error;
      });
    const done = value
      .then(
        () => {},
        () => {},
      )
      .then(() => {
        if (this.#again === done) this.#again = null;
      });
    this.#again = done;
    return value;
  }

  async #running(): Promise<Serving> {
    if (this.#closed) throw closedError();
    if (this.#serving) return this.#serving;
    this.#starting ??= this.#start().finally(() => {
      this.#starting = null;
    });
    return this.#starting;
  }

  async #start(): Promise<Serving> {
    const pause = this.#notBefore - performance.now();
    if (pause > PATIENCE_MS) throw new EngineUnavailable(pause / 1000);
    if (pause > 0) await delay(pause);
    try {
      return this.#serve(await EngineProcess.start());
    } catch (cause) {
      const seconds = this.#pause();
      this.#options.log.error({ err: cause, seconds }, 'the process that runs the models could not be started');
      throw new EngineUnavailable(seconds, cause);
    }
  }

  #serve(process: EngineProcess): Serving {
    const serving: Serving = { process, since: performance.now(), calls: 0, onIdle: () => {} };
    this.#serving = serving;
    this.#options.log.info({ enginePid: process.pid }, 'a process runs the models');
    process.onLost = (how) => {
      if (this.#serving === serving) this.#lost(serving, how);
    };
    return serving;
  }

  /** The next one is there before anybody asks, if it can be, with what is in use. */
  #lost({ process: { pid } }: Serving, how: string): void {
    this.#serving = null;
    if (this.#closed) return;
    const seconds = this.#pause();
    this.#options.log.error(
      { enginePid: pid, seconds },
      `the process that runs the models ${how}: what it had at hand is done again on the next`,
    );
    this.#followUp().catch(() => {}); // who asks next is told
  }

  async #followUp(): Promise<void> {
    const { process } = await this.#running();
    while (this.#again) await this.#again;
    await this.#prepare(process);
  }

  /** How long no process is started after one that did nothing, in seconds. */
  #pause(): number {
    const times = this.#failures++ - 1;
    const ms = times < 0 ? 0 : Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** times);
    this.#notBefore = performance.now() + ms;
    return ms / 1000;
  }

  async #replace(why: string): Promise<void> {
    const before = this.#serving;
    if (!before || this.#closed) return;
    const { log } = this.#options;
    log.info({ enginePid: before.process.pid }, `the process that runs the models is replaced: ${why}`);
    const next = await this.#prepared();
    if (!next) {
      before.since = performance.now();
      return;
    }
    if (this.#closed || this.#serving !== before || !next.runs) return next.end(); // another serves by now
    this.#serve(next);
    await Promise.race([idle(before), delay(FINISH_MS, undefined, { ref: false })]);
    if (before.calls > 0) await before.process.kill();
    else await before.process.end();
  }

  /** A process that is ready to serve; null where there can be none, and the one that serves goes on. */
  async #prepared(): Promise<EngineProcess | null> {
    let next: EngineProcess | null = null;
    try {
      next = await EngineProcess.start();
      await this.#prepare(next);
      return next;
    } catch (error) {
      this.#options.log.warn({ err: error }, 'no other process could take over: the one that runs the models goes on');
      await next?.end();
      return null;
    }
  }

  async #prepare(process: EngineProcess): Promise<void> {
    for (const user of [...this.#users]) await user.prepare(process);
  }

  async #look(): Promise<void> {
    const serving = this.#serving;
    if (!serving || this.#replacing) return;
    const bytes = await serving.process.residentBytes().catch(() => 0); // it has just ended
    const why = whyReplace({ bytes, ageMs: performance.now() - serving.since }, this.#options);
    if (why !== null) await this.replace(why);
  }
}

/** Why a process is to be replaced, in words; null where it is not. */
export function whyReplace(
  { bytes, ageMs }: { readonly bytes: number; readonly ageMs: number },
  { maxBytes, maxAgeMs }: Pick<EngineOptions, 'maxBytes' | 'maxAgeMs'>,
): string | null {
  if (maxAgeMs !== null && ageMs >= maxAgeMs) return `it is ${Math.round(ageMs / 60_000)} minutes old`;
  if (bytes > maxBytes && ageMs >= LEAST_AGE_MS) return `it holds ${bytes} bytes of memory`;
  return null;
}

function idle(serving: Serving): Promise<void> {
  return new Promise((resolve) => {
    serving.onIdle = resolve;
    if (serving.calls === 0) resolve();
  });
}

const twiceLost = ({ how }: ProcessLost) =>
  new PalateError(
    'INTERNAL_SERVER_ERROR',
    `The process that runs the models ${how} while it did this alone, after one before it had ended doing this: it is not tried again.`,
  );
