/**
 * What an ADMIN says of where people's own tokens come from: checked, and made into what the tenant's row keeps. How a
 * token is verified by it is personTokens.ts's.
 */
import type { Tenant } from '../database/generated/client.ts';
import type { KeySets } from './keySets.ts';
import type { SecretBox } from './secretBox.ts';
import { checkText, ItemError } from './userErrors.ts';

/** The longest issuer or address, in characters: as much as the row holds. */
const MAX_TEXT = 2_000;
/** Bytes of a shared secret: a key of HS256 must not be shorter than its hash (RFC 7518, 3.2). */
const MIN_SECRET = 32;
const MAX_SECRET = 1_024;

/** Left out, each stays as it is; null takes it away. */
export interface TokenSettingsChange {
  /** The `iss` of the tokens, letter by letter. */
  readonly tokenIssuer?: string | null | undefined;
  /** Where the issuer's public keys are. */
  readonly tokenKeySetUrl?: string | null | undefined;
  /** A secret shared with the issuer. */
  readonly tokenSecret?: string | null | undefined;
}

export interface TokenSettingsKeeping {
  readonly keySets: KeySets;
  readonly secrets: SecretBox;
}

/** The columns of the tenant's row that change. Throws an ItemError, INVALID or TOO_LARGE. */
export function toTokenSettings(
  { keySets, secrets }: TokenSettingsKeeping,
  tenantId: string,
  { tokenIssuer, tokenKeySetUrl, tokenSecret }: TokenSettingsChange,
): Partial<Pick<Tenant, 'tokenIssuer' | 'tokenKeySetUrl' | 'tokenSecret'>> {
  checkText('tokenIssuer', tokenIssuer, MAX_TEXT, true);
  checkText('tokenKeySetUrl', tokenKeySetUrl, MAX_TEXT, true);
  const fault = tokenKeySetUrl ? keySets.addressFault(tokenKeySetUrl) : null;
  if (fault !== null) {
    throw new ItemError(['tokenKeySetUrl'], 'INVALID', `tokenKeySetUrl cannot be asked for a key set: ${fault}.`);
  }
  if (typeof tokenSecret === 'string') checkSecret(tokenSecret);
  return {
    ...(tokenIssuer === undefined ? {} : { tokenIssuer }),
    ...(tokenKeySetUrl === undefined ? {} : { tokenKeySetUrl }),
    ...(tokenSecret === undefined
      ? {}
      : { tokenSecret: tokenSecret === null ? null : secrets.seal(tokenSecret, tenantId) }),
  };
}

/** The words say nothing of the secret but its length. */
function checkSecret(secret: string): void {
  const bytes = Buffer.byteLength(secret);
  if (bytes > MAX_SECRET) {
    throw new ItemError(
      ['tokenSecret'],
      'TOO_LARGE',
      `tokenSecret has ${bytes} bytes; at most ${MAX_SECRET} are kept.`,
    );
  }
  if (bytes < MIN_SECRET) {
    const message = `tokenSecret has ${bytes} bytes; it needs at least ${MIN_SECRET}, drawn at random.`;
    throw new ItemError(['tokenSecret'], 'INVALID', message);
  }
  checkText('tokenSecret', secret, MAX_SECRET);
}
