/**
 * One process of the engine, seen from its parent: started, asked over a pipe, listened to, ended. One that dies fails
 * what it had at hand with {@link ProcessLost}; who asked may ask the next one, since nothing that is asked is given away
 * before it is answered. Knows no model.
 */
import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { PalateError } from '../../errors.ts';
import { type Carrier, closedError, type HostReply, WaitingCalls } from '../carrier.ts';
import { engineEnvironment } from '../engineEnvironment.ts';
import { FrameReader, writeFrame } from './frames.ts';
import { AREA, CHANNEL, type EngineCall } from './protocol.ts';
import { SharedArea } from './sharedArea.ts';

/** So long it may take to start, and to end what its threads run; then it is killed. */
const START_MS = 60_000;
const END_MS = 10_000;

/** The process is gone: what it was asked can be asked of another. */
export class ProcessLost extends PalateError {
  /** As the system tells it: `ended by SIGKILL`. */
  readonly how: string;

  constructor(how: string) {
    super('INTERNAL_SERVER_ERROR', `The process that runs the models ${how}.`);
    this.name = 'ProcessLost';
    this.how = how;
  }
}

export class EngineProcess implements Carrier {
  readonly #area = SharedArea.create();
  /** By the id of a call, where in the area its arrays lie. */
  readonly #places = new Map<number, number>();
  readonly #child = startProcess(this.#area);
  readonly #ended = endOf(this.#child);
  readonly #channel = this.#child.stdio[CHANNEL] as unknown as Socket;
  readonly #calls = new WaitingCalls({ ref: () => this.#keep(true), unref: () => this.#keep(false) });
  #nextSession = 0;
  /** Told how it ended of itself, before those whom it was working for. */
  onLost: (how: string) => void = () => {};

  private constructor() {
    void this.#ended.then((how) => {
      if (this.runs) this.onLost(how);
      this.#calls.fail(new ProcessLost(how));
      this.#area?.close();
    });
    this.#channel.on('error', () => {}); // its end follows
    const reader = new FrameReader<HostReply>((reply) => this.#take(reply));
    this.#channel.on('data', (chunk: Buffer) => reader.push(chunk));
    this.#keep(false);
  }

  /** Resolves once it answers. */
  static async start(): Promise<EngineProcess> {
    const process = new EngineProcess();
    const late = setTimeout(() => void process.kill(), START_MS);
    await process.residentBytes().finally(() => clearTimeout(late));
    return process;
  }

  get runs(): boolean {
    return this.#calls.failure === null;
  }

  /** Of the system; none where it could not be started. */
  get pid(): number | undefined {
    return this.#child.pid;
  }

  newSession(): number {
    return this.#nextSession++;
  }

  ask<Value>(call: EngineCall): Promise<Value> {
    return this.#calls.add((id) => {
      const place = writeFrame(this.#channel, { id, ...call }, this.#area);
      if (place !== null) this.#places.set(id, place);
    });
  }

  residentBytes(): Promise<number> {
    return this.ask<number>({ kind: 'memory' });
  }

  async end(): Promise<void> {
    const late = setTimeout(() => void this.kill(), END_MS);
    if (this.runs) {
      this.#calls.fail(closedError());
      this.#keep(true);
      writeFrame(this.#channel, { id: this.#calls.newId(), kind: 'end' });
    }
    await this.#ended;
    clearTimeout(late);
  }

  /** What it has at hand is lost. Resolves when it is gone. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#ended;
  }

  #take(reply: HostReply): void {
    const place = this.#places.get(reply.id);
    if (place !== undefined) this.#area?.free(place);
    this.#places.delete(reply.id);
    this.#calls.take(reply);
  }

  /** Whether it keeps this process alive. */
  #keep(keep: boolean): void {
    const change = keep ? 'ref' : 'unref';
    this.#child[change]();
    this.#channel[change]();
  }
}

/** From dist the process is plain JavaScript; from source a loader is registered in it first. What it says is logged. */
function startProcess(area: SharedArea | null): ChildProcess {
  const extension = import.meta.url.endsWith('.ts') ? 'mjs' : 'js';
  const main = fileURLToPath(new URL(`./engineMain.${extension}`, import.meta.url));
  return spawn(process.execPath, [main], {
    env: engineEnvironment(process.env),
    stdio: stdioOf(area),
  });
}

function endOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(`could not be started (${error.message})`));
    child.once('close', (code, signal) => resolve(signal ? `ended by ${signal}` : `ended with status ${code}`));
  });
}

function stdioOf(area: SharedArea | null): StdioOptions {
  const stdio: StdioOptions = ['ignore', 2, 2];
  stdio[CHANNEL] = 'pipe';
  stdio[AREA] = area?.file ?? 'ignore';
  return stdio;
}
