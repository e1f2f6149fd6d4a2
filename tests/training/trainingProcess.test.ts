/** The process of a training, beside a service: it takes no turn that others want. */
import { fork, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const ENTRY = fileURLToPath(new URL('../../src/training/process/trainingProcess.mjs', import.meta.url));
/** Of /proc/PID/stat, counted from the state on: niceness and scheduling policy (proc(5)). */
const [NICE, POLICY] = [16, 38];
const SCHED_IDLE = '5';
/** Longer than a process takes to start on a busy machine. */
const START_MS = 20_000;

const canBeIdle = process.platform === 'linux' && !spawnSync('chrt', ['--version']).error;

(canBeIdle ? it : it.skip)('runs when nobody else wants the processor', async () => {
  const child = fork(ENTRY, [], { execArgv: [] });
  try {
    const settings = async () => {
      const stat = await readFile(`/proc/${child.pid}/stat`, 'utf8');
      const fields = stat.slice(stat.lastIndexOf(') ') + 2).split(' ');
      return [fields[NICE], fields[POLICY]];
    };
    const deadline = Date.now() + START_MS;
    while ((await settings())[1] !== SCHED_IDLE && Date.now() < deadline) await delay(20);
    expect(await settings()).toEqual(['19', SCHED_IDLE]);
  } finally {
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }
});
