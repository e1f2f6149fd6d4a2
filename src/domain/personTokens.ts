/**
 * People's own tokens: JWTs of the tenant's identity provider. A token names its tenant in its audience, so that the
 * tenant's row is read under that tenant's policy before anything in the token is believed; then `jose` verifies it by
 * the provider's key set or the shared secret. Its `sub` is the person's externalId.
 */
import { errors, type JWTPayload, type JWTVerifyOptions, jwtVerify } from 'jose';
import { type Database, withTenant } from '../database/client.ts';
import type { Tenant } from '../database/generated/client.ts';
import { PalateError } from '../errors.ts';
import { checkNotSuspended } from './apiKeys.ts';
import type { Credential } from './credentials.ts';
import { toGlobalId } from './ids.ts';
import type { FindKey } from './keySetFetch.ts';
import type { KeySets } from './keySets.ts';
import type { Quotas } from './quotas.ts';
import type { SecretBox } from './secretBox.ts';
import {
  type Claimed,
  KEY_SET_ALGORITHMS,
  quote,
  readClaims,
  SECRET_ALGORITHMS,
  tokenAudience,
  unauthenticated,
} from './tokenClaims.ts';
import { upsertUsers, usersByExternalIds } from './users.ts';

/** How far the clocks of the provider and of this machine may be apart. */
const CLOCK_TOLERANCE_SECONDS = 60;
/** A token cannot be revoked here, so none is taken that is good for longer than this from now on. */
const MAX_LIFETIME_SECONDS = 24 * 60 * 60;

interface TokenPlatform {
  readonly database: Database;
  readonly quotas: Quotas;
  readonly secrets: SecretBox;
  readonly keySets: KeySets;
  readonly personPointsPerMinute: number;
}

/** What a tenant's row says of its people's tokens, and who the person is, where known. */
type TokenRow = Pick<Tenant, 'tokenIssuer' | 'tokenKeySetUrl' | 'tokenSecret' | 'pointsPerMinute' | 'suspendedAt'> & {
  userId: string | null;
};

/**
 * Whose token this is. The first genuine one of an unknown `sub` makes the person. A session is not needed: the token
 * says which tenant's it is.
 * Throws UNAUTHENTICATED with what is wrong, in the same words for a tenant that never was and one that takes no
 * tokens; FORBIDDEN where the tenant is suspended, or may have no more users than it has; NOT_READY where many wait for
 * the provider's keys already.
 */
export async function verifyPersonToken(platform: TokenPlatform, token: string, now: Date): Promise<Credential> {
  const claimed = readClaims(token);
  const { tenantId, subject } = claimed;
  return withTenant(tenantId, async () => {
    const [row] = await platform.database.$queryRaw<TokenRow[]>`
      SELECT t.token_issuer AS "tokenIssuer", t.token_key_set_url AS "tokenKeySetUrl", t.token_secret AS "tokenSecret",
        t.points_per_minute AS "pointsPerMinute", t.suspended_at AS "suspendedAt", u.id AS "userId"
      FROM tenants t LEFT JOIN users u ON u.tenant_id = t.tenant_id AND u.external_id = ${subject}
      WHERE t.tenant_id = ${tenantId}::uuid`;
    if (!row?.tokenIssuer || !(row.tokenKeySetUrl || row.tokenSecret)) {
      const wanted = 'an ADMIN sets tokenIssuer and tokenKeySetUrl or tokenSecret with updateTenantSettings';
      throw unauthenticated(`The tenant that this token is for (aud) takes no people's tokens: ${wanted}.`);
    }
    const expiresAt = await verify(platform, token, claimed, row, now);
    checkNotSuspended(row.suspendedAt);
    const userId = row.userId ?? (await makePerson(platform, subject));
    return {
      role: 'USER',
      tenant: { id: tenantId, pointsPerMinute: row.pointsPerMinute },
      id: userId,
      actor: toGlobalId('User', userId),
      userId,
      pointsPerMinute: platform.personPointsPerMinute,
      expiresAt,
    };
  });
}

/** Signature first, then the claims; when it expires. Throws UNAUTHENTICATED. */
async function verify(platform: TokenPlatform, token: string, claimed: Claimed, row: TokenRow, now: Date) {
  const options: JWTVerifyOptions = {
    issuer: row.tokenIssuer!,
    audience: tokenAudience(claimed.tenantId),
    subject: claimed.subject,
    requiredClaims: ['exp'],
    currentDate: now,
    clockTolerance: CLOCK_TOLERANCE_SECONDS,
  };
  const byKeySet = KEY_SET_ALGORITHMS.includes(claimed.algorithm);
  const { exp } = await (byKeySet ? verifyByKeySet : verifyBySecret)(platform, token, claimed, row, options).catch(
    (error: unknown) => {
      throw error instanceof PalateError ? error : toRefusal(error, claimed, now);
    },
  );
  if (exp === undefined || exp > now.getTime() / 1000 + MAX_LIFETIME_SECONDS + CLOCK_TOLERANCE_SECONDS) {
    const hours = MAX_LIFETIME_SECONDS / 3600;
    throw unauthenticated(`The token is good until ${instant(exp)} (exp); one may be so for ${hours} hours at most.`);
  }
  return new Date(exp * 1000);
}

