/**
 * Watching a training: the job as it is, then as each change leaves it, until it is over. trainingChanges.ts tells of a
 * change by NOTIFY, in the transaction that makes it, so that a watcher on any replica hears of it; what is told is that
 * there is something to read, never what. It knows no transport.
 */
import { currentTenant, type Database } from '../database/client.ts';
import type { TrainingJob } from '../database/generated/client.ts';
import { type Listener, listen } from '../database/notifications.ts';
import { PalateError } from '../errors.ts';
import { idOf } from './ids.ts';
import { hasEnded, TRAINING_CHANNEL } from './trainingChanges.ts';

/** One watcher's: rung once or many times while nobody waits, it is heard once. */
class Bell {
  #rung = false;
  #heard: (() => void) | null = null;

  ring(): void {
    this.#rung = true;
    this.#heard?.();
  }

  /** Resolves when it has been rung since it was last heard. */
  async heard(): Promise<void> {
    if (!this.#rung) {
      await new Promise<void>((resolve) => {
        this.#heard = resolve;
      });
    }
    this.#rung = false;
    this.#heard = null;
  }
}

/** Who watches which job in this process. */
export class TrainingWatchers {
  readonly #bells = new Map<string, Set<Bell>>();

  get count(): number {
    return [...this.#bells.values()].reduce((sum, { size }) => sum + size, 0);
  }

  /** A bell for the changes of a job of the session's tenant; `stop` takes it down. */
  watch(jobId: string): { bell: Bell; stop(): void } {
    const name = `${currentTenant()}:${jobId}`;
    const bell = new Bell();
    const bells = this.#bells.get(name) ?? new Set();
    this.#bells.set(name, bells.add(bell));
    return {
      bell,
      stop: () => {
        bells.delete(bell);
        if (bells.size === 0) this.#bells.delete(name);
      },
    };
  }

  changed(name: string): void {
    for (const bell of this.#bells.get(name) ?? []) bell.ring();
  }

  /** Anything may have changed. */
  allChanged(): void {
    for (const name of this.#bells.keys()) this.changed(name);
  }
}

/**
 * Listens for changes made on any replica, on one connection for all watchers, until the listener is closed. After a
 * lost connection every watcher reads its job again.
 * @param onError told of a lost connection, which is being mended
 */
export function startWatching(
  watchers: TrainingWatchers,
  url: string,
  onError: (error: Error) => void,
): Promise<Listener> {
  return listen(url, TRAINING_CHANNEL, {
    onMessage: (name) => watchers.changed(name),
    onReconnect: () => watchers.allChanged(),
    onError,
  });
}

/**
 * The job as it is, then as it is after changes, to whoever asks for the next: of changes that come faster than that,
 * the last. Ends after a final state, or where the signal is aborted. In the tenant's session, each step of it.
 * Throws NOT_FOUND, also where the job is deleted meanwhile.
 */
export async function* trainingProgress(
  { database, trainingWatchers }: { readonly database: Database; readonly trainingWatchers: TrainingWatchers },
  globalId: string,
  signal: AbortSignal,
): AsyncGenerator<TrainingJob> {
  const id = idOf('TrainingJob', globalId);
  if (id === null) throw noJob();
  const { bell, stop } = trainingWatchers.watch(id); // before the first reading: no change falls between the two
  const wake = () => bell.ring();
  signal.addEventListener('abort', wake, { once: true });
  try {
    let seen = Number.NEGATIVE_INFINITY;
    while (!signal.aborted) {
      const job = await database.trainingJob.findFirst({ where: { id } });
      if (!job) throw noJob();
      if (job.revision > seen) {
        seen = job.revision;
        yield job;
      }
      if (hasEnded(job)) return;
      await bell.heard();
    }
  } finally {
    signal.removeEventListener('abort', wake);
    stop();
  }
}

const noJob = () => new PalateError('NOT_FOUND', 'There is no training job with this id.');
