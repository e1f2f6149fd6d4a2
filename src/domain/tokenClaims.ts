/**
 * What a person's token says before any of it is believed: which tenant it is for, whose it says it is, how it says it
 * is signed. What is refused here is refused for its form alone, so that the words tell nothing of any tenant.
 */
import { decodeJwt, decodeProtectedHeader } from 'jose';
import { NO_TENANT } from '../database/client.ts';
import { PalateError } from '../errors.ts';
import { checkText, ItemError, MAX_NAME } from './userErrors.ts';

/** The longest token, in characters. Providers' are of 1 to 3 kB. */
const MAX_TOKEN = 8_192;
/** So much of what a token says is repeated in an error, in characters. */
const MAX_QUOTED = 100;

const TOKEN = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*$/;
const AUDIENCE = /^palate:([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/;

/** Signed with a private key, verified by the provider's key set. */
export const KEY_SET_ALGORITHMS: readonly string[] = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512', 'EdDSA'],
];
/** Signed and verified with the shared secret, never with a key of a set: those are anybody's to know. */
export const SECRET_ALGORITHMS: readonly string[] = ['HS256', 'HS384', 'HS512'];
const ALGORITHMS = [...KEY_SET_ALGORITHMS, ...SECRET_ALGORITHMS];

export interface Claimed {
  readonly tenantId: string;
  /** One of the two lists'. */
  readonly algorithm: string;
  /** Which key it says that it was signed with; null where it names none. */
  readonly keyId: string | null;
  /** The person's externalId. */
  readonly subject: string;
}

/** The audience of tokens of this tenant's people. */
export const tokenAudience = (tenantId: string): string => `palate:${tenantId}`;

/** Reads a token. Throws UNAUTHENTICATED where it is none, or cannot be any tenant's. */
export function readClaims(token: string): Claimed {
  if (token.length > MAX_TOKEN) {
    throw unauthenticated(`This token has ${token.length} characters; at most ${MAX_TOKEN} are read.`);
  }
  const { header, payload } = decode(token);
  const { alg, kid } = header;
  if (typeof alg !== 'string' || !ALGORITHMS.includes(alg)) {
    throw unauthenticated(`The token's algorithm (alg) is ${quote(alg)}; it must be one of ${ALGORITHMS.join(', ')}.`);
  }
  return {
    tenantId: tenantOf(payload.aud),
    algorithm: alg,
    keyId: typeof kid === 'string' ? kid : null,
    subject: subjectOf(payload.sub),
  };
}

function decode(token: string) {
  try {
    if (TOKEN.test(token)) return { header: decodeProtectedHeader(token), payload: decodeJwt(token) };
  } catch {
    // Its parts are no JSON objects: it is told like what has no three parts.
  }
  const message = 'This is no API key (plt_<tenant>_<secret>) and no JWT (header.payload.signature). Copy it whole.';
  throw unauthenticated(message);
}

/** One audience among them must be a tenant's; two would be a token that is good in two places. */
function tenantOf(audience: unknown): string {
  const audiences = Array.isArray(audience) ? audience : [audience];
  const ours = audiences.filter((each) => typeof each === 'string' && each.startsWith('palate:'));
  const tenantId = AUDIENCE.exec(String(ours[0]))?.[1];
  if (ours.length === 1 && tenantId && tenantId !== NO_TENANT) return tenantId;
  const wanted = 'it must name one tenant, as palate:<tenant> (TenantSettings.tokenAudience)';
  throw unauthenticated(`The token's audience (aud) is ${quote(audience)}; ${wanted}.`);
}

function subjectOf(subject: unknown): string {
  if (typeof subject !== 'string') {
    throw unauthenticated(`The token's subject (sub) is ${quote(subject)}; it must be the externalId of a user.`);
  }
  try {
    checkText('sub', subject, MAX_NAME, true);
    return subject;
  } catch (error) {
    if (error instanceof ItemError) throw unauthenticated(`The token names no user: ${error.message}`);
    throw error;
  }
}

export function unauthenticated(message: string): PalateError {
  return new PalateError('UNAUTHENTICATED', message);
}

/** Something that a token says, as an error repeats it. */
export function quote(value: unknown): string {
  const text = JSON.stringify(value) ?? 'missing';
  return text.length <= MAX_QUOTED ? text : `${text.slice(0, MAX_QUOTED)}…`;
}
