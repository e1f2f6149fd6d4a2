/**
 * A training's own process: takes one task over the channel to its parent, says how it goes, and ends. It takes the
 * processor when nothing else of the machine wants it, is the first to go where memory is short, and ends with its
 * parent.
 */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { constants, setPriority } from 'node:os';
import { FOREGROUND, type TrainingMessage, type TrainingTask } from './protocol.ts';

// Before the runtime's threads are there: they take it over.
if (!process.argv.includes(FOREGROUND)) yieldToOthers();
process.once('disconnect', () => process.exit(1));
process.once('message', (task: TrainingTask) => void work(task));
offerToMemory();

/**
 * The lowest priority still keeps others waiting: since 6.6 Linux lets it finish its turn of some milliseconds before
 * who has just woken. What has the idle policy goes at once; util-linux sets it, which all but the smallest systems have.
 */
function yieldToOthers(): void {
  setPriority(constants.priority.PRIORITY_LOW);
  if (process.platform !== 'linux') return;
  try {
    execFileSync('chrt', ['--all-tasks', '--idle', '--pid', '0', String(process.pid)], { stdio: 'ignore' });
  } catch {
    // not there, or not allowed: the priority remains
  }
}

/** Linux ends the process of the highest score where memory runs out: the service must not be it. */
function offerToMemory(): void {
  try {
    writeFileSync('/proc/self/oom_score_adj', '500');
  } catch {
    // elsewhere, or not allowed: then it is as likely as any other
  }
}

async function work(task: TrainingTask): Promise<void> {
  let last: TrainingMessage;
  try {
    const { doTask } = await import('./task.ts'); // the runtime starts threads
    last = await doTask(task, (message) => void process.send?.(message));
  } catch (error) {
    last = { kind: 'failed', message: error instanceof Error ? error.message : String(error) };
  }
  process.send?.(last, () => process.exit(0));
}
