/** Processes that a run has started, as Linux shows them under /proc: who their children are, how much memory they hold. */
import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';

const LOOK_MS = 20;
/** A killed process goes at once; one that is still there after this long is a fault of the run. */
const GONE_MS = 10_000;

/** State and parent of a process; null where it is gone. */
async function statOf(pid: number): Promise<{ state: string; parent: number } | null> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => ''); // "12 (postgres) S 1 …"
  const [, state, parent] = /\) (\S) (\d+) /.exec(text) ?? [];
  return state && parent ? { state, parent: Number(parent) } : null;
}

/** The processes that this one has started and that still run. */
export async function childrenOf(pid: number): Promise<number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  const parents = await Promise.all(pids.map(statOf));
  return pids.filter((_, i) => parents[i]?.parent === pid);
}

/** Those of them whose command line has this in it. */
export async function childrenWith(pid: number, word: string): Promise<number[]> {
  const pids = await childrenOf(pid);
  const lines = await Promise.all(pids.map((child) => readFile(`/proc/${child}/cmdline`, 'utf8').catch(() => '')));
  return pids.filter((_, i) => lines[i]!.includes(word));
}

/** Kills them outright (SIGKILL), all at once; those that are gone already are no fault. */
export function killOutright(pids: readonly number[]): void {
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
}

/** Resolves when none of them runs any more. A zombie does not run. */
export async function untilGone(pids: readonly number[]): Promise<void> {
  const deadline = Date.now() + GONE_MS;
  for (;;) {
    const stats = await Promise.all(pids.map(statOf));
    if (stats.every((stat) => stat === null || stat.state === 'Z')) return;
    if (Date.now() > deadline) throw new Error(`Of the killed processes ${pids.join(', ')} some still run.`);
    await delay(LOOK_MS);
  }
}

/** Memory that a process holds, bytes: its resident set. */
export async function residentBytes(pid: number): Promise<number> {
  const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1];
  if (!kilobytes) throw new Error(`Process ${pid} has no resident memory: it has ended.`);
  return Number(kilobytes) * 1024;
}

/** What Linux counts processor time in, the same on every machine it runs on. */
const TICKS_A_SECOND = 100;

/** Processor time that a process has used since its start, milliseconds, whatever else the machine was doing. */
export async function processorMs(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8');
  const fields = text.slice(text.lastIndexOf(') ') + 2).split(' '); // from the third on: state, parent, …
  return ((Number(fields[11]) + Number(fields[12])) * 1000) / TICKS_A_SECOND;
}
