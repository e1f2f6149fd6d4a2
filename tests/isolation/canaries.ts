/**
 * Canaries: texts that stand in rows which somebody may not see, and in no row that they may. An answer that holds one
 * has leaked, whatever field it came by, in the open or within a global id or a cursor.
 */

/** Shorter texts are anybody's, and so are plain words (enums, formats, names of mutations) and instants. */
const SHORTEST = 8;
const ANYBODYS = /^[A-Za-z_]+$|^\d{4}-\d\d-\d\dT/;

type Rows = Readonly<Record<string, readonly string[]>>;

/** Every text in a row that was written as JSON. */
export function textsOf(row: string): string[] {
  const texts: string[] = [];
  JSON.parse(row, (_, value: unknown) => {
    if (typeof value === 'string' && value.length >= SHORTEST && !ANYBODYS.test(value)) texts.push(value);
    return value;
  });
  return texts;
}

export const allRows = (rows: Rows): string[] => Object.values(rows).flat();

/** The texts of `hidden` rows that stand in none of the `seen` ones. */
export function canariesOf(hidden: readonly string[], seen: readonly string[]): Set<string> {
  const known = new Set(seen.flatMap(textsOf));
  return new Set(hidden.flatMap(textsOf).filter((text) => !known.has(text)));
}

/** The canaries in an answer. */
export function leaksIn(answer: unknown, canaries: ReadonlySet<string>): string[] {
  const text = JSON.stringify(answer) ?? '';
  const decoded = [...text.matchAll(/[A-Za-z0-9_-]{16,}/g)].map(([token]) =>
    Buffer.from(token, 'base64url').toString(),
  );
  const whole = [text, ...decoded].join('\n');
  return [...canaries].filter((canary) => whole.includes(canary));
}
