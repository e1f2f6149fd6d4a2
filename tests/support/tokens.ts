/** People's tokens as an identity provider makes them, and what a platform verifies them with. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type JWTPayload, SignJWT } from 'jose';
import type { Database } from '../../src/database/client.ts';
import { type KeySetLog, type KeySetOptions, KeySets } from '../../src/domain/keySets.ts';
import type { PlatformParts } from '../../src/domain/platform.ts';
import { SecretBox } from '../../src/domain/secretBox.ts';
import { newTenant } from './database.ts';

const read = (file: string) => readFileSync(new URL(`./tls/${file}`, import.meta.url), 'utf8');
/** Of localhost, 127.0.0.1 and provider.test, for tests alone: anybody may know the key. */
export const TEST_TLS = { key: read('key.pem'), cert: read('cert.pem') };

/** A provider that shares a secret with the tenant. */
export interface TokenIssuer {
  readonly issuer: string;
  readonly audience: string;
  readonly secret: string;
}

export function newIssuer(tenantId: string): TokenIssuer {
  const issuer = `https://provider.test/${tenantId}`;
  return { issuer, audience: `palate:${tenantId}`, secret: randomBytes(48).toString('base64url') };
}

type Claims = Readonly<Record<string, unknown>>;

/** The claims of a token for an hour; of those given, undefined ones are left out. */
export function claimsOf({ issuer, audience }: TokenIssuer, claims: Claims, now: Date): JWTPayload {
  const seconds = now.getTime() / 1000;
  return { iss: issuer, aud: audience, iat: seconds, exp: seconds + 3600, ...claims };
}

export function signWithSecret(issuer: TokenIssuer, claims: Claims, now: Date): Promise<string> {
  return new SignJWT(claimsOf(issuer, claims, now))
    .setProtectedHeader({ alg: 'HS256' })
    .sign(new TextEncoder().encode(issuer.secret));
}

/** A tenant that takes tokens, by a key set or a shared secret or both, and who issues them. */
export async function tokenTenant(
  database: Database,
  { keySetUrl, secrets }: { keySetUrl: string | null; secrets: SecretBox | null },
) {
  const tenant = await newTenant(database);
  const issuer = newIssuer(tenant.id);
  const tokenSecret = secrets?.seal(issuer.secret, tenant.id) ?? null;
  await tenant.run(() =>
    database.tenant.update({
      where: { id: tenant.id },
      data: { tokenIssuer: issuer.issuer, tokenKeySetUrl: keySetUrl, tokenSecret },
    }),
  );
  return { tenant, issuer };
}

const NO_LOG: KeySetLog = { warn: () => {} };

/** The parts of a platform that verify tokens; key sets are fetched from loopback. */
export function tokenParts(
  now: () => Date,
  log = NO_LOG,
  options: Partial<KeySetOptions> = {},
): Pick<PlatformParts, 'secrets' | 'keySets' | 'personPointsPerMinute'> {
  return {
    secrets: new SecretBox('a key for tests, of 32 characters'),
    keySets: new KeySets({ internalHosts: ['127.0.0.1'], ca: TEST_TLS.cert, now, log, ...options }),
    personPointsPerMinute: 30_000,
  };
}
