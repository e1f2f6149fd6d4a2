/**
 * Keys of a tenant's own programs, and of operators. A key names its tenant, so that its row is read under that
 * tenant's policy, and carries a secret that is shown once and kept as its SHA-256 only.
 */
import { createHash, randomBytes } from 'node:crypto';
import { currentTenant, type Database, NO_TENANT, type Queries, withTenant } from '../database/client.ts';
import type { ApiKey, ApiKeyRole } from '../database/generated/client.ts';
import { PalateError } from '../errors.ts';
import { type Doer, recordEvent } from './auditLog.ts';
import type { Caller, Credential } from './credentials.ts';
import { tellOfKeys } from './forgetting.ts';
import { idOf, newId, toGlobalId } from './ids.ts';
import type { KeyRow, KnownKeys } from './knownKeys.ts';
import { checkFirst, fromCursor, type Page, type PageArgs, toCursor, toPage, UUID_PATTERN } from './pages.ts';
import { checkText, ItemError } from './userErrors.ts';

/** 192 bits: no one guesses it, and a fast hash is enough to keep it. */
const SECRET_BYTES = 24;
const KEY = /^plt_([0-9a-f]{32})_([A-Za-z0-9_-]{32})$/;
/** So many of the secret's characters are kept readable, to tell keys apart. */
const SHOWN_CHARACTERS = 4;
/** `lastUsedAt` is this exact, so that a busy key does not write a row a request. */
const LAST_USED_STEP_MS = 60_000;
/** The longest name of a key, in characters. */
const MAX_KEY_NAME = 200;
/** The most keys of a tenant that can be used: more are lost track of, and each is one to steal. */
const MAX_KEYS = 200;
/** The most points a minute that PostgreSQL's integer holds. */
const MAX_POINTS = 2_147_483_647;

export interface NewApiKey {
  readonly name: string;
  readonly role: ApiKeyRole;
  readonly expiresAt?: Date | null | undefined;
  /** Cost points a minute of its own; as many as the tenant has, if left out. */
  readonly pointsPerMinute?: number | null | undefined;
}

export interface MadeApiKey {
  readonly apiKey: ApiKey;
  /** The whole key; it is not kept. */
  readonly secret: string;
}

/** Makes a key for the tenant of the session. Throws an ItemError where the name is empty or too long. */
export async function makeApiKey(queries: Queries, key: NewApiKey): Promise<MadeApiKey> {
  checkText('name', key.name, MAX_KEY_NAME, true);
  const tenantId = currentTenant();
  const secret = randomBytes(SECRET_BYTES).toString('base64url');
  const start = `plt_${tenantId.replaceAll('-', '')}_`;
  const apiKey = await queries.apiKey.create({
    data: {
      tenantId,
      id: newId(),
      name: key.name,
      role: key.role,
      prefix: start + secret.slice(0, SHOWN_CHARACTERS),
      secretSha256: sha256(secret),
      expiresAt: key.expiresAt ?? null,
      pointsPerMinute: key.pointsPerMinute ?? null,
    },
  });
  return { apiKey, secret: start + secret };
}

/** Makes a key for the session's tenant and writes it down; in the session of no tenant, an operator's. */
export function issueApiKey(database: Database, doer: Doer, now: Date, key: NewApiKey): Promise<MadeApiKey> {
  return database.$transaction(async (transaction) => {
    if (currentTenant() === NO_TENANT) {
      await transaction.tenant.createMany({ data: [{ id: NO_TENANT, name: 'operators' }], skipDuplicates: true });
    }
    const made = await makeApiKey(transaction, key);
    const subject = toGlobalId('ApiKey', made.apiKey.id);
    await recordEvent(transaction, doer, now, { action: 'createApiKey', subject });
    return made;
  });
}

/** Every key of the session's tenant, newest first. */
export function allApiKeys(queries: Queries): Promise<ApiKey[]> {
  return queries.apiKey.findMany({ orderBy: { id: 'desc' } });
}

/**
 * Revokes the one key that begins so, a last ADMIN key too: who runs the installation can make another.
 * Throws BAD_USER_INPUT where none does, or several do.
 */
export function revokeByPrefix(database: Database, doer: Doer, now: Date, prefix: string): Promise<ApiKey> {
  return database.$transaction(async (transaction) => {
    const found = await transaction.apiKey.findMany({ where: { prefix: { startsWith: prefix }, revokedAt: null } });
    const [row] = found;
    if (!row || found.length > 1) {
      const message = `${row ? `${found.length} keys begin` : 'No key that is not revoked begins'} with "${prefix}".`;
      throw new PalateError('BAD_USER_INPUT', message);
    }
    return revoke(transaction, doer, now, row);
  });
}

