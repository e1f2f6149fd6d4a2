/** The client's process of load.ts: does each plan that it is sent, and sends the times. */
import { Agent, get, request } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import type { LoadPlan, LoadTimes } from './load.ts';

const FAILURE_CHARACTERS = 200;
/** Errors of GraphQL come with status 200 too. */
const ERRORS = /^\{"errors":|"errors":\[\{/;
const CODE = /"code":"([A-Z_]+)"/;

process.on('message', (plan: LoadPlan) => void run(plan).then((times) => process.send!(times)));

async function run(plan: LoadPlan): Promise<LoadTimes> {
  const agent = new Agent({ keepAlive: true, maxSockets: plan.connections, maxFreeSockets: plan.connections });
  if (plan.openFirst) await openAll(plan, agent);
  const ms: number[] = [];
  const refused: Record<string, number[]> = {};
  const failures: Record<string, number> = {};
  const begun = performance.now();
  const end = begun + plan.seconds * 1000;
  let turn = 0;
  const sendOne = async (due: number): Promise<void> => {
    const place = turn++ % plan.bodies.length;
    const failure = await post(plan, agent, place);
    const took = performance.now() - due;
    if (failure === null) {
      ms.push(took);
      return;
    }
    const { text, code } = failure;
    failures[text] = (failures[text] ?? 0) + 1;
    refused[code] ??= [];
    refused[code].push(took);
  };
  if (plan.rate === undefined) {
    const one = async (): Promise<void> => {
      while (performance.now() < end) await sendOne(performance.now());
    };
    await Promise.all(Array.from({ length: plan.connections }, one));
  } else {
    const sent: Promise<void>[] = [];
    for (let due = begun; due < end; due += 1000 / plan.rate) {
      const wait = due - performance.now();
      if (wait > 0) await delay(wait);
      sent.push(sendOne(due));
    }
    await Promise.all(sent);
  }
  agent.destroy();
  return { ms, refused, failures, seconds: (performance.now() - begun) / 1000 };
}

/** Asks for the service's health on every connection at once. */
async function openAll({ url, connections }: LoadPlan, agent: Agent): Promise<void> {
  const ask = (): Promise<void> =>
    new Promise((resolve, reject) => {
      get(`${url}/healthz`, { agent }, (response) => response.resume().once('end', resolve)).once('error', reject);
    });
  await Promise.all(Array.from({ length: connections }, ask));
}

interface Failure {
  readonly text: string;
  readonly code: string;
}

/** Null where the answer has no errors, else what came instead. */
function post({ url, path, key, bodies }: LoadPlan, agent: Agent, place: number): Promise<Failure | null> {
  const body = bodies[place]!;
  return new Promise((resolve) => {
    const unanswered = ({ message }: Error) => resolve({ text: message, code: 'unanswered' });
    const headers = {
      authorization: `Bearer ${typeof key === 'string' ? key : key[place]}`,
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
    };
    const sent = request(`${url}${path ?? '/graphql'}`, { agent, method: 'POST', headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', unanswered);
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        const status = String(response.statusCode);
        const good = status === '200' && !ERRORS.test(text);
        const failure = {
          text: `${status}: ${text.slice(0, FAILURE_CHARACTERS)}`,
          code: CODE.exec(text)?.[1] ?? status,
        };
        resolve(good ? null : failure);
      });
    });
    sent.on('error', unanswered);
    sent.end(body);
  });
}
