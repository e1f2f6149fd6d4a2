/**
 * The engine's process: hands what it is asked over its pipe to the threads that run the models, one for each host, and
 * their answers back. The pipe is read while the threads reckon. It ends with its parent, however that ends, and with any
 * of its threads: another process takes its place. Knows no model.
 */
import { writeFileSync } from 'node:fs';
import { type OnReadOpts, Socket, type SocketConstructorOpts } from 'node:net';
import { closedError, type HostReply, type RunAndBack } from '../carrier.ts';
import { HostThread, runningWebGpuThread } from '../hostThread.ts';
import type { Tensors } from '../session.ts';
import { FrameReader, writeFrame } from './frames.ts';
import { AREA, CHANNEL, type EngineRequest } from './protocol.ts';
import { SharedArea } from './sharedArea.ts';
import { SpentMemory } from './spentMemory.ts';

const memory = new SpentMemory();
const reader = new FrameReader<EngineRequest>(
  (request) => void take(request),
  (bytes) => memory.take(bytes),
  new SharedArea(AREA),
);
/** The types of Node 20 do not know `onread`, which its documentation has. */
const options: SocketConstructorOpts & { onread: OnReadOpts } = {
  ...{ fd: CHANNEL, readable: true, writable: true },
  onread: {
    buffer: () => reader.space,
    callback: (count) => {
      reader.advance(count);
      return true;
    },
  },
};
const channel = new Socket(options);
const threads = new Map<number, HostThread>();
/** By the number of the session that it runs. */
const threadOf = new Map<number, HostThread>();

/** At once, within whatever a thread is doing. */
const die = () => void process.kill(process.pid, 'SIGKILL');

// Told to a whole group of processes (Ctrl-C, systemd), its parent sees to what is at hand first, and then to this one.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});
channel.on('error', () => {}); // its close follows
channel.on('close', die);
offerToMemory();
channel.resume();

async function take(request: EngineRequest): Promise<void> {
  let reply: HostReply;
  try {
    reply = { id: request.id, value: await answer(request) };
  } catch (error) {
    reply = { id: request.id, error: error instanceof Error ? error.message : String(error) };
  }
  writeFrame(channel, reply);
  if (request.kind === 'end') {
    channel.off('close', die);
    channel.end(); // nothing else keeps the process
  }
}

async function answer({ id: _, ...request }: EngineRequest): Promise<unknown> {
  switch (request.kind) {
    case 'open': {
      const thread = threadFor(request.host, request.options.provider === 'webgpu');
      const facts = await thread.ask(
        request,
        request.model instanceof Uint8Array ? [request.model.buffer as ArrayBuffer] : [],
      );
      threadOf.set(request.session, thread);
      return facts;
    }
    case 'run': {
      const thread = openThread(request.session);
      const back = memoryOf(request.feeds);
      if (!back) return thread.ask(request);
      const answered = await thread.ask<RunAndBack>({ ...request, back }, [back]);
      memory.give(answered.back);
      return answered.results;
    }
    case 'close': {
      const thread = openThread(request.session);
      threadOf.delete(request.session);
      return thread.ask(request);
    }
    case 'memory':
      return process.memoryUsage.rss();
    case 'end':
      await Promise.all([...threads.values()].map((thread) => thread.end()));
  }
}

/** The piece that all of a message's arrays lie in, unless none has a number. */
function memoryOf(feeds: Tensors): ArrayBuffer | undefined {
  const some = Object.values(feeds).find(({ data }) => data.length > 0);
  return some?.data.buffer as ArrayBuffer | undefined;
}

function threadFor(host: number, onWebGpu: boolean): HostThread {
  const thread = threads.get(host) ?? (onWebGpu ? runningWebGpuThread(failed) : new HostThread(failed));
  threads.set(host, thread);
  return thread;
}

function openThread(session: number): HostThread {
  const thread = threadOf.get(session);
  if (!thread) throw closedError();
  return thread;
}

function failed(error: Error): void {
  process.stderr.write(`${error.message}\n`);
  die();
}

/** Linux ends the process of the highest score where memory runs out: this one can be replaced, the service cannot. */
function offerToMemory(): void {
  try {
    writeFileSync('/proc/self/oom_score_adj', '300');
  } catch {
    // elsewhere, or not allowed: then it is as likely as any other
  }
}
