/**
 * What changed in a table since it was last read, so that memory follows it without reading all of it. Each row says in
 * which transaction it was written last. Transactions do not end in the order of their numbers, so a reader goes on not
 * from the last that it saw, but from the oldest that was still under way when it began: some rows are read twice, none
 * is missed. It knows no table.
 */
import { type Database, Prisma } from '../database/client.ts';

/** Rows of one page. */
export const CHANGES_AT_ONCE = 10_000;

/** Where a reader is: a transaction, and an id among the rows of it. */
export interface ChangePlace {
  readonly changedIn: bigint;
  readonly id: string;
}

const BEGINNING: ChangePlace = { changedIn: 0n, id: '00000000-0000-0000-0000-000000000000' };

/** Reads the rows after a place, in the order of places, at most `CHANGES_AT_ONCE`, under a condition (`changesAfter`). */
type ReadPage<Row> = (place: ChangePlace, isFirst: boolean) => Promise<Row[]>;

export class ChangeReader {
  #settled = 0n;

  /** Gives all rows that changed since the last time, page by page; the first time, all rows there are. */
  async *read<Row extends ChangePlace>(database: Database, readPage: ReadPage<Row>): AsyncGenerator<Row[]> {
    const isFirst = this.#settled === 0n;
    const settled = await oldestUnderWay(database); // before the rows: what is written meanwhile is read again
    let place: ChangePlace = { ...BEGINNING, changedIn: this.#settled };
    for (;;) {
      const rows = await readPage(place, isFirst);
      yield rows;
      if (rows.length < CHANGES_AT_ONCE) break;
      place = rows.at(-1)!;
    }
    this.#settled = settled;
  }
}

/**
 * The condition on a row after a place. A database that was restored elsewhere has rows of transactions yet to come:
 * they are read the first time, as all are.
 */
export function changesAfter(changedIn: Prisma.Sql, id: Prisma.Sql, place: ChangePlace, isFirst: boolean): Prisma.Sql {
  const after = Prisma.sql`(${changedIn}, ${id}) > (${place.changedIn}, ${place.id}::uuid)`;
  if (isFirst) return after;
  return Prisma.sql`${after} AND ${changedIn} < pg_snapshot_xmax(pg_current_snapshot())::text::bigint`;
}

async function oldestUnderWay(database: Database): Promise<bigint> {
  const [row] = await database.$queryRaw<{ settled: bigint }[]>`
    SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS settled`;
  return row!.settled;
}

/** Work that many ask for at once and each must see begun after it asked: whoever comes meanwhile shares the next turn. */
export class SharedTurns {
  #running: Promise<void> = Promise.resolve();
  #next: Promise<void> | null = null;

  take(work: () => Promise<void>): Promise<void> {
    this.#next ??= this.#running
      .catch(() => {}) // whoever asked for that one was told
      .then(() => {
        this.#running = this.#next!;
        this.#next = null;
        return work();
      });
    return this.#next;
  }
}
