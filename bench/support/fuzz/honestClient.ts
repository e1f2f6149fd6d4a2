/** A client that does what clients do, one request after the other, and notes how long each took and which failed. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { TSX } from '../service.ts';
import { ask, type FilledTenant } from '../tenants.ts';

/** Between two of its requests. */
const PAUSE_MS = 20;
const CANDIDATES = 8;

const RANK = `query ($externalId: String!, $imageIds: [ID!]!) {
  user(by: { externalId: $externalId }) { rank(imageIds: $imageIds) { scores { value image { id } } } }
}`;
const SCORE = `query ($externalId: String!, $imageId: ID!) {
  user(by: { externalId: $externalId }) { score(imageId: $imageId) { value basis } }
}`;
const FEEDBACK =
  'mutation ($v: SubmitFeedbackInput!) { submitFeedback(input: $v) { feedback { id } userErrors { code } } }';

export interface Times {
  /** Milliseconds of each request, in order. */
  readonly ms: readonly number[];
  readonly failures: readonly string[];
}

/** Asks until it is told to stop; rank, score and feedback in turn, of one person after the other. */
export async function askHonestly(
  { url, serviceKey, externalIds, imageIds }: FilledTenant,
  stop: AbortSignal,
): Promise<Times> {
  const ms: number[] = [];
  const failures: string[] = [];
  for (let turn = 0; !stop.aborted; turn++) {
    const externalId = externalIds[turn % externalIds.length]!;
    const imageId = imageIds[turn % imageIds.length]!;
    const item = { user: { externalId }, image: { id: imageId }, sentiment: turn % 2 ? 'LIKE' : 'DISLIKE' };
    const requests = [
      () => ask(url, serviceKey, RANK, { externalId, imageIds: imageIds.slice(0, CANDIDATES) }),
      () => ask(url, serviceKey, SCORE, { externalId, imageId }),
      () => ask(url, serviceKey, FEEDBACK, { v: { items: [item] } }),
    ];
    const begun = performance.now();
    await requests[turn % requests.length]!().catch((error: Error) => failures.push(error.message));
    ms.push(performance.now() - begun);
    await delay(PAUSE_MS);
  }
  return { ms, failures };
}

/** The same from a process of its own: what the attackers' process takes for itself is not in the times. */
export async function askFromAfar(tenant: FilledTenant, stop: AbortSignal): Promise<Times> {
  const { picture: _, ...told } = tenant;
  const child = fork(fileURLToPath(new URL('./honestClientProcess.ts', import.meta.url)), {
    execArgv: ['--import', TSX],
  });
  const times = once(child, 'message');
  child.send(told);
  stop.addEventListener('abort', () => child.send('stop'), { once: true });
  const [message] = await Promise.race([
    times,
    once(child, 'exit').then(([status]) => {
      throw new Error(`The client's process ended with ${status}.`);
    }),
  ]);
  return message as Times;
}
