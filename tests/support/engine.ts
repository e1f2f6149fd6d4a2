/** Engines for tests, and a time in which no process of theirs can be started. */
import { Engine } from '../../src/inference/engine/engine.ts';

/** Says nothing, and is replaced when it is told to. */
export function quietEngine(): Engine {
  const ignore = () => {};
  return new Engine({ maxBytes: 1e12, maxAgeMs: null, log: { info: ignore, warn: ignore, error: ignore } });
}

/** While no process of Node's can be started. */
export async function withoutProcesses(work: () => Promise<void>): Promise<void> {
  const options = process.env['NODE_OPTIONS'];
  process.env['NODE_OPTIONS'] = '--no-such-option';
  try {
    await work();
  } finally {
    if (options === undefined) delete process.env['NODE_OPTIONS'];
    else process.env['NODE_OPTIONS'] = options;
  }
}
