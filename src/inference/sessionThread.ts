/**
 * The thread behind `openSession(…, { worker: true })`: opens one model and runs it, message by message.
 * It knows the protocol of session.ts and nothing else.
 */
import { constants, setPriority } from 'node:os';
import { parentPort } from 'node:worker_threads';
import { openSession, type Session, type SessionFacts, type WorkerReply, type WorkerRequest } from './session.ts';

let session: Session | undefined;

async function answer(request: WorkerRequest): Promise<unknown> {
  if (request.kind === 'open') {
    // Linux gives each thread a priority of its own, and the engine's threads take over this one's. Elsewhere it is the
    // whole process's.
    if (request.options.background && process.platform === 'linux')
      setPriority(constants.priority.PRIORITY_BELOW_NORMAL);
    session = await openSession(request.model, request.options);
    const { executionProvider, inputNames, outputNames } = session;
    return { executionProvider, inputNames: [...inputNames], outputNames: [...outputNames] } satisfies SessionFacts;
  }
  if (request.kind === 'run') return session?.run(request.feeds, request.outputs);
  await session?.close();
  parentPort?.close(); // nothing else keeps the thread
  return undefined;
}

parentPort?.on('message', async (request: WorkerRequest) => {
  let reply: WorkerReply;
  try {
    reply = { id: request.id, value: await answer(request) };
  } catch (error) {
    reply = { id: request.id, error: error instanceof Error ? error.message : String(error) };
  }
  parentPort?.postMessage(reply);
});
