/**
 * A service looked at from outside while it is measured: how late its event loop is, by loopDelay.mjs, and how much
 * memory it and what it started hold. Needs Linux.
 */
import { readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { childrenOf, residentBytes } from './kill/processes.ts';

const LOOK_MS = 20;
const MEMORY_LOOK_MS = 250;
const PRELOAD = new URL('./loopDelay.mjs', import.meta.url).href;

/** Milliseconds. */
export interface LoopDelay {
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

export interface LoopWatch {
  /** What the service is to be started with. */
  readonly environment: Readonly<Record<string, string>>;
  /** What has been seen since the last look; the first sees the start too. */
  look(pid: number): Promise<LoopDelay>;
}

export function watchLoop(): LoopWatch {
  const file = join(tmpdir(), `palate-loop-${process.pid}.json`);
  return {
    environment: { NODE_OPTIONS: `--import=${PRELOAD}`, BENCH_LOOP_DELAY: file },
    async look(pid) {
      process.kill(pid, 'SIGUSR2');
      for (;;) {
        const text = await readFile(file, 'utf8').catch(() => null);
        if (text !== null) {
          await rm(file);
          return JSON.parse(text) as LoopDelay;
        }
        await delay(LOOK_MS);
      }
    },
  };
}

/** The most memory that a process and all below it, but for PostgreSQL's, have held while `work` went on. */
export async function peakMemory<T>(pid: number, work: () => Promise<T>): Promise<{ result: T; peakBytes: number }> {
  let peakBytes = 0;
  let working = true;
  const look = async (): Promise<void> => {
    while (working) {
      peakBytes = Math.max(peakBytes, await treeBytes(pid));
      await delay(MEMORY_LOOK_MS);
    }
  };
  const looking = look();
  try {
    return { result: await work(), peakBytes: Math.max(peakBytes, await treeBytes(pid)) };
  } finally {
    working = false;
    await looking;
  }
}

/** Memory of a process and of all below it, but for PostgreSQL's. */
export async function treeBytes(pid: number): Promise<number> {
  const name = await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => 'postgres');
  if (name.trim() === 'postgres') return 0;
  const below = await Promise.all((await childrenOf(pid)).map(treeBytes));
  return below.reduce((sum, bytes) => sum + bytes, await residentBytes(pid).catch(() => 0));
}

export interface TreeMemory {
  /** Bytes of each process but PostgreSQL's, by its id. */
  readonly processes: ReadonlyMap<number, number>;
  /** Of all of PostgreSQL's together. */
  readonly postgres: number;
}

/** Memory of a process and of all below it; of a page that several share, each has its part (PSS). */
export async function treeMemory(pid: number): Promise<TreeMemory> {
  const name = await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '');
  const bytes = await proportionalBytes(pid);
  const isPostgres = name.trim() === 'postgres';
  const processes = new Map(isPostgres ? [] : [[pid, bytes]]);
  let postgres = isPostgres ? bytes : 0;
  for (const below of await Promise.all((await childrenOf(pid)).map(treeMemory))) {
    for (const [child, held] of below.processes) processes.set(child, held);
    postgres += below.postgres;
  }
  return { processes, postgres };
}

/** 0 for a process that has ended, or whose pages are not for us to see. */
async function proportionalBytes(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8').catch(() => '');
  return 1024 * Number(/^Pss:\s+(\d+) kB$/m.exec(text)?.[1] ?? 0);
}
