/**
 * A service of one's own: started from source in a folder that goes away with it, on a free port, with an empty tenant.
 * For what measures and for tests that drive the whole.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { chmod, mkdtemp, readFile, rm, watch } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

/** Lets Node run what is written in TypeScript. */
export const TSX = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const built = process.env['PALATE_TEST_PROGRAM'];
/** What Node is given to run the program, as `npm start` does: as the tests have built it, from source otherwise. */
export const PROGRAM: readonly string[] = ['--max-semi-space-size=64', ...(built ? [built] : ['--import', TSX, MAIN])];
const START_MS = 120_000;

/** What `palate start --ready-file` writes. */
export interface Ready {
  readonly url: string;
  readonly tenantId: string;
  readonly adminKey: string;
  readonly serviceKey: string;
}

export interface RunningService extends Ready {
  readonly process: ChildProcess;
  /** Sends a GraphQL operation with the service key; throws where there are errors. */
  query<T>(document: string, variables?: object, signal?: AbortSignal): Promise<T>;
  /** The last it has printed. */
  said(): string;
  /** Stops it in order, removes what it kept in a folder of its own, and answers its exit status. */
  stop(): Promise<number | null>;
}

export interface StartOptions {
  /** Kept by whoever gives it; a folder of its own is made and removed otherwise. */
  readonly dataDirectory?: string;
  /** A part of an installation whose keys are known, which makes no tenant; all of it, if left out. */
  readonly part?: { readonly command: 'serve' | 'work'; readonly keys: Omit<Ready, 'url'> };
  /** Beside `--ready-file`; an empty tenant, if left out. */
  readonly args?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** Killed as soon as it has printed such words. */
  readonly killWhen?: RegExp;
}

/** Starts `palate start`, or a part, and waits until it answers. Throws with its last words where it ends before. */
export async function startService(options: StartOptions = {}): Promise<RunningService> {
  const dataDirectory = options.dataDirectory ?? (await makeDataDirectory());
  const readyFolder = await mkdtemp(join(tmpdir(), 'palate-ready-'));
  const readyFile = join(readyFolder, 'ready.json');
  const { command, keys } = options.part ?? { command: 'start', keys: {} };
  const more = options.args ?? (command === 'start' ? ['--no-demo'] : []);
  const args = [...PROGRAM, command, '--ready-file', readyFile, ...more];
  const child = spawn(process.execPath, args, {
    env: {
      ...process.env,
      PORT: '0',
      PALATE_DATA_DIR: dataDirectory,
      PALATE_LOG_LEVEL: 'warn',
      ...options.environment,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk: Buffer) => {
      said = (said + chunk.toString()).slice(-8000);
      if (options.killWhen?.test(said)) child.kill('SIGKILL');
    });
  }
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  try {
    await Promise.race([
      appears(readyFolder),
      ended.then(() => {
        throw new Error(`The service ended before it was ready:\n${said}`);
      }),
    ]);
  } catch (error) {
    child.kill('SIGKILL');
    await rm(readyFolder, { recursive: true });
    throw error instanceof Error && error.name === 'AbortError'
      ? new Error(`The service was not ready in time:\n${said}`)
      : error;
  }
  const ready = { ...keys, ...JSON.parse(await readFile(readyFile, 'utf8')) } as Ready;
  await rm(readyFolder, { recursive: true });
  return {
    ...ready,
    process: child,
    query: (document, variables, signal) => query(ready, document, variables, signal),
    said: () => said,
    async stop() {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
      const status = await ended;
      if (!options.dataDirectory) await rm(dataDirectory, { recursive: true, force: true });
      return status;
    },
  };
}

/** Open to others to enter: run by root, the embedded server is another user's and keeps its files there only then. */
export async function makeDataDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'palate-'));
  await chmod(directory, 0o755);
  return directory;
}

/** Resolves when `ready.json` is in the folder. */
async function appears(folder: string): Promise<void> {
  for await (const { filename } of watch(folder, { signal: AbortSignal.timeout(START_MS) })) {
    if (filename === 'ready.json') return;
  }
}

/** Sends a GraphQL operation with a key; throws where there are errors. */
export async function query<T>(
  { url, serviceKey }: Ready,
  document: string,
  variables: object = {},
  signal: AbortSignal | null = null,
): Promise<T> {
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { authorization: `Bearer ${serviceKey}`, 'content-type': 'application/json' },
    body: JSON.stringify({ query: document, variables }),
    signal,
  });
  const { data, errors } = (await response.json()) as { data?: T; errors?: { message: string }[] };
  if (errors || !data) throw new Error(errors?.map(({ message }) => message).join('; ') ?? `HTTP ${response.status}`);
  return data;
}
