/**
 * Loaded into a service that is measured (`NODE_OPTIONS=--import=…`): how late its main thread's event loop is. On
 * SIGUSR2 it writes what it has seen since the last to BENCH_LOOP_DELAY, as JSON, milliseconds. Plain JavaScript, since
 * it runs before what reads TypeScript.
 */
import { renameSync, writeFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { isMainThread } from 'node:worker_threads';

const RESOLUTION_MS = 1;
const NANOSECONDS = 1e6;

const file = process.env.BENCH_LOOP_DELAY;
delete process.env.BENCH_LOOP_DELAY; // what the service starts is not what is measured
if (file && isMainThread) {
  const histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  histogram.enable();
  /** A timer's own millisecond is no delay. */
  const late = (nanoseconds) => Math.max(0, nanoseconds / NANOSECONDS - RESOLUTION_MS);
  process.on('SIGUSR2', () => {
    const delays = {
      p50: late(histogram.percentile(50)),
      p99: late(histogram.percentile(99)),
      p999: late(histogram.percentile(99.9)),
      max: late(histogram.max),
    };
    histogram.reset();
    writeFileSync(`${file}.new`, JSON.stringify(delays));
    renameSync(`${file}.new`, file);
  });
}
