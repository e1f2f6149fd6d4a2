/** DateTime: strict both ways. */
import { DateTime } from '../../src/graphql/dateTime.ts';

it('gives instants in UTC', () => {
  expect(DateTime.serialize(new Date('2026-01-31T12:00:00+02:00'))).toBe('2026-01-31T10:00:00.000Z');
});

it.each([['2026-01-31T10:00:00.000Z'], [1_769_853_600_000], [null], [new Date(Number.NaN)]])(
  'finds out a resolver that answers %p',
  (value) => {
    expect(() => DateTime.serialize(value)).toThrow('A DateTime field resolved to');
  },
);

it('reads instants with any offset and fractions of a second', () => {
  expect(DateTime.parseValue('2024-02-29T23:59:59.123456+05:30')).toEqual(new Date('2024-02-29T18:29:59.123Z'));
});

it.each(['2025-02-29T00:00:00Z', '2026-01-31', '2026-01-31T12:00:00', '12:00', 'now', 1_769_853_600_000, null])(
  'refuses %p',
  (value) => {
    expect(() => DateTime.parseValue(value)).toThrow('is not an instant: write ISO 8601 with a time and an offset');
  },
);
