/**
 * Keys of a tenant's own programs. A key names its tenant, so that its row is read under that tenant's policy, and
 * carries a secret that is shown once and kept as its SHA-256 only.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { currentTenant, type Database, type Queries, withTenant } from '../database/client.ts';
import type { ApiKey, ApiKeyRole } from '../database/generated/client.ts';
import { PalateError } from '../errors.ts';
import { newId } from './ids.ts';

/** 192 bits: no one guesses it, and a fast hash is enough to keep it. */
const SECRET_BYTES = 24;
const KEY = /^plt_([0-9a-f]{32})_([A-Za-z0-9_-]{32})$/;
/** So many of the secret's characters are kept readable, to tell keys apart. */
const SHOWN_CHARACTERS = 4;
/** `lastUsedAt` is this exact, so that a busy key does not write a row a request. */
const LAST_USED_STEP_MS = 60_000;

/** Who a request is made by. */
export interface Credential {
  readonly tenantId: string;
  readonly keyId: string;
  /** The key's name. */
  readonly name: string;
  readonly role: ApiKeyRole;
}

export interface NewApiKey {
  readonly name: string;
  readonly role: ApiKeyRole;
  readonly expiresAt?: Date | null;
}

/** Makes a key for the tenant of the session; `secret` is the whole key and is not kept. */
export async function createApiKey(queries: Queries, key: NewApiKey): Promise<{ apiKey: ApiKey; secret: string }> {
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
    },
  });
  return { apiKey, secret: start + secret };
}

/**
 * Whose key this is. A session is not needed: the key says which tenant's it is.
 * Throws UNAUTHENTICATED, in the same words for a tenant that never was and a secret that is wrong.
 */
export async function verifyApiKey(database: Database, key: string, now: Date): Promise<Credential> {
  const [, tenant, secret] = KEY.exec(key) ?? [];
  if (tenant === undefined || secret === undefined) {
    throw new PalateError('UNAUTHENTICATED', 'This is no API key: one reads plt_<tenant>_<secret>. Copy it whole.');
  }
  const tenantId = tenant.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
  return withTenant(tenantId, async () => {
    const secretSha256 = sha256(secret);
    const row = await database.apiKey.findFirst({ where: { tenantId, secretSha256 } });
    if (!row || !timingSafeEqual(row.secretSha256, secretSha256)) {
      throw new PalateError('UNAUTHENTICATED', 'This API key is not known. Ask an ADMIN of the tenant for another.');
    }
    if (row.revokedAt) {
      throw new PalateError(
        'UNAUTHENTICATED',
        `The API key "${row.name}" was revoked at ${row.revokedAt.toISOString()}.`,
      );
    }
    if (row.expiresAt && row.expiresAt <= now) {
      throw new PalateError('UNAUTHENTICATED', `The API key "${row.name}" expired at ${row.expiresAt.toISOString()}.`);
    }
    await noteUse(database, row, now);
    return { tenantId, keyId: row.id, name: row.name, role: row.role };
  });
}

async function noteUse(database: Database, { tenantId, id, lastUsedAt }: ApiKey, now: Date): Promise<void> {
  if (lastUsedAt && now.getTime() - lastUsedAt.getTime() < LAST_USED_STEP_MS) return;
  await database.apiKey.update({ where: { tenantId_id: { tenantId, id } }, data: { lastUsedAt: now } });
}

function sha256(secret: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(createHash('sha256').update(secret).digest());
}
