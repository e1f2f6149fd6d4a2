/** Cursors that begin no page of one's own: those that look like another's, and what no list answered with. */

const UUID = /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/;

const base64 = (text: string) => Buffer.from(text).toString('base64url');

/** The same cursor, of a row that never was: it stands in the same place of the list. */
export function twinOf(cursor: string): string {
  const place = Buffer.from(cursor, 'base64url').toString();
  const flip = (digit: string) => (Number.parseInt(digit, 16) ^ 1).toString(16);
  return base64(place.replace(UUID, (uuid) => uuid.slice(0, -1) + flip(uuid.slice(-1))));
}

/** What it is, and the cursor; all are refused in the same words. */
export function hostileCursors(): (readonly [what: string, cursor: string])[] {
  return [
    ['nothing', ''],
    ['SQL', "'; DROP TABLE users; --"],
    ['no JSON', base64('[')],
    ['an empty place', base64('[]')],
    ['a place of another list', base64('["rows","01890000-0000-7000-8000-000000000000"]')],
    ['a place that is an object', base64('{"0":"users"}')],
    ['SQL in the place of an id', base64(`["users","' OR true --"]`)],
    ['200 kB', base64(`["${'x'.repeat(150_000)}"]`)],
  ];
}
