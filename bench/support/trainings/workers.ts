/** Worker processes of a run, and the processes that train for them; only those that it started itself. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { TSX } from '../service.ts';

const WORKER = fileURLToPath(new URL('./worker.ts', import.meta.url));
const STOP_MS = 30_000;

export interface RunningWorker {
  readonly pid: number;
  readonly ended: Promise<unknown>;
  /** Tells it to stop, and waits. */
  stop(): Promise<void>;
}

/** Resolves when it takes up work. @param onChild told of each process that it starts */
export async function startWorker(
  ownerUrl: string,
  folder: string,
  onChild: (pid: number) => void,
): Promise<RunningWorker> {
  const process = spawnWorker(ownerUrl, folder);
  const ended = once(process, 'exit');
  const ready = new Promise<void>((resolve) => {
    createInterface({ input: process.stdout! }).on('line', (line) => {
      if (line === 'ready') resolve();
      else onChild(Number(line.split(' ')[1]));
    });
  });
  const died = ended.then(() => {
    throw new Error('A worker ended before it was ready.');
  });
  await Promise.race([ready, died]);
  return {
    pid: process.pid!,
    ended,
    async stop() {
      process.kill('SIGTERM');
      const late = setTimeout(() => process.kill('SIGKILL'), STOP_MS);
      await ended;
      clearTimeout(late);
    },
  };
}

function spawnWorker(ownerUrl: string, folder: string): ChildProcess {
  return spawn(process.execPath, ['--import', TSX, WORKER, ownerUrl, folder], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}
