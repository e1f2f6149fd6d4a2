/**
 * What stored files are called, the same wherever they lie: `<tenant>/<first two digits>/<SHA-256>`. Both parts of a
 * path are ours; anything else would be a bug that reaches outside the store, and is refused here. Knows no store.
 */
import { PalateError } from '../errors.ts';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const SHA256 = /^[0-9a-f]{64}$/;
const DIGITS = /^[0-9a-f]{1,2}$/;

/** Every one or two first digits of a SHA-256: a tenant's files lie in folders of two, so that none holds too many. */
export const firstDigits = (count: 1 | 2): readonly string[] =>
  Array.from({ length: 16 ** count }, (_, i) => i.toString(16).padStart(count, '0'));

export const isTenantId = (name: string): boolean => UUID.test(name);
export const isFileName = (name: string): boolean => SHA256.test(name);

/** Where all files of a tenant lie. */
export const tenantPath = (tenantId: string): string => checked(tenantId, UUID);

/** What the paths of those begin with whose SHA-256 begins with this: with two digits, their folder. */
export const pathOfDigits = (tenantId: string, digits: string): string =>
  `${tenantPath(tenantId)}/${checked(digits, DIGITS)}`;

/** Where one file lies. */
export const filePath = (tenantId: string, sha256: string): string =>
  `${pathOfDigits(tenantId, checked(sha256, SHA256).slice(0, 2))}/${sha256}`;

function checked(part: string, pattern: RegExp): string {
  if (pattern.test(part)) return part;
  throw new PalateError('INTERNAL_SERVER_ERROR', `"${part}" cannot be part of a stored file's path.`);
}
