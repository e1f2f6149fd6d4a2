/** The client's process of load.ts: does each plan that it is sent, and sends the times. */
import { setTimeout as delay } from 'node:timers/promises';
import { type Dispatcher, Pool } from 'undici';
import type { LoadPlan, LoadTimes } from './load.ts';

const FAILURE_CHARACTERS = 200;
/** Errors of GraphQL come with status 200 too. */
const ERRORS = /^\{"errors":|"errors":\[\{/;
const CODE = /"code":"([A-Z_]+)"/;

process.on('message', (plan: LoadPlan) => void run(plan).then((times) => process.send!(times)));

async function run(plan: LoadPlan): Promise<LoadTimes> {
  const pool = new Pool(plan.url, { connections: plan.connections, headersTimeout: 0, bodyTimeout: 0 });
  if (plan.openFirst) await openAll(plan, pool);
  const ms: number[] = [];
  const refused: Record<string, number[]> = {};
  const failures: Record<string, number> = {};
  const begun = performance.now();
  const end = begun + plan.seconds * 1000;
  let turn = 0;
  const sendOne = async (due: number): Promise<void> => {
    const place = turn++ % plan.bodies.length;
    const failure = await post(plan, pool, place);
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
  await pool.close();
  return { ms, refused, failures, seconds: (performance.now() - begun) / 1000 };
}

/** Asks for the service's health on every connection at once. */
async function openAll({ connections }: LoadPlan, pool: Pool): Promise<void> {
  const ask = async (): Promise<void> => {
    const { body } = await pool.request({ method: 'GET', path: '/healthz' });
    await body.dump();
  };
  await Promise.all(Array.from({ length: connections }, ask));
}

interface Failure {
  readonly text: string;
  readonly code: string;
}

/** Null where the answer has no errors, else what came instead. */
function post({ path, key, bodies }: LoadPlan, pool: Pool, place: number): Promise<Failure | null> {
  const body = bodies[place]!;
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let status = 0;
    const handler: Dispatcher.DispatchHandler = {
      onRequestStart: () => {},
      onResponseStart(_, code) {
        status = code;
      },
      onResponseData: (_, chunk) => void chunks.push(chunk),
      onResponseEnd: () => resolve(failureOf(status, Buffer.concat(chunks).toString())),
      onResponseError: (_, { message }) => resolve({ text: message, code: 'unanswered' }),
    };
    const headers = {
      authorization: `Bearer ${typeof key === 'string' ? key : key[place]}`,
      'content-type': 'application/json',
    };
    pool.dispatch({ method: 'POST', path: path ?? '/graphql', headers, body }, handler);
  });
}

function failureOf(status: number, text: string): Failure | null {
  if (status === 200 && !ERRORS.test(text)) return null;
  return {
    text: `${status}: ${text.slice(0, FAILURE_CHARACTERS)}`,
    code: CODE.exec(text)?.[1] ?? String(status),
  };
}
