/**
 * Reads that many requests make at once, made together: while a statement of a session is on its way, what others of the
 * session ask for gathers, and the next statement is for all of them. A lone request waits for nobody, and a crowd shares
 * a few statements. Each read begins after it was asked for, so that it sees what its asker has written. It knows no table.
 */
import { turn } from '../scheduling/eventLoop.ts';
import { currentSessionName, currentTenant } from './tenantAdapter.ts';

/** Reads what is under the keys, in the session of those who ask. Keys that are under nothing may be left out. */
export type ReadMany<Key, Value> = (keys: readonly Key[], scope: string) => Promise<ReadonlyMap<Key, Value>>;

/** Keys that the next statement reads. */
class Gathering<Key, Value> {
  readonly keys = new Set<Key>();
  readers = 0;
  readonly answer: Promise<ReadonlyMap<Key, Value>>;
  settle!: (answer: Promise<ReadonlyMap<Key, Value>>) => void;

  constructor() {
    this.answer = new Promise((resolve) => {
      this.settle = resolve;
    });
  }
}

export class SharedReads<Key, Value> {
  readonly #read: ReadMany<Key, Value>;
  /** By session and scope: what has not been sent yet. */
  readonly #gathering = new Map<string, Gathering<Key, Value>>();
  /** By session and scope, where a statement is on its way. */
  readonly #underWay = new Set<string>();

  constructor(read: ReadMany<Key, Value>) {
    this.#read = read;
  }

  /**
   * What is under the keys, and maybe under others too.
   * @param scope what else tells reads apart that must not be joined
   */
  async read(keys: Iterable<Key>, scope = ''): Promise<ReadonlyMap<Key, Value>> {
    const name = `${currentSessionName()} ${scope}`;
    let gathering = this.#gathering.get(name);
    if (!gathering) {
      gathering = new Gathering();
      this.#gathering.set(name, gathering);
      if (!this.#underWay.has(name)) void this.#send(name, scope);
    }
    for (const key of keys) gathering.keys.add(key);
    const first = gathering.readers++ === 0;
    const read = await gathering.answer;
    if (!first) await turn(currentTenant());
    return read;
  }

  /** Sends what has gathered when its turn comes: those of a crowd who were to go on before it have asked by then. */
  async #send(name: string, scope: string): Promise<void> {
    this.#underWay.add(name);
    await turn(currentTenant());
    const { keys, settle } = this.#gathering.get(name)!;
    this.#gathering.delete(name);
    const answer = (async () => this.#read([...keys], scope))(); // whatever it throws, whoever asks next is not kept waiting
    settle(answer);
    await answer.catch(() => {}); // those who asked are told
    this.#underWay.delete(name);
    if (this.#gathering.has(name)) void this.#send(name, scope);
  }
}
