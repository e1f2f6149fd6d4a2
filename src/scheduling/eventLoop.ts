/**
 * Turns of the thread's event loop. Where many go on at once (a crowd's requests came in one read of the network, a batch
 * or a shared statement came back for all of them), each would do its part right after the one before, and nothing else
 * would happen until the last had: no refusal, no health check, no other tenant's answer. Here they go on in slices of a
 * few milliseconds, between which the loop looks at everything else, and lanes take turns.
 */
import { FairQueue, type Queued } from './fairQueue.ts';

/** After so many milliseconds the loop looks at everything else; what has begun by then goes on. */
const SLICE_MS = 5;

interface Waiter extends Queued {
  readonly goOn: () => void;
}

const queue = new FairQueue<Waiter>({ of: 'a turn', most: Number.POSITIVE_INFINITY, rowsATurn: 1 });
/** Whether a slice is coming, or going on. */
let slicing = false;

/**
 * Resolves when it is the lane's turn. What is done then should be some milliseconds' work at most, or wait for another
 * turn in between.
 * @param lane whose turn it uses: a tenant
 */
export function turn(lane: string): Promise<void> {
  return new Promise((goOn) => {
    queue.add({ lane, rows: 1, goOn });
    if (slicing) return;
    slicing = true;
    setImmediate(slice);
  });
}

function slice(): void {
  const end = performance.now() + SLICE_MS;
  const next = () => {
    if (queue.rows === 0) {
      slicing = false;
    } else if (performance.now() < end) {
      queue.take(1)[0]!.goOn();
      // What goes on does so in microtasks; a tick comes when none of them is left.
      queueMicrotask(() => process.nextTick(next));
    } else {
      setImmediate(slice);
    }
  };
  next();
}
