/** Sends hostile requests over several connections and judges each answer: what a service may never do is a fault. */
import { setTimeout as delay } from 'node:timers/promises';
import { Random } from '../../../src/random.ts';
import { type Answer, FuzzClient } from './client.ts';
import { drawRequest, FORGED } from './requests.ts';
import type { FuzzTarget } from './target.ts';

/** What a busy service, or one that is not up yet, may say with 503. */
const MAY_BE_503 = new Set(['OVERLOADED', 'NOT_READY']);
const SHOWN_CHARACTERS = 300;

export interface Fault {
  /** Of the request: `--only` sends it again. */
  readonly number: number;
  readonly kind: string;
  readonly what: string;
}

export interface FuzzReport {
  /** By kind of request, how often each outcome came. */
  readonly outcomes: ReadonlyMap<string, ReadonlyMap<string, number>>;
  /** By kind of request, how long each took, milliseconds. */
  readonly ms: ReadonlyMap<string, readonly number[]>;
  readonly faults: readonly Fault[];
}

export interface FuzzOptions {
  readonly url: string;
  readonly target: FuzzTarget;
  readonly seed: string;
  readonly requests: number;
  readonly connections: number;
  /** Mean of the pause between two requests of a connection, milliseconds; drawn as people's pauses are. */
  readonly pauseMs: number;
  readonly told?: (sent: number) => void;
  /** Ends the run where it is: nothing is left to attack. */
  readonly stop?: AbortSignal;
}

export async function runFuzz(options: FuzzOptions): Promise<FuzzReport> {
  const { url, target, seed, requests, connections, pauseMs, told, stop } = options;
  const outcomes = new Map<string, Map<string, number>>();
  const ms = new Map<string, number[]>();
  const faults: Fault[] = [];
  let next = 0;
  const attack = async (connection: number): Promise<void> => {
    const client = new FuzzClient(url);
    const pauses = new Random(`fuzz/${seed}/pauses ${connection}`);
    for (let number = next++; number < requests && !stop?.aborted; number = next++) {
      const { kind, request } = drawRequest(seed, number, target);
      const begun = performance.now();
      const answer = await client.send(request);
      const times = ms.get(kind) ?? [];
      ms.set(kind, times);
      times.push(performance.now() - begun);
      const counts = outcomes.get(kind) ?? new Map<string, number>();
      outcomes.set(kind, counts.set(String(answer.outcome), (counts.get(String(answer.outcome)) ?? 0) + 1));
      const what = faultOf(answer) ?? (kind === FORGED && isTaken(answer) ? 'a forged credential was taken' : null);
      if (what) faults.push({ number, kind, what });
      told?.(number + 1);
      if (pauseMs > 0) await delay(-pauseMs * Math.log(1 - pauses.uniform()));
    }
    client.close();
  };
  await Promise.all(Array.from({ length: connections }, (_, connection) => attack(connection)));
  return { outcomes, ms, faults: faults.toSorted((a, b) => a.number - b.number) };
}

const isTaken = ({ outcome }: Answer): boolean => typeof outcome === 'number' && outcome < 400;

/** What is wrong with an answer, whatever was asked; null for one that is well. */
export function faultOf({ outcome, body, requestId }: Answer): string | null {
  const shown = `${requestId ?? ''} ${body.slice(0, SHOWN_CHARACTERS)}`.trim();
  if (outcome === 'late') return 'no answer came';
  const codes = [...body.matchAll(/"code":"([A-Z_]+)"/g)].map(([, code]) => code!);
  if (typeof outcome === 'number' && outcome >= 500) {
    const told = outcome === 503 && codes.length > 0 && codes.every((code) => MAY_BE_503.has(code));
    return told ? null : `${outcome}: ${shown}`;
  }
  // GraphQL answers 200 around a field that failed: a fault of the service all the same.
  return codes.includes('INTERNAL_SERVER_ERROR') ? `${outcome} with a masked fault: ${shown}` : null;
}
