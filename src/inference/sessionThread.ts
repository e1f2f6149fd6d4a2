/**
 * The thread behind `openSession(…, { worker: true })`: opens one model and runs it, message by message.
 * It knows the protocol of session.ts and nothing else.
 */
import { parentPort } from 'node:worker_threads';
import { openSession, type Session, type SessionFacts, type WorkerReply, type WorkerRequest } from './session.ts';

let session: Session | undefined;

async function answer(request: WorkerRequest): Promise<unknown> {
  if (request.kind === 'open') {
    session = await openSession(request.model, request.options);
    const { executionProvider, inputNames, outputNames } = session;
    return { executionProvider, inputNames: [...inputNames], outputNames: [...outputNames] } satisfies SessionFacts;
  }
  return session?.run(request.feeds, request.outputs);
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
