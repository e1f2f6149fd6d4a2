/**
 * Reads that many requests make at once, made together: while a statement of a session is on its way, what others of the
 * session ask for gathers, and the next statement is for all of them. A lone request waits for nobody, and a crowd shares
 * a few statements. Each read begins after it was asked for, so that it sees what its asker has written. It knows no table.
 */
import { currentSessionName } from './tenantAdapter.ts';

/** Reads what is under the keys, in the session of those who ask. Keys that are under nothing may be left out. */
export type ReadMany<Key, Value> = (keys: readonly Key[], scope: string) => Promise<ReadonlyMap<Key, Value>>;

/** Keys that the next statement reads. */
class Gathering<Key, Value> {
  readonly keys = new Set<Key>();
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
  /** By session and scope, where a statement is on its way: what gathers behind it, if anything does. */
  readonly #underWay = new Map<string, Gathering<Key, Value> | null>();

  constructor(read: ReadMany<Key, Value>) {
    this.#read = read;
  }

  /**
   * What is under the keys, and maybe under others too.
   * @param scope what else tells reads apart that must not be joined
   */
  read(keys: Iterable<Key>, scope = ''): Promise<ReadonlyMap<Key, Value>> {
    const name = `${currentSessionName()} ${scope}`;
    const behind = this.#underWay.get(name);
    if (behind === undefined) return this.#send(name, scope, new Set(keys));
    const gathering = behind ?? new Gathering<Key, Value>();
    for (const key of keys) gathering.keys.add(key);
    this.#underWay.set(name, gathering);
    return gathering.answer;
  }

  async #send(name: string, scope: string, keys: ReadonlySet<Key>): Promise<ReadonlyMap<Key, Value>> {
    this.#underWay.set(name, null);
    try {
      return await this.#read([...keys], scope);
    } finally {
      const next = this.#underWay.get(name);
      this.#underWay.delete(name);
      if (next) next.settle(this.#send(name, scope, next.keys));
    }
  }
}
