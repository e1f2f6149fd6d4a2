/**
 * Looking for what should be gone: every column of every table that the service can read, the tenant's by its policy,
 * the queue's all, and the names of the stored files: pictures, models. It knows no table by name, but for those that keep random ids.
 */
import { currentTenant, type Database, type Queries } from '../database/client.ts';
import type { FileStore } from '../files/store.ts';
import { fromGlobalId, NODE_TYPES, toGlobalId } from './ids.ts';

export interface Trace {
  readonly value: string;
  /** schema.table.column, or "pictures" or "models" for the names of the stored files. */
  readonly place: string;
  /** Rows, or files, that hold it. */
  readonly count: number;
  /** True where the random id of somebody erased is meant to stay (docs/decisions/0010-erasure.md). */
  readonly kept: boolean;
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
/** Where random ids stay after an erasure. */
const KEEPS_IDS: ReadonlySet<string> = new Set([
  'public.erasures.user_id',
  'public.training_people.user_id',
  'public.audit_events.actor',
  'public.audit_events.subject',
]);
/** A search reads every row that there is. */
const TIMEOUT_MS = 60 * 60 * 1000;

/** Where each of the values is found in what is kept of the session's tenant; values found nowhere have no entry. */
export async function findTraces(
  {
    database,
    pictures,
    weights,
  }: { readonly database: Database; readonly pictures: FileStore; readonly weights: FileStore },
  values: readonly string[],
): Promise<Trace[]> {
  const traces = await database.$transaction(
    async (transaction) => {
      const found: Trace[] = [];
      for (const table of await readTables(transaction)) {
        for (const value of values) found.push(...(await searchTable(transaction, table, value)));
      }
      return found;
    },
    { timeout: TIMEOUT_MS },
  );
  return [
    ...traces,
    ...(await searchFiles('pictures', pictures, values)),
    ...(await searchFiles('models', weights, values)),
  ];
}

async function searchFiles(place: string, files: FileStore, values: readonly string[]): Promise<Trace[]> {
  const found = new Map<string, number>();
  for await (const name of files.list(currentTenant())) {
    for (const value of values) if (name.includes(value.toLowerCase())) found.set(value, (found.get(value) ?? 0) + 1);
  }
  return [...found].map(([value, count]) => ({ value, place, count, kept: false }));
}

interface Table {
  readonly name: string;
  /** As SQL spells it. */
  readonly quoted: string;
  readonly columns: readonly { name: string; quoted: string; type: string; category: string }[];
}

/** Every table of ours and of the queue's; of a partitioned one the whole, and not its parts again. */
function readTables(queries: Queries): Promise<Table[]> {
  return queries.$queryRaw<Table[]>`
    SELECT n.nspname || '.' || c.relname AS name, format('%I.%I', n.nspname, c.relname) AS quoted,
      json_agg(json_build_object(
        'name', a.attname, 'quoted', quote_ident(a.attname), 'type', t.typname, 'category', t.typcategory
      ) ORDER BY a.attnum) AS columns
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    JOIN pg_type t ON t.oid = a.atttypid
    WHERE n.nspname IN ('public', 'pgboss') AND c.relkind IN ('r', 'p') AND NOT c.relispartition
      AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')
    GROUP BY n.nspname, c.relname ORDER BY n.nspname DESC, c.relname`;
}

async function searchTable(queries: Queries, table: Table, value: string): Promise<Trace[]> {
  const { texts, bytes } = formsOf(value);
  const counts = table.columns.map(({ quoted, type, category }, i) => {
    const holds =
      type === 'bytea'
        ? `EXISTS (SELECT FROM unnest($2::text[]) AS form (hex) WHERE position(decode(form.hex, 'hex') IN ${quoted}) > 0)`
        : // A part of a number or of an instant is no trace of anything.
          'NDB'.includes(category)
          ? `${quoted}::text = ANY($1::text[])`
          : `EXISTS (SELECT FROM unnest($1::text[]) AS form (text) WHERE position(form.text IN ${quoted}::text) > 0)`;
    return `(count(*) FILTER (WHERE ${holds}))::int AS c${i}`;
  });
  // Both lists stand in every statement, so that each has a type where a table has no column for it.
  const sql = `SELECT ${counts.join(', ')} FROM ${table.quoted} WHERE $1::text[] IS NOT NULL AND $2::text[] IS NOT NULL`;
  const [row] = await queries.$queryRawUnsafe<Record<string, number>[]>(sql, texts, bytes);
  return table.columns.flatMap(({ name }, i) => {
    const count = row?.[`c${i}`] ?? 0;
    const place = `${table.name}.${name}`;
    return count === 0 ? [] : [{ value, place, count, kept: KEEPS_IDS.has(place) && isId(value) }];
  });
}

const isId = (value: string) => UUID.test(value) || fromGlobalId(value) !== null;

/** The ways in which a value may be written: as it is, within JSON, and an id as the database and the API write it. */
function formsOf(value: string): { texts: string[]; bytes: string[] } {
  const id = fromGlobalId(value)?.id ?? (UUID.test(value) ? value.toLowerCase() : null);
  const spelled = id === null ? [value] : [value, id, ...NODE_TYPES.map((type) => toGlobalId(type, id))];
  const texts = [...new Set(spelled.flatMap((text) => [text, JSON.stringify(text).slice(1, -1)]))];
  const bytes = texts.map((text) => Buffer.from(text).toString('hex'));
  return { texts, bytes: id === null ? bytes : [...bytes, id.replaceAll('-', '')] };
}
