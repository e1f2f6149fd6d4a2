/**
 * Brings a database to the newest schema: runs the scripts of prisma/migrations that it has not seen, in order, and
 * writes them down where `prisma migrate` does (`_prisma_migrations`), so that either tool can go on from the other.
 * Plain SQL over one connection: nothing is downloaded, and a script is taken whole or not at all.
 */
import { createHash, randomUUID } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type pg from 'pg';
import { PalateError } from '../errors.ts';

/** prisma/migrations, which lies two levels above both src/database and dist/database. */
export const MIGRATIONS_DIRECTORY = join(import.meta.dirname, '..', '..', 'prisma', 'migrations');

/** The lock that `prisma migrate` takes too. */
const MIGRATION_LOCK = 72707369;

export interface Migration {
  readonly name: string;
  readonly sql: string;
  /** SHA-256 of the script, hexadecimal. */
  readonly checksum: string;
}

/** The scripts of a migrations folder, oldest first. */
export async function readMigrations(directory = MIGRATIONS_DIRECTORY): Promise<Migration[]> {
  const entries = await readdir(directory, { withFileTypes: true });
  const names = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  return Promise.all(
    names.sort().map(async (name) => {
      const sql = await readFile(join(directory, name, 'migration.sql'), 'utf8');
      return { name, sql, checksum: createHash('sha256').update(sql).digest('hex') };
    }),
  );
}

/**
 * Runs what is missing, as the tables' owner; returns the names of what it ran. Safe to call from several processes
 * at once: they take turns. Throws NOT_READY, with nothing changed by the script at fault, where a script fails, was
 * edited after it ran here, or is unknown to this version.
 */
export async function migrate(client: pg.ClientBase, migrations: readonly Migration[]): Promise<string[]> {
  await client.query('SELECT pg_advisory_lock($1)', [MIGRATION_LOCK]);
  try {
    await client.query(CREATE_TABLE);
    const done = await appliedMigrations(client);
    checkHistory(done, migrations);
    const missing = migrations.filter((migration) => !done.has(migration.name));
    for (const migration of missing) await apply(client, migration);
    return missing.map((migration) => migration.name);
  } finally {
    await client.query('SELECT pg_advisory_unlock($1)', [MIGRATION_LOCK]);
  }
}

const CREATE_TABLE = `
  CREATE TABLE IF NOT EXISTS _prisma_migrations (
    id VARCHAR(36) PRIMARY KEY NOT NULL,
    checksum VARCHAR(64) NOT NULL,
    finished_at TIMESTAMPTZ,
    migration_name VARCHAR(255) NOT NULL,
    logs TEXT,
    rolled_back_at TIMESTAMPTZ,
    started_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    applied_steps_count INTEGER NOT NULL DEFAULT 0
  )`;

/** Checksums by name. */
async function appliedMigrations(client: pg.ClientBase): Promise<Map<string, string>> {
  const { rows } = await client.query<{ migration_name: string; checksum: string; finished: boolean }>(
    'SELECT migration_name, checksum, finished_at IS NOT NULL AS finished FROM _prisma_migrations WHERE rolled_back_at IS NULL',
  );
  const unfinished = rows.find((row) => !row.finished);
  if (unfinished) {
    throw new PalateError(
      'NOT_READY',
      `Migration ${unfinished.migration_name} was begun by another tool and failed. Mend it with \`prisma migrate resolve\`.`,
    );
  }
  return new Map(rows.map((row) => [row.migration_name, row.checksum]));
}

function checkHistory(done: ReadonlyMap<string, string>, migrations: readonly Migration[]): void {
  const known = new Map(migrations.map((migration) => [migration.name, migration.checksum]));
  for (const [name, checksum] of done) {
    if (!known.has(name)) {
      throw new PalateError(
        'NOT_READY',
        `The database was migrated by a newer version of Palate (it has ${name}). Start that version or a later one.`,
      );
    }
    if (known.get(name) !== checksum) {
      throw new PalateError(
        'NOT_READY',
        `Migration ${name} was edited after it ran on this database. Restore its script and write the change as a new migration.`,
      );
    }
  }
}

async function apply(client: pg.ClientBase, { name, sql, checksum }: Migration): Promise<void> {
  try {
    await client.query('BEGIN');
    await client.query(sql);
    await client.query(
      `INSERT INTO _prisma_migrations (id, checksum, finished_at, migration_name, applied_steps_count)
       VALUES ($1, $2, clock_timestamp(), $3, 1)`,
      [randomUUID(), checksum, name],
    );
    await client.query('COMMIT');
  } catch (cause) {
    await client.query('ROLLBACK');
    throw new PalateError('NOT_READY', `Migration ${name} failed and changed nothing: ${(cause as Error).message}`, {
      cause,
    });
  }
}
