/**
 * The role that the service connects as: it owns nothing and cannot bypass row-level security, so that a mistake in
 * a query cannot cross from one tenant to another (docs/decisions/0003-service-role.md). The owner's credential makes
 * it and is used for nothing else.
 */
import { createHmac } from 'node:crypto';
import pg from 'pg';
import { PalateError } from '../errors.ts';

/** Roles belong to the server, not to a database: each database has its own, so that two cannot meet in one role. */
export function serviceRoleName(database: string): string {
  return `${database.slice(0, 50)}_service`;
}

/**
 * The same URL with the service role's name and password. The password follows from the owner's, so that every
 * replica that is given one DATABASE_URL knows it and none has to keep it.
 * Throws BAD_USER_INPUT where the owner's URL has no password.
 */
export function serviceUrl(ownerUrl: string): string {
  const url = new URL(ownerUrl);
  const database = databaseName(url);
  if (url.password === '') {
    throw new PalateError(
      'BAD_USER_INPUT',
      `DATABASE_URL has no password for ${url.username || 'its user'}; the service's own role takes its password from it. Give one.`,
    );
  }
  const role = serviceRoleName(database);
  url.username = encodeURIComponent(role);
  url.password = createHmac('sha256', decodeURIComponent(url.password)).update(role).digest('base64url');
  return url.href;
}

/** Held while a process writes the role: PostgreSQL fails one of two that grant at once. "role". */
const ROLE_LOCK = 0x726f6c65;

/**
 * Makes the service's role where it is missing, sets its password, and grants it the rows of every table, but no
 * table. Runs after each migration, of several processes in turn. Throws NOT_READY where the role may do more than it
 * should.
 */
export async function prepareServiceRole(owner: pg.ClientBase, ownerUrl: string): Promise<void> {
  await owner.query('SELECT pg_advisory_lock($1)', [ROLE_LOCK]);
  try {
    await writeServiceRole(owner, ownerUrl);
  } finally {
    await owner.query('SELECT pg_advisory_unlock($1)', [ROLE_LOCK]);
  }
}

async function writeServiceRole(owner: pg.ClientBase, ownerUrl: string): Promise<void> {
  const url = new URL(serviceUrl(ownerUrl));
  const role = decodeURIComponent(url.username);
  const name = pg.escapeIdentifier(role);
  const password = pg.escapeLiteral(url.password);
  const { rows } = await owner.query<{ unsafe: boolean }>(
    'SELECT rolsuper OR rolbypassrls OR rolcreaterole AS unsafe FROM pg_roles WHERE rolname = $1',
    [role],
  );
  if (rows[0]?.unsafe) {
    throw new PalateError(
      'NOT_READY',
      `The database role ${role} may bypass row-level security. Drop it, or take SUPERUSER, BYPASSRLS and CREATEROLE from it.`,
    );
  }
  await owner.query(`${rows[0] ? 'ALTER' : 'CREATE'} ROLE ${name} LOGIN PASSWORD ${password}`);
  await owner.query(`
    GRANT USAGE ON SCHEMA public TO ${name};
    GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO ${name};
    REVOKE UPDATE, DELETE ON audit_events, erasures FROM ${name}; -- added to, never changed
    REVOKE ALL ON _prisma_migrations FROM ${name};`);
}

function databaseName(url: URL): string {
  const name = decodeURIComponent(url.pathname.slice(1));
  if (name === '')
    throw new PalateError('BAD_USER_INPUT', 'DATABASE_URL names no database: end it with one, such as /palate.');
  return name;
}
