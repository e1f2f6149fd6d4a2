/** Long lists on their way into a query. */
import { Prisma } from './generated/client.ts';

/** Types of which no value has a comma in it. */
type ListType = 'uuid' | 'float8' | 'timestamptz' | 'sentiment';

/** A list as one text, which PostgreSQL takes apart: Prisma and pg would each look at every element of an array. */
export function textList(type: ListType, values: readonly (string | number)[]): Prisma.Sql {
  return Prisma.sql`string_to_array(${values.join(',')}, ',')::${Prisma.raw(type)}[]`;
}
