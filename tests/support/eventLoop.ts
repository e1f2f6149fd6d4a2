import { setImmediate as turn } from 'node:timers/promises';

/** Until all has gone on that waits for nothing but turns of the event loop. */
export async function settled(): Promise<void> {
  for (let i = 0; i < 5; i++) await turn();
}
