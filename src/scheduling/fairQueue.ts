/**
 * A bounded queue whose lanes take turns by deficit round robin (Shreedhar and Varghese, 1996): each turn gives a lane
 * credit of so many rows, and it goes on until its credit is spent. A lane that floods waits behind itself; one that asks
 * little waits for a turn of each other at most. Knows no time, and nothing of what is queued.
 */
import { PalateError } from '../errors.ts';

export interface Queued {
  readonly lane: string;
  readonly rows: number;
}

export interface FairQueueOptions {
  /** What the queue is for, as a refusal says it. */
  readonly of: string;
  /** Rows that may be queued; one lane may hold half of them. */
  readonly most: number;
  /** What one turn gives. */
  readonly rowsATurn: number;
}

interface Lane<Item> {
  readonly items: Item[];
  rows: number;
  /** Rows that it may still take; what it has not spent it keeps while it has anything queued. */
  credit: number;
  /** Whether the credit of this turn has been given. */
  begun: boolean;
}

export class FairQueue<Item extends Queued> {
  readonly #options: FairQueueOptions;
  /** Those that have anything queued, in the order of their turns. */
  readonly #lanes = new Map<string, Lane<Item>>();
  #rows = 0;

  constructor(options: FairQueueOptions) {
    this.#options = options;
  }

  get rows(): number {
    return this.#rows;
  }

  /** Throws OVERLOADED where there is no room. What is larger than the room there ever is finds it in an empty queue. */
  add(item: Item): void {
    const lane = this.#lanes.get(item.lane) ?? { items: [], rows: 0, credit: 0, begun: false };
    const { of, most } = this.#options;
    if (this.#rows > 0 && this.#rows + item.rows > most) throw full(`${this.#rows} rows wait`, of, 'as much as may');
    if (lane.rows > 0 && lane.rows + item.rows > most / 2) {
      throw full(`${lane.rows} rows of this tenant wait`, of, 'half of what may');
    }
    this.#lanes.set(item.lane, lane);
    lane.items.push(item);
    lane.rows += item.rows;
    this.#rows += item.rows;
  }

  /** Takes out one that is queued. */
  remove(item: Item): void {
    const lane = this.#lanes.get(item.lane)!;
    lane.items.splice(lane.items.indexOf(item), 1);
    lane.rows -= item.rows;
    this.#rows -= item.rows;
    if (lane.items.length === 0) this.#lanes.delete(item.lane);
  }

  /** Takes the next ones, at most so many rows together; the first whatever its size. */
  take(rows: number): Item[] {
    const taken: Item[] = [];
    let left = rows;
    for (let next = this.#next(); next; next = this.#next()) {
      if (taken.length > 0 && next.rows > left) break; // its lane keeps its turn
      this.#lanes.get(next.lane)!.credit -= next.rows;
      this.remove(next);
      taken.push(next);
      left -= next.rows;
    }
    return taken;
  }

  /** The first of the lane whose turn it is; lanes without credit for their first get some, and go to the end. */
  #next(): Item | undefined {
    for (;;) {
      const turn = this.#lanes.entries().next();
      if (turn.done) return undefined;
      const [name, lane] = turn.value;
      if (!lane.begun) lane.credit += this.#options.rowsATurn;
      lane.begun = true;
      if (lane.items[0]!.rows <= lane.credit) return lane.items[0];
      lane.begun = false;
      this.#lanes.delete(name);
      this.#lanes.set(name, lane);
    }
  }
}

const full = (waiting: string, of: string, measure: string) =>
  new PalateError('OVERLOADED', `${waiting} for ${of}, ${measure}: send this again in a second.`);