async function revoke(transaction: Queries, doer: Doer, now: Date, { tenantId, id }: ApiKey): Promise<ApiKey> {
  const revoked = await transaction.apiKey.update({
    where: { tenantId_id: { tenantId, id } },
    data: { revokedAt: now },
  });
  await recordEvent(transaction, doer, now, { action: 'revokeApiKey', subject: toGlobalId('ApiKey', id) });
  await tellOfKeys(transaction, tenantId);
  return revoked;
}

/** What the functions of a tenant's ADMIN work with. */
interface KeyPlatform {
  readonly database: Database;
  readonly knownKeys: KnownKeys;
  readonly now: () => Date;
}

/**
 * Makes a key as an ADMIN asks for it. Throws an ItemError: INVALID or TOO_LARGE for a name, an instant or a number
 * out of its range, LIMIT_REACHED where the tenant has 200 keys that can be used.
 */
export async function createApiKey(
  { database, now }: KeyPlatform,
  caller: Caller,
  key: NewApiKey,
): Promise<MadeApiKey> {
  const { expiresAt, pointsPerMinute } = key;
  if (expiresAt && expiresAt <= now()) {
    const message = `expiresAt is ${expiresAt.toISOString()}; it must be after now, ${now().toISOString()}.`;
    throw new ItemError(['expiresAt'], 'INVALID', message);
  }
  if (pointsPerMinute !== null && pointsPerMinute !== undefined) checkPoints(pointsPerMinute);
  return database.$transaction(async (transaction) => {
    await lockKeys(transaction);
    if ((await transaction.apiKey.count({ where: usable(now()) })) >= MAX_KEYS) {
      const message = `The tenant has ${MAX_KEYS} keys that can be used, the most there may be: revoke one first.`;
      throw new ItemError([], 'LIMIT_REACHED', message);
    }
    const made = await makeApiKey(transaction, key);
    await recordEvent(transaction, caller, now(), {
      action: 'createApiKey',
      subject: toGlobalId('ApiKey', made.apiKey.id),
    });
    return made;
  });
}

/** Throws an ItemError for points that no minute can have. */
export function checkPoints(pointsPerMinute: number): void {
  if (Number.isInteger(pointsPerMinute) && pointsPerMinute >= 1 && pointsPerMinute <= MAX_POINTS) return;
  const message = `pointsPerMinute is ${pointsPerMinute}; it must be a whole number from 1 to ${MAX_POINTS}.`;
  throw new ItemError(['pointsPerMinute'], 'INVALID', message);
}

/**
 * Makes a key useless from the next request on; on the other replicas as they are told, two seconds later at most. One
 * that is revoked already stays as it is.
 * Throws an ItemError: NOT_FOUND, or CONFLICT for the last ADMIN key, without which nobody could make another.
 */
export async function revokeApiKey(
  { database, knownKeys, now }: KeyPlatform,
  caller: Caller,
  globalId: string,
): Promise<ApiKey> {
  const revoked = await database.$transaction(async (transaction) => {
    await lockKeys(transaction);
    const id = idOf('ApiKey', globalId);
    const row = id && (await transaction.apiKey.findFirst({ where: { id } }));
    if (!row) throw new ItemError(['id'], 'NOT_FOUND', 'There is no API key with this id.');
    if (row.revokedAt) return row;
    const others = await transaction.apiKey.count({ where: { ...usable(now()), role: 'ADMIN', id: { not: row.id } } });
    if (row.role === 'ADMIN' && others === 0) {
      const message = 'This is the only ADMIN key that can be used: make another one first.';
      throw new ItemError(['id'], 'CONFLICT', message);
    }
    return revoke(transaction, caller, now(), row);
  });
  knownKeys.forgetTenant(currentTenant());
  return revoked;
}

const usable = (now: Date) => ({ revokedAt: null, OR: [{ expiresAt: null }, { expiresAt: { gt: now } }] });

/** Whoever counts keys before changing them does so in turn. */
async function lockKeys(transaction: Queries): Promise<void> {
  await transaction.$queryRaw`SELECT FROM tenants WHERE tenant_id = ${currentTenant()}::uuid FOR NO KEY UPDATE`;
}

/** The tenant's keys, newest first. Throws BAD_USER_INPUT for a bad `first` or cursor. */
export async function pageApiKeys(queries: Queries, page: PageArgs): Promise<Page<ApiKey>> {
  checkFirst(page.first);
  const [, before] = fromCursor(page.after, [/^apiKeys$/, UUID_PATTERN]) ?? [];
  const rows = await queries.apiKey.findMany({
    where: before ? { id: { lt: before } } : {},
    orderBy: { id: 'desc' },
    take: page.first + 1,
  });
  return toPage(rows, page, ({ id }) => toCursor('apiKeys', id));
}

