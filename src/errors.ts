/**
 * The one error class of the house. A message says what was wrong, with the value, and what to do about it;
 * the code says what a program should make of it. Codes are those of the public API (docs/errors.md).
 */

/** Codes of a request that fails as a whole. */
export type RequestErrorCode =
  | 'UNAUTHENTICATED'
  | 'FORBIDDEN'
  | 'NOT_FOUND'
  | 'BAD_USER_INPUT'
  | 'QUERY_TOO_COSTLY'
  | 'RATE_LIMITED'
  | 'NOT_READY'
  | 'OVERLOADED'
  | 'INTERNAL_SERVER_ERROR';

/** Codes of one item among many that is wrong by itself: `UserErrorCode` of the API. */
export type ItemErrorCode =
  | 'NOT_FOUND'
  | 'INVALID'
  | 'TOO_LARGE'
  | 'CONFLICT'
  | 'IN_PROGRESS'
  | 'LIMIT_REACHED'
  | 'NOT_READY';

export type ErrorCode = RequestErrorCode | ItemErrorCode | 'UNSUPPORTED_MEDIA_TYPE';

export class PalateError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'PalateError';
    this.code = code;
  }
}
