/**
 * Messages between the processes of one database (LISTEN and NOTIFY): sent in a transaction, heard by all when it
 * commits, kept for nobody. Who was not connected has missed them and is told so. It knows no message's meaning.
 */
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import type { Queries } from './client.ts';

/** The first wait after a lost connection; each further one is twice as long. */
const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 10_000;
/** A connection that a network has silently dropped is found out by a probe after so long. */
const PROBE_AFTER_MS = 10_000;

export interface Listener {
  /** Lets go of the connection. */
  close(): Promise<void>;
}

export interface Listening {
  readonly onMessage: (text: string) => void;
  /** Called when it hears again after a lost connection: messages may have been missed. */
  readonly onReconnect: () => void;
  readonly onError: (error: Error) => void;
}

/** Sends a message, at most 8,000 bytes, if and when the transaction commits. */
export async function notify(transaction: Queries, channel: string, text: string): Promise<void> {
  await transaction.$executeRaw`SELECT pg_notify(${channel}, ${text})`;
}

/** Hears a channel on a connection of its own, and connects again for as long as it is not closed. */
export async function listen(url: string, channel: string, listening: Listening): Promise<Listener> {
  const closing = new AbortController();
  let connection = await connect(url, channel, listening);
  const keeping = keepUp();

  async function keepUp(): Promise<void> {
    while (!closing.signal.aborted) {
      const error = await Promise.race([connection.lost, aborted(closing.signal)]);
      await connection.client.end().catch(() => {});
      if (error === null) return;
      listening.onError(error);
      await reconnect();
    }
  }

  async function reconnect(): Promise<void> {
    for (let wait = FIRST_WAIT_MS; !closing.signal.aborted; wait = Math.min(2 * wait, LONGEST_WAIT_MS)) {
      await delay(wait, undefined, { signal: closing.signal }).catch(() => {});
      if (closing.signal.aborted) return;
      try {
        connection = await connect(url, channel, listening);
        listening.onReconnect();
        return;
      } catch (error) {
        listening.onError(error as Error);
      }
    }
  }

  return {
    async close() {
      closing.abort();
      await keeping;
      await connection.client.end().catch(() => {});
    },
  };
}

interface Connection {
  readonly client: pg.Client;
  /** Resolves with why, when the connection is lost. */
  readonly lost: Promise<Error>;
}

async function connect(url: string, channel: string, { onMessage }: Listening): Promise<Connection> {
  const client = new pg.Client({
    connectionString: url,
    application_name: 'palate-listen',
    connectionTimeoutMillis: LONGEST_WAIT_MS,
    keepAlive: true,
    keepAliveInitialDelayMillis: PROBE_AFTER_MS,
  });
  const lost = new Promise<Error>((resolve) => {
    client.on('error', resolve);
    client.on('end', () => resolve(new Error('The connection was closed.')));
  });
  client.on('notification', ({ payload }) => onMessage(payload ?? ''));
  try {
    await client.connect();
    await client.query(`LISTEN ${pg.escapeIdentifier(channel)}`);
  } catch (error) {
    await client.end().catch(() => {});
    throw error;
  }
  return { client, lost };
}

function aborted(signal: AbortSignal): Promise<null> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(null);
    else signal.addEventListener('abort', () => resolve(null), { once: true });
  });
}
