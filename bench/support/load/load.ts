/**
 * Load from a process of its own, so that what the client takes for itself is not in the times. Requests are POSTs of
 * GraphQL bodies, sent over connections that stay open, either one after the other on each (how much is possible) or at
 * a fixed rate (how long each takes then): a time counts from when the request was due, so that a halt of the service
 * is in the times of all who had to wait for it.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { TSX } from '../service.ts';

export interface LoadPlan {
  readonly url: string;
  /** Where the bodies go; `/graphql`, if left out. */
  readonly path?: string;
  /** One for all bodies, or one each. */
  readonly key: string | readonly string[];
  /** Sent in turn, from the first again after the last. */
  readonly bodies: readonly string[];
  readonly connections: number;
  /**
   * All of them are opened before the clock starts, as a proxy has them. Node takes one new connection a turn of its event
   * loop: of a crowd that opens its own, most wait unheard.
   */
  readonly openFirst?: boolean;
  readonly seconds: number;
  /** Requests a second; as many as the connections carry, if left out. */
  readonly rate?: number;
}

export interface LoadTimes {
  /** Milliseconds of each request that succeeded, in the order of their ends. */
  readonly ms: readonly number[];
  /** Milliseconds of each that was answered by an error, by its code (`OVERLOADED`), or by its status where it has none. */
  readonly refused: Readonly<Record<string, readonly number[]>>;
  /** What came instead of an answer without errors, and how often. */
  readonly failures: Readonly<Record<string, number>>;
  readonly seconds: number;
}

export interface LoadClient {
  /** One plan after the other. */
  run(plan: LoadPlan): Promise<LoadTimes>;
  close(): void;
}

export function startLoadClient(): LoadClient {
  const child = fork(fileURLToPath(new URL('./loadProcess.ts', import.meta.url)), { execArgv: ['--import', TSX] });
  const died = once(child, 'exit').then(([status]) => {
    throw new Error(`The client's process ended with ${status}.`);
  });
  died.catch(() => {});
  return {
    async run(plan) {
      const answer = once(child, 'message');
      child.send(plan);
      const [times] = await Promise.race([answer, died]);
      return times as LoadTimes;
    },
    close: () => child.disconnect(),
  };
}
