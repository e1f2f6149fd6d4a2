/**
 * The thread behind a HostThread: opens models, runs and closes them, message by message. It knows the protocol of
 * carrier.ts and nothing else.
 */
import { constants, setPriority } from 'node:os';
import { parentPort } from 'node:worker_threads';
import {
  buffersOf,
  closedError,
  type HostReply,
  type HostRequest,
  type RunAndBack,
  type SessionFacts,
} from './carrier.ts';
import { openHere, type Session, type Tensors } from './session.ts';

const sessions = new Map<number, Session>();

async function answer(request: HostRequest): Promise<unknown> {
  switch (request.kind) {
    case 'open': {
      // Linux gives each thread a priority of its own, and the engine's threads take over this one's. Elsewhere it is
      // the whole process's.
      const { background, provider } = request.options;
      if (background && provider !== 'webgpu' && process.platform === 'linux')
        setPriority(constants.priority.PRIORITY_BELOW_NORMAL);
      const session = await openHere(request.model, request.options);
      sessions.set(request.session, session);
      const { executionProvider, inputNames, outputNames } = session;
      return { executionProvider, inputNames: [...inputNames], outputNames: [...outputNames] } satisfies SessionFacts;
    }
    case 'run': {
      const session = sessions.get(request.session);
      if (!session) throw closedError();
      const results = await session.run(request.feeds, request.outputs);
      return request.back ? ({ results, back: request.back } satisfies RunAndBack) : results;
    }
    case 'close': {
      const session = sessions.get(request.session);
      sessions.delete(request.session);
      return session?.close();
    }
    case 'end':
      await Promise.all([...sessions.values()].map((session) => session.close()));
      parentPort?.close(); // nothing else keeps the thread
  }
}

parentPort?.on('message', async (request: HostRequest) => {
  let reply: HostReply;
  try {
    reply = { id: request.id, value: await answer(request) };
  } catch (error) {
    reply = { id: request.id, error: error instanceof Error ? error.message : String(error) };
  }
  parentPort?.postMessage(reply, request.kind === 'run' && 'value' in reply ? movedOf(reply.value) : []);
});

function movedOf(answered: unknown): ArrayBuffer[] {
  const { results, back } = answered as RunAndBack;
  return back instanceof ArrayBuffer ? [...buffersOf(results), back] : buffersOf(answered as Tensors);
}
