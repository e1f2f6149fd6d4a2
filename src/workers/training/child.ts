/**
 * The process that trains, seen from its parent: started, listened to, and killed outright where it is to end, which
 * loses nothing but the steps since its last checkpoint. No promise of it is settled before the process is gone.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { engineEnvironment } from '../../inference/engineEnvironment.ts';
import { FOREGROUND, type TrainingMessage, type TrainingTask } from '../../training/process/protocol.ts';

/** The longest that a training may take: one that hangs ends too. */
const LONGEST_MS = 12 * 60 * 60 * 1000;
/** So much of what it wrote to stderr is kept: what a runtime says when it runs out of memory. */
const LAST_WORDS = 1_000;

/** How it ended by itself. */
export type ChildEnd =
  | Extract<TrainingMessage, { kind: 'trained' | 'declined' | 'failed' }>
  /** Without a last word: killed, out of memory, or crashed. */
  | { readonly kind: 'died'; readonly how: string };

export interface ChildOptions {
  /** At the priority of its parent instead of the lowest. */
  readonly foreground: boolean;
  /** Kills it; `runChild` then throws the signal's reason. */
  readonly signal: AbortSignal;
  onStart?(pid: number): void;
  onMessage(message: TrainingMessage): void;
}

export async function runChild(task: TrainingTask, options: ChildOptions): Promise<ChildEnd> {
  const { foreground, signal, onStart, onMessage } = options;
  signal.throwIfAborted();
  const child = startChild(foreground ? [FOREGROUND] : []);
  const timeout = setTimeout(() => child.kill('SIGKILL'), LONGEST_MS);
  const kill = () => child.kill('SIGKILL');
  signal.addEventListener('abort', kill, { once: true });
  let last: ChildEnd | null = null;
  let words = '';
  child.stderr?.on('data', (bytes: Buffer) => {
    words = (words + bytes.toString()).slice(-LAST_WORDS);
  });
  child.on('message', (message: TrainingMessage) => {
    if (message.kind === 'trained' || message.kind === 'declined' || message.kind === 'failed') last = message;
    else onMessage(message);
  });
  const started = performance.now();
  try {
    if (child.pid !== undefined) onStart?.(child.pid);
    child.send(task, () => {}); // where it is gone already, its end tells
    const how = await endOf(child);
    signal.throwIfAborted();
    if (last) return last;
    if (performance.now() - started >= LONGEST_MS) return { kind: 'failed', message: 'It took longer than 12 hours.' };
    return { kind: 'died', how: words.trim() === '' ? how : `${how}; its last words: ${words.trim()}` };
  } finally {
    clearTimeout(timeout);
    signal.removeEventListener('abort', kill);
  }
}

/** From dist the process is plain JavaScript; from source a loader is registered in it first. */
function startChild(args: readonly string[]): ChildProcess {
  const extension = import.meta.url.endsWith('.ts') ? 'mjs' : 'js';
  const entry = new URL(`../../training/process/trainingProcess.${extension}`, import.meta.url);
  return fork(fileURLToPath(entry), args, {
    env: engineEnvironment(process.env),
    execArgv: [],
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
}

/** Resolves in words when the process is gone and everything that it sent is heard. */
function endOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(`it could not be started (${error.message})`));
    child.once('close', (code, signal) => resolve(signal ? `ended by ${signal}` : `ended with status ${code}`));
  });
}
