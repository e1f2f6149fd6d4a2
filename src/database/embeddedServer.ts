/**
 * A PostgreSQL server run from npm packages, so that nothing has to be installed: the default where no DATABASE_URL
 * is set. It keeps its files in one folder, listens on 127.0.0.1 only, and outlives a killed service: the next
 * start finds it and goes on with it. It knows no table.
 */
import { spawn } from 'node:child_process';
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { chown, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { basename, dirname, join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { PalateError } from '../errors.ts';
import { serverBinaries } from './serverBinaries.ts';
import { canEnter, makeOwnFolder, type ServerUser, SYSTEM_DIRECTORY, serverUser } from './serverUser.ts';

const USER = 'palate';
const DATABASE = 'palate';
/** Held shared by every process that uses the server: who can have it alone is the last, and may stop the server. */
const IN_USE_LOCK = 0x70616c61; // "pala"
/** A server that was killed replays its log first; a minute is ample for gigabytes of it. */
const START_SECONDS = 60;

export interface EmbeddedServer {
  /** Of the database `palate`, as its superuser: for migrations, not for serving. */
  readonly url: string;
  /** The server's process id. */
  readonly pid: number;
  /** Stops the server, unless another process still uses it. */
  stop(): Promise<void>;
}

export interface EmbeddedServerOptions {
  /** Server settings beside the defaults, such as `{ fsync: 'off' }` for tests. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** One cluster of files and the programs that work on it. */
interface Cluster {
  readonly path: string;
  readonly password: string;
  readonly user: ServerUser;
  readonly binaries: string;
}

/**
 * Starts the server whose files lie in `directory`, or joins the one that is running there. The first call creates
 * the cluster, with a random password that is kept in `directory/password` (mode 600).
 * Throws NOT_READY with the server's own last words where it does not start.
 */
export async function startEmbeddedServer(
  directory: string,
  options: EmbeddedServerOptions = {},
): Promise<EmbeddedServer> {
  const base = resolve(directory);
  await mkdir(base, { recursive: true });
  const user = await serverUser();
  const password = await keepPassword(join(base, 'password'));
  const cluster: Cluster = {
    path: (await canEnter(base, user)) ? join(base, 'cluster') : systemPath(password),
    password,
    user,
    binaries: await serverBinaries(user),
  };
  await createCluster(cluster);
  return (await joinRunning(cluster)) ?? (await start(cluster, options.settings ?? {}));
}

/** A folder for the cluster where the data folder is closed to its user: found again by the password kept there. */
function systemPath(password: string): string {
  return join(SYSTEM_DIRECTORY, `cluster-${createHash('sha256').update(password).digest('hex').slice(0, 16)}`);
}

async function keepPassword(file: string): Promise<string> {
  await writeFile(file, randomBytes(24).toString('base64url'), { mode: 0o600, flag: 'wx' }).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    },
  );
  return readFile(file, 'utf8');
}

/** Creates the files beside their place and moves them there whole, so that a killed start leaves no half cluster. */
async function createCluster(cluster: Cluster): Promise<void> {
  const version = await readFile(join(cluster.path, 'PG_VERSION'), 'utf8').catch(() => null);
  if (version !== null) return;
  const partial = `${cluster.path}.${randomUUID()}`;
  const passwordFile = join(partial, 'password');
  await makeOwnFolder(dirname(passwordFile), cluster.user);
  await writeFile(passwordFile, cluster.password, { mode: 0o600 });
  if (cluster.user) await chown(passwordFile, cluster.user.uid, cluster.user.gid);
  const files = join(partial, basename(cluster.path));
  try {
    await run(cluster, 'initdb', [
      ...['-D', files, '--username', USER, '--pwfile', passwordFile, '--auth', 'scram-sha-256'],
      ...['--encoding', 'UTF8', '--locale-provider', 'builtin', '--locale', 'C.UTF-8', '--no-instructions'],
    ]);
    await rename(files, cluster.path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error; // another process was first
    });
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
}

/** The server that runs on these files already, or null. One that is just starting or stopping is waited for. */
async function joinRunning(cluster: Cluster): Promise<EmbeddedServer | null> {
  for (const deadline = Date.now() + START_SECONDS * 1000; ; await delay(100)) {
    // postmaster.pid: process id, data folder, start time, port, …; a killed server leaves one behind.
    const file = await readFile(join(cluster.path, 'postmaster.pid'), 'utf8').catch(() => '');
    const [pid, , , port] = file.split('\n').map(Number);
    if (!pid || !port) return null;
    try {
      return await joinAt(cluster, pid, port);
    } catch (error) {
      const { code = '' } = error as { code?: string };
      if (!IN_BETWEEN.includes(code) || Date.now() > deadline) return null;
    }
  }
}

/** cannot_connect_now, admin_shutdown, and a connection cut by a server that ends. */
const IN_BETWEEN = ['57P03', '57P01', 'ECONNRESET'];

async function joinAt(cluster: Cluster, pid: number, port: number): Promise<EmbeddedServer> {
  const address = (database: string) => `postgresql://${USER}:${cluster.password}@127.0.0.1:${port}/${database}`;
  const keeper = new pg.Client({
    connectionString: address('postgres'),
    application_name: 'palate-keeper',
    connectionTimeoutMillis: 5_000, // the port may be another program's by now
  });
  keeper.on('error', () => {}); // a server that goes away is noticed by the queries that need it
  try {
    await keeper.connect();
    await keeper.query('SELECT pg_advisory_lock_shared($1)', [IN_USE_LOCK]);
    await createDatabase(keeper);
  } catch (error) {
    await keeper.end().catch(() => {});
    throw error;
  }
  return { url: address(DATABASE), pid, stop: () => leave(cluster, keeper) };
}

async function createDatabase(client: pg.Client): Promise<void> {
  const { rowCount } = await client.query('SELECT FROM pg_database WHERE datname = $1', [DATABASE]);
  if (rowCount) return;
  await client.query(`CREATE DATABASE ${DATABASE}`).catch((error: { code?: string }) => {
    if (error.code !== '42P04' && error.code !== '23505') throw error; // another process was first
  });
}

/** Whoever joins while the last one leaves waits for its lock, then finds the server stopped and starts it. */
async function leave(cluster: Cluster, keeper: pg.Client): Promise<void> {
  try {
    const { rows } = await keeper.query<{ last: boolean }>(
      'SELECT pg_advisory_unlock_shared($1), pg_try_advisory_lock($1) AS last',
      [IN_USE_LOCK],
    );
    if (rows[0]?.last) await run(cluster, 'pg_ctl', ['stop', '-D', cluster.path, '-m', 'fast', '-w']);
  } finally {
    await keeper.end().catch(() => {});
  }
}

async function start(cluster: Cluster, settings: Readonly<Record<string, string>>): Promise<EmbeddedServer> {
  const log = join(cluster.path, 'server.log');
  const all = {
    port: await freePort(),
    listen_addresses: '127.0.0.1',
    unix_socket_directories: "''",
    autovacuum_naptime: '10s', // a tenant fills its tables within a minute: the planner is to know of it
    ...settings,
  };
  const flags = Object.entries(all).map(([name, value]) => `-c ${name}=${value}`);
  await disownZombie(cluster);
  let failure: unknown;
  await run(cluster, 'pg_ctl', [
    ...['start', '-D', cluster.path, '-w', '-t', String(START_SECONDS), '-s', '-l', log, '-o', flags.join(' ')],
  ]).catch((error: unknown) => {
    failure = error;
  });
  // Where another process started it in the same moment, ours failed and theirs is joined.
  const server = await joinRunning(cluster);
  if (server) return server;
  const words = (await readFile(log, 'utf8').catch(() => message(failure))).trim().split('\n').slice(-5).join('\n');
  throw new PalateError('NOT_READY', `PostgreSQL did not start on ${cluster.path}. Its last words:\n${words}`, {
    cause: failure,
  });
}

/** Above the greatest process id that Linux can give. */
const NO_PROCESS = 4_194_305;

/**
 * PostgreSQL takes a killed server for a running one as long as its process id is there, and in a container whose
 * first process reaps none, the dead stay there. The id is taken out of postmaster.pid; the rest, by which a
 * starting server knows whether the dead one's children still work on the files, stays.
 */
async function disownZombie(cluster: Cluster): Promise<void> {
  const file = join(cluster.path, 'postmaster.pid');
  const [pid, ...rest] = (await readFile(file, 'utf8').catch(() => '')).split('\n');
  const state = await readFile(`/proc/${Number(pid)}/stat`, 'utf8').catch(() => ''); // Linux: "12 (postgres) Z …"
  if (/\) Z /.test(state)) await writeFile(file, [NO_PROCESS, ...rest].join('\n'));
}

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((done, fail) => probe.once('error', fail).listen(0, '127.0.0.1', done));
  const address = probe.address();
  await new Promise((done) => probe.close(done));
  if (address === null || typeof address === 'string') throw new Error('a TCP socket has a port');
  return address.port;
}

/** Runs one of the server's programs as its user; throws NOT_READY with what it said where it fails. */
async function run(cluster: Cluster, program: 'initdb' | 'pg_ctl', args: string[]): Promise<void> {
  // cwd: the user may not enter ours. pg_ctl's server inherits its output, so a pipe would never close: for it, none.
  const child = spawn(join(cluster.binaries, program), args, {
    cwd: '/',
    stdio: ['ignore', 'ignore', program === 'initdb' ? 'pipe' : 'ignore'],
    env: {
      PATH: process.env['PATH'],
      LC_ALL: 'C',
      ...(process.env['SYSTEMROOT'] && { SYSTEMROOT: process.env['SYSTEMROOT'] }),
    },
    ...(cluster.user ?? {}),
  });
  let said = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  const code = await new Promise<number | null>((done, fail) => child.once('error', fail).once('close', done));
  if (code !== 0)
    throw new PalateError('NOT_READY', `${program} ended with ${code} on ${cluster.path}. ${said.trim()}`);
}

function message(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
