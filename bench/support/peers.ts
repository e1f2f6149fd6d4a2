/**
 * The Python services of bench/peers, started on this machine with what a drawn tenant holds. Knows how to start and to
 * ask them; what they compute is theirs.
 */
import { execFileSync, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { toBytes } from '../../src/domain/itemVectors.ts';
import { type PreferenceModel, SHIPPED_MODEL } from '../../src/inference/preferenceModel.ts';
import { candidatesOf, type DrawnTenant, historyOf, imageId } from './drawnTenant.ts';

const PEERS = fileURLToPath(new URL('../peers', import.meta.url));
/** Debian's packages are those of /usr/bin/python3, whatever else `python3` names. */
const PYTHONS = ['python3', '/usr/bin/python3'];
const START_MS = 60_000;
const LOOK_MS = 100;
/** How far margins of two engines may lie apart. */
const TOLERANCE = 1e-3;

/** What is kept of a person between requests (bench/peers/service.py). */
export const WAYS = ['full', 'request', 'states'] as const;
export type Way = (typeof WAYS)[number];

export interface Peer {
  readonly url: string;
  stop(): Promise<void>;
}

export interface Python {
  readonly program: string;
  readonly versions: Readonly<Record<string, string>>;
}

/** A Python that has what the peers need, or null. @param program the only one to ask; both usual ones, if left out */
export function findPython(program?: string): Python | null {
  const script = 'import json, torch, fastapi, uvicorn as u; v = lambda m: m.__version__';
  const print = 'print(json.dumps({"torch": v(torch), "fastapi": v(fastapi), "uvicorn": v(u)}))';
  for (const python of program ? [program] : PYTHONS) {
    try {
      const said = execFileSync(python, ['-c', `${script}; ${print}`], { stdio: ['ignore', 'pipe', 'ignore'] });
      return { program: python, versions: JSON.parse(said.toString()) as Record<string, string> };
    } catch {
      // The next one may have them.
    }
  }
  return null;
}

/** A folder with item vectors and histories as the peers read them. */
export async function exportTenant(drawn: DrawnTenant): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'palate-peers-'));
  const users = drawn.people.map(({ externalId, judged }) => [
    externalId,
    judged.map(({ image, sentiment }) => [image, sentiment === 'LIKE' ? 0 : 1, 1]),
  ]);
  const images = drawn.images.map((_, place) => imageId(drawn, place));
  await writeFile(join(folder, 'tenant.json'), JSON.stringify({ images, users: Object.fromEntries(users) }));
  await writeFile(join(folder, 'items.bin'), Buffer.concat(drawn.images.map(({ item }) => toBytes(item))));
  return folder;
}

/** Starts a peer and waits until it answers. @param processes uvicorn's workers, one thread each */
export async function startPeer(python: Python, way: Way, folder: string, processes: number): Promise<Peer> {
  const port = await freePort();
  const args = ['-m', 'uvicorn', 'service:app', '--app-dir', PEERS, '--port', String(port)];
  const child = spawn(
    python.program,
    [...args, '--workers', String(processes), '--no-access-log', '--log-level', 'warning'],
    { env: peerEnvironment(way, folder), stdio: ['ignore', 'ignore', 'inherit'] },
  );
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const url = `http://127.0.0.1:${port}`;
  for (const deadline = Date.now() + START_MS; ; await delay(LOOK_MS)) {
    if (await fetch(`${url}/ready`).catch(() => null)) break;
    if (child.exitCode !== null || Date.now() > deadline) {
      child.kill('SIGKILL');
      throw new Error(`The peer "${way}" did not start.`);
    }
  }
  return {
    url,
    async stop() {
      child.kill('SIGTERM');
      await ended;
    },
  };
}

/**
 * Memory that a large tensor took is kept for the next one: given back to the system, as by default, its pages are
 * faulted in anew for each, which takes half of the time. OpenBLAS chooses its kernels by the processor it finds.
 */
function peerEnvironment(way: Way, folder: string): NodeJS.ProcessEnv {
  const { OPENBLAS_CORETYPE: _, OPENBLAS_L2_SIZE: __, ...environment } = process.env;
  return {
    ...environment,
    ...{ MALLOC_MMAP_THRESHOLD_: '33554432', MALLOC_TRIM_THRESHOLD_: '2147483648' },
    ...{ PEER_MODEL: SHIPPED_MODEL, PEER_DATA: folder, PEER_WAY: way, PEER_THREADS: '1', PYTHONDONTWRITEBYTECODE: '1' },
  };
}

/** What is asked of a peer for one person's candidates, as a body. */
export function question(drawn: DrawnTenant, person: number, candidates: number): string {
  const images = candidatesOf(drawn, person, candidates).map((place) => imageId(drawn, place));
  return JSON.stringify({ user: drawn.people[person]!.externalId, images });
}

/** Throws where a peer's margins are not the engine's: what computes something else is no peer. Answers the difference. */
export async function checkPeer(
  peer: Peer,
  model: PreferenceModel,
  drawn: DrawnTenant,
  people: number,
  candidates: number,
): Promise<number> {
  let most = 0;
  for (let person = 0; person < people; person++) {
    const [state] = await model.userStates([historyOf(drawn, drawn.people[person]!)]);
    const targets = candidatesOf(drawn, person, candidates).map((place) => drawn.images[place]!.item);
    const [scores] = await model.score([{ state: state!, targets }], { attention: false });
    const response = await fetch(`${peer.url}/margins`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: question(drawn, person, candidates),
    });
    if (!response.ok) throw new Error(`The peer answers ${response.status}: ${await response.text()}`);
    const { margins } = (await response.json()) as { margins: number[] };
    for (const [i, { like, dislike }] of scores!.entries()) {
      const apart = Math.abs(margins[i]! - (like - dislike));
      if (!(apart <= TOLERANCE)) throw new Error(`A margin is ${margins[i]}, and ${like - dislike} in the engine.`);
      most = Math.max(most, apart);
    }
  }
  return most;
}

/** Removes what `exportTenant` has written. */
export const removeExport = (folder: string): Promise<void> => rm(folder, { recursive: true });

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
