/** Values that no argument expects: of the wrong type, the wrong size, the wrong shape, or no value at all. */
import { toGlobalId } from '../../../src/domain/ids.ts';
import type { Random } from '../../../src/random.ts';
import type { FuzzTarget } from './target.ts';

/** Stands in JSON for what JSON.stringify cannot write. */
const RAW = '\u0001raw:';

/** JSON in which {@link hostileValue}'s raw literals stand bare: 1e999 is read as Infinity, NaN as no JSON at all. */
export function toHostileJson(value: unknown): string {
  return JSON.stringify(value).replaceAll(/"\\u0001raw:([^"]*)"/g, '$1');
}

const TEXTS = [
  ...['', ' ', '\0', 'a\0b', '\ud800', '\udfff\ud800', '\ufeff', '\u202e', 'é'.normalize('NFD').repeat(50), '💥'],
  ...["'; DROP TABLE feedback; --", '{{7*7}}', '../../etc/passwd', '%00', '<script>', '\r\nSet-Cookie: a=b'],
  ...['NaN', 'Infinity', '-Infinity', 'null', 'undefined', 'true', '[object Object]', '__proto__', 'constructor'],
  ...['2026-02-30T00:00:00Z', '+275760-09-13T00:00:00.001Z', '0000-00-00', '2026-01-31T12:00:00+99:99', '1e309'],
];
/** What PostgreSQL keeps in no text: drawn often, for each place that takes a text must refuse it by itself. */
const UNKEPT = ['\0', 'a\0b', '\ud800', 'a\udfffb'];
const NUMBERS = [
  ...[0, -1, 1.5, 1e308, -1e308, 5e-324, 2 ** 31, -(2 ** 31) - 1, 2 ** 53, 100_000],
  ...[
    '1e999',
    '-1e999',
    '-0',
    '0.1e-999',
    '123456789012345678901234567890',
    'NaN',
    'Infinity',
    '01',
    '0x10',
    '1_0',
  ].map((literal) => RAW + literal),
];
const NAMES = ['id', 'externalId', '__proto__', 'constructor', 'toString', '', '\0', 'items', 'a'.repeat(300)];
const TYPES = ['User', 'Image', 'Feedback', 'Comparison', 'Model', 'Tenant', 'ApiKey'] as const;

/** A string no field would hold. */
export function hostileText(random: Random): string {
  const draw = random.uniform();
  if (draw < 0.02) return 'x'.repeat(1_000_000);
  if (draw < 0.1) return random.pick(['a', '\0', '💥', '\ud800', '"', '\\']).repeat(random.int(20_000));
  if (draw < 0.3) return random.pick(UNKEPT);
  if (draw < 0.4) return String.fromCharCode(...Array.from({ length: random.int(40) }, () => random.int(0x10000)));
  return random.pick(TEXTS);
}

/** A number no argument takes, or a literal that JSON reads as one. */
export function hostileNumber(random: Random): unknown {
  return random.pick(NUMBERS);
}

/** An id that names nothing, another's, or something in the wrong spelling. */
export function forgedId(random: Random, { ids }: FuzzTarget): string {
  const id = random.pick(ids);
  const at = random.int(id.length);
  return random.pick([
    () => toGlobalId(random.pick(TYPES), '01890000-0000-7000-8000-000000000000'),
    () => toGlobalId(random.pick(TYPES), Buffer.from(id, 'base64url').toString().split(':')[1]!),
    () => toGlobalId(random.pick(TYPES), "' OR 1=1 --"),
    () => id.slice(0, at),
    () => `${id}=`,
    () => id.slice(0, at) + random.pick(['A', '-', '+', '/', '\0', ' ', '%']) + id.slice(at + 1),
    () => Buffer.from(id, 'base64url').toString(),
    () => Buffer.from(Buffer.from(id, 'base64url').toString().toUpperCase()).toString('base64url'),
    () => hostileText(random),
  ])();
}

/** Anything. */
export function hostileValue(random: Random, target: FuzzTarget, depth = 0): unknown {
  const draw = random.uniform();
  if (draw < 0.3) return hostileText(random);
  if (draw < 0.5) return hostileNumber(random);
  if (draw < 0.6) return forgedId(random, target);
  if (draw < 0.7) return random.pick([null, true, false, [], {}, [[]], [null]]);
  if (draw < 0.73) return nested(random.pick([10, 100, 2_000]), random.pick(['array', 'object']));
  if (draw < 0.75) return Array.from({ length: 10_000 }, () => random.pick(target.ids));
  if (depth > 3) return null;
  if (draw < 0.85) return Array.from({ length: random.int(6) }, () => hostileValue(random, target, depth + 1));
  return Object.fromEntries(
    Array.from({ length: random.int(5) }, () => [random.pick(NAMES), hostileValue(random, target, depth + 1)]),
  );
}

function nested(levels: number, kind: 'array' | 'object'): unknown {
  let value: unknown = null;
  for (let i = 0; i < levels; i++) value = kind === 'array' ? [value] : { a: value };
  return value;
}
