/**
 * The DateTime scalar: an instant, ISO 8601, always given in UTC. Strict both ways, so that a resolver that returns
 * something else is found out, and a date that does not exist is refused.
 */
import { GraphQLError, GraphQLScalarType, Kind } from 'graphql';

// RFC 3339: date, time to the second or finer, and an offset.
const INSTANT = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})$/;

/** Parses an RFC 3339 instant. Throws BAD_USER_INPUT for any other text, and for a day that its month lacks. */
function parseInstant(value: unknown): Date {
  if (typeof value === 'string' && INSTANT.test(value) && isDay(value.slice(0, 10))) {
    const instant = new Date(value);
    if (!Number.isNaN(instant.getTime())) return instant;
  }
  throw new GraphQLError(
    `${JSON.stringify(value)} is not an instant: write ISO 8601 with a time and an offset, such as 2026-01-31T12:00:00Z.`,
    { extensions: { code: 'BAD_USER_INPUT' } },
  );
}

/** Whether the calendar has this date: `Date` rolls 30 February over into March instead of refusing it. */
function isDay(date: string): boolean {
  const midnight = new Date(`${date}T00:00:00Z`);
  return !Number.isNaN(midnight.getTime()) && midnight.toISOString().startsWith(date);
}

export const DateTime = new GraphQLScalarType<Date, string>({
  name: 'DateTime',
  description: 'An instant, ISO 8601, UTC.',
  serialize(value) {
    if (!(value instanceof Date) || Number.isNaN(value.getTime())) {
      throw new TypeError(`A DateTime field resolved to ${typeof value} ${String(value)}; it must be a valid Date.`);
    }
    return value.toISOString();
  },
  parseValue: parseInstant,
  parseLiteral(node) {
    return parseInstant(node.kind === Kind.STRING ? node.value : null);
  },
});
