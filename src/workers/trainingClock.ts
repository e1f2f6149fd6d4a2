/**
 * Asks for the trainings that are due by themselves (src/domain/trainingTimes.ts): once a minute, in one process of the
 * installation at a time.
 */
import pg from 'pg';
import type { TrainingRequests } from '../domain/trainingJobs.ts';
import { selfTrainingTenants, trainIfDue } from '../domain/trainingTimes.ts';

/** As much of a logger as this needs. */
export interface ClockLog {
  error(details: object, message: string): void;
}

const EVERY_MS = 60_000;
/** Held by the process that asks: "trai". */
const LOCK = 0x74726169;

export interface TrainingClock {
  stop(): Promise<void>;
}

/** @param url the database, for the connection that holds the lock */
export function startTrainingClock(platform: TrainingRequests, url: string, log: ClockLog): TrainingClock {
  const onError = (tenant: string | null) => (error: unknown) =>
    log.error({ err: error, tenant }, 'it was not seen whether a training is due; it is tried again in a minute');
  const stopping = new AbortController();
  let rounds = Promise.resolve();
  const begin = (): void => {
    rounds = rounds.then(() => askForDue(platform, url, onError, stopping.signal)).then(() => {}, onError(null));
  };
  const timer = setInterval(begin, EVERY_MS).unref();
  return {
    async stop() {
      clearInterval(timer);
      stopping.abort();
      await rounds;
    },
  };
}

/** One round over all tenants. Returns false where another process is at it. */
export async function askForDue(
  platform: TrainingRequests,
  url: string,
  onError: (tenantId: string) => (error: unknown) => void,
  stop?: AbortSignal,
): Promise<boolean> {
  const holder = new pg.Client({ connectionString: url, application_name: 'palate-clock' });
  holder.on('error', () => {}); // two rounds beside each other ask once
  await holder.connect();
  try {
    const { rows } = await holder.query<{ taken: boolean }>('SELECT pg_try_advisory_lock($1) AS taken', [LOCK]);
    if (!rows[0]?.taken) return false;
    for (const tenantId of await selfTrainingTenants(platform)) {
      if (stop?.aborted) break;
      await trainIfDue(platform, tenantId).catch(onError(tenantId));
    }
    return true;
  } finally {
    await holder.end().catch(() => {});
  }
}