async function verifyBySecret(
  { secrets }: TokenPlatform,
  token: string,
  { tenantId, algorithm }: Claimed,
  { tokenSecret }: TokenRow,
  options: JWTVerifyOptions,
): Promise<JWTPayload> {
  if (!tokenSecret) {
    throw unauthenticated(`The token is signed with ${algorithm}, and the tenant has no shared secret (tokenSecret).`);
  }
  const secret = secrets.open(tokenSecret, tenantId);
  if (!secret) {
    const message = "The tenant's shared secret can be read no more: an ADMIN must set tokenSecret again.";
    throw unauthenticated(message);
  }
  return (await jwtVerify(token, secret, { ...options, algorithms: [...SECRET_ALGORITHMS] })).payload;
}

async function verifyByKeySet(
  { keySets }: TokenPlatform,
  token: string,
  { tenantId, algorithm, keyId }: Claimed,
  { tokenKeySetUrl }: TokenRow,
  options: JWTVerifyOptions,
): Promise<JWTPayload> {
  if (!tokenKeySetUrl) {
    throw unauthenticated(`The token is signed with ${algorithm}, and the tenant has no key set (tokenKeySetUrl).`);
  }
  const verifyBy = async (find: FindKey) =>
    (await jwtVerify(token, find, { ...options, algorithms: [...KEY_SET_ALGORITHMS] })).payload;
  const known = await keySets.current(tenantId, tokenKeySetUrl);
  try {
    return await verifyBy(known);
  } catch (error) {
    const newer = mayBeRotated(error, keyId) && (await keySets.newer(tenantId, tokenKeySetUrl, known));
    if (!newer) throw error;
    return verifyBy(newer);
  }
}

/** Whether the provider may have a new key that is not in the set yet. */
function mayBeRotated(error: unknown, keyId: string | null): boolean {
  if (error instanceof errors.JWKSNoMatchingKey) return true;
  return keyId === null && error instanceof errors.JWSSignatureVerificationFailed;
}

/** The words for what `jose` has found wrong. Claims are told of to who holds a genuine signature alone. */
function toRefusal(error: unknown, { algorithm, keyId }: Claimed, now: Date): PalateError {
  if (error instanceof errors.JWTExpired) {
    return unauthenticated(`The token expired at ${instant(error.payload.exp)} (exp); get a new one from its issuer.`);
  }
  if (error instanceof errors.JWTClaimValidationFailed) return toClaimRefusal(error, now);
  if (error instanceof errors.JWKSNoMatchingKey) {
    const key = `kid ${quote(keyId ?? undefined)}, ${algorithm}`;
    return unauthenticated(`The tenant's key set has no key for this token (${key}); it was read a moment ago.`);
  }
  if (error instanceof errors.JWKSMultipleMatchingKeys) {
    return unauthenticated("The tenant's key set has several keys for this token: its header must name one (kid).");
  }
  if (error instanceof errors.JWSSignatureVerificationFailed) {
    return unauthenticated('The signature does not fit: the token was altered, or signed with another key.');
  }
  if (error instanceof errors.JWSInvalid || error instanceof errors.JWTInvalid) {
    return unauthenticated(`The token is malformed: ${error.message}.`);
  }
  return unauthenticated(`The key that this token is signed with cannot be used for ${algorithm}.`);
}

function toClaimRefusal({ claim, reason, payload }: errors.JWTClaimValidationFailed, now: Date): PalateError {
  if (reason !== 'check_failed') return unauthenticated(`The token's claim ${claim} is missing or not of its type.`);
  if (claim === 'nbf') {
    return unauthenticated(`The token is not good before ${instant(payload.nbf)} (nbf); it is ${now.toISOString()}.`);
  }
  const message = `The token's issuer (iss) is ${quote(payload.iss)}, which is not the tenant's tokenIssuer.`;
  return unauthenticated(message);
}

/** Seconds since 1970 as an instant; as they are, where there is no such instant. */
function instant(seconds: number | undefined): string {
  const date = new Date((seconds ?? Number.NaN) * 1000);
  return Number.isNaN(date.getTime()) ? String(seconds) : date.toISOString();
}

/** Of several first requests at once, one makes the person, and all find the same. */
async function makePerson(platform: TokenPlatform, externalId: string): Promise<string> {
  const { users } = await upsertUsers(platform, [{ externalId }]);
  // Another request may have made the person while this one waited for its turn to count.
  const user = users[0] ?? (await usersByExternalIds(platform.database, [externalId])).get(externalId);
  if (user) return user.id;
  const limit = 'The tenant has as many users as it may have (Tenant.limits.maxUsers)';
  throw new PalateError('FORBIDDEN', `${limit}, and ${quote(externalId)} is none of them yet: no more are made.`);
}
