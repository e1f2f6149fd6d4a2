/**
 * Pages of a list, forward only, as GraphQL's connections have them. A cursor holds the place after which a page
 * begins, not a number of rows, so that what is added or taken away meanwhile neither repeats a row nor skips one.
 */
import { PalateError } from '../errors.ts';

/** The most rows a page may have. */
export const MAX_FIRST = 100;

export interface PageArgs {
  /** 1 to 100. */
  readonly first: number;
  /** A cursor of the same list; the beginning, if left out. */
  readonly after?: string | null | undefined;
}

export interface Edge<T> {
  readonly node: T;
  readonly cursor: string;
}

export interface Page<T> {
  readonly edges: readonly Edge<T>[];
  readonly nodes: readonly T[];
  readonly pageInfo: {
    readonly hasNextPage: boolean;
    readonly hasPreviousPage: boolean;
    readonly startCursor: string | null;
    readonly endCursor: string | null;
  };
}

/** Throws BAD_USER_INPUT where `first` is not 1 to `most`. */
export function checkFirst(first: number, most = MAX_FIRST): void {
  if (Number.isInteger(first) && first >= 1 && first <= most) return;
  throw new PalateError('BAD_USER_INPUT', `first is ${first}; it must be a whole number from 1 to ${most}.`);
}

/** Opaque: the values a list is ordered by, of one row; a list ordered by id alone says its name before. */
export function toCursor(...place: readonly string[]): string {
  return Buffer.from(JSON.stringify(place)).toString('base64url');
}

/**
 * The values behind a cursor; null for the beginning.
 * @param patterns what each value looks like in this list, such as regular expressions
 * Throws BAD_USER_INPUT for what this list never answered with.
 */
export function fromCursor(
  cursor: string | null | undefined,
  patterns: readonly { test(text: string): boolean }[],
): string[] | null {
  if (cursor === null || cursor === undefined) return null;
  const place = parse(cursor);
  const fits = (value: unknown, i: number) => typeof value === 'string' && patterns[i]?.test(value) === true;
  if (Array.isArray(place) && place.length === patterns.length && place.every(fits)) return place as string[];
  const shown = cursor.length > 60 ? `${cursor.slice(0, 60)}…` : cursor;
  throw new PalateError(
    'BAD_USER_INPUT',
    `after is "${shown}", which is no cursor of this list: pass an endCursor of it.`,
  );
}

function parse(cursor: string): unknown {
  try {
    return JSON.parse(Buffer.from(cursor, 'base64url').toString());
  } catch {
    return null;
  }
}

/** What a cursor's values look like. */
export const UUID_PATTERN = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
/** As `toISOString` writes them, from 1970 to 9999: a day that its month lacks is none. */
export const INSTANT_PATTERN = {
  test(text: string): boolean {
    const instant = new Date(text);
    return text.length === 24 && instant.getTime() >= 0 && instant.toISOString() === text;
  },
};

/** A page from the rows that follow the cursor, read one further than asked for: that one tells of a next page. */
export function toPage<T>(rows: readonly T[], { first, after }: PageArgs, cursorOf: (row: T) => string): Page<T> {
  const nodes = rows.slice(0, first);
  const edges = nodes.map((node) => ({ node, cursor: cursorOf(node) }));
  return {
    edges,
    nodes,
    pageInfo: {
      hasNextPage: rows.length > first,
      hasPreviousPage: after !== null && after !== undefined,
      startCursor: edges.at(0)?.cursor ?? null,
      endCursor: edges.at(-1)?.cursor ?? null,
    },
  };
}