/** Keys by id; ids that are none of the tenant's are left out. */
export async function apiKeysByIds(queries: Queries, ids: readonly string[]): Promise<Map<string, ApiKey>> {
  const rows = await queries.apiKey.findMany({ where: { id: { in: [...ids] } } });
  return new Map(rows.map((row) => [row.id, row]));
}

/** Whether a credential has the form of an API key, genuine or not. */
export const looksLikeApiKey = (credential: string): boolean => credential.startsWith('plt_');

/**
 * Whose key this is. A session is not needed: the key says which tenant's it is.
 * Throws UNAUTHENTICATED, in the same words for a tenant that never was and a secret that is wrong; FORBIDDEN where the
 * tenant is suspended.
 */
export async function verifyApiKey({ database, knownKeys, now }: KeyPlatform, key: string): Promise<Credential> {
  const [, tenant, secret] = KEY.exec(key) ?? [];
  if (tenant === undefined || secret === undefined) {
    throw new PalateError('UNAUTHENTICATED', 'This is no API key: one reads plt_<tenant>_<secret>. Copy it whole.');
  }
  const tenantId = toUuid(tenant);
  const secretSha256 = sha256(secret);
  const row = await knownKeys.get(tenantId, secretSha256, () => readKey(database, tenantId, secretSha256));
  if (!row) {
    throw new PalateError('UNAUTHENTICATED', 'This API key is not known. Ask an ADMIN of the tenant for another.');
  }
  const { id, name, role, expiresAt, revokedAt } = row;
  if (revokedAt) {
    throw new PalateError('UNAUTHENTICATED', `The API key "${name}" was revoked at ${revokedAt.toISOString()}.`);
  }
  if (expiresAt && expiresAt <= now()) {
    throw new PalateError('UNAUTHENTICATED', `The API key "${name}" expired at ${expiresAt.toISOString()}.`);
  }
  checkNotSuspended(row.suspendedAt);
  await noteUse(database, tenantId, row, now());
  const rules = { id: tenantId, pointsPerMinute: row.tenantPoints };
  return { role, tenant: rules, id, actor: name, userId: null, pointsPerMinute: row.pointsPerMinute, expiresAt };
}

/** The tenant of a key that was verified a moment ago and is good; null where only {@link verifyApiKey} can say. */
export function knownTenantOf({ knownKeys, now }: KeyPlatform, key: string): string | null {
  const [, tenant, secret] = KEY.exec(key) ?? [];
  if (tenant === undefined || secret === undefined) return null;
  const tenantId = toUuid(tenant);
  const row = knownKeys.known(tenantId, sha256(secret));
  const good = row && !row.revokedAt && !row.suspendedAt && !(row.expiresAt && row.expiresAt <= now());
  return good ? tenantId : null;
}

/** Found by the hash of 192 random bits: how long the database takes to compare them tells nobody a secret. */
function readKey(
  database: Database,
  tenantId: string,
  secretSha256: Uint8Array<ArrayBuffer>,
): Promise<KeyRow | undefined> {
  return withTenant(tenantId, async () => {
    const [row] = await database.$queryRaw<KeyRow[]>`
      SELECT k.id, k.name, k.role, k.expires_at AS "expiresAt", k.revoked_at AS "revokedAt",
        k.last_used_at AS "lastUsedAt", k.points_per_minute AS "pointsPerMinute",
        t.points_per_minute AS "tenantPoints", t.suspended_at AS "suspendedAt"
      FROM api_keys k JOIN tenants t ON t.tenant_id = k.tenant_id
      WHERE k.tenant_id = ${tenantId}::uuid AND k.secret_sha256 = ${secretSha256}`;
    return row;
  });
}

/** Throws FORBIDDEN where a tenant is suspended. */
export function checkNotSuspended(suspendedAt: Date | null): void {
  if (suspendedAt === null) return;
  const message = `This tenant has been suspended since ${suspendedAt.toISOString()}: ask whoever runs the installation.`;
  throw new PalateError('FORBIDDEN', message);
}

async function noteUse(database: Database, tenantId: string, row: KeyRow, now: Date): Promise<void> {
  const { id, lastUsedAt } = row;
  if (lastUsedAt && now.getTime() - lastUsedAt.getTime() < LAST_USED_STEP_MS) return;
  row.lastUsedAt = now; // once, however many requests come while it is written
  await withTenant(
    tenantId,
    () => database.apiKey.updateMany({ where: { id }, data: { lastUsedAt: now } }), // it may be gone by now
  );
}

/** 32 hexadecimal digits as a UUID is written. */
function toUuid(digits: string): string {
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

function sha256(secret: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(createHash('sha256').update(secret).digest());
}
