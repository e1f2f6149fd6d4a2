/**
 * What a bucket's server says, or that it says nothing, in words for whoever runs the service: for the log, and for a
 * start that fails. No credential stands in them.
 */
import { PalateError } from '../errors.ts';

/** As much of an error of the client as tells what went wrong: it has no status where nobody answered. */
interface Failure {
  readonly name?: string;
  readonly code?: string;
  readonly message?: string;
  readonly $metadata?: { readonly httpStatusCode?: number; readonly requestId?: string };
}

const KEY_SETTINGS = 'PALATE_S3_ACCESS_KEY_ID and PALATE_S3_SECRET_ACCESS_KEY';
const CHECK_KEY = `Check ${KEY_SETTINGS}.`;
const CHECK_ADDRESS = 'Check PALATE_S3_ENDPOINT, PALATE_S3_REGION and PALATE_S3_PATH_STYLE.';
/** What to do about the failures that servers have names for. */
const ADVICE: Readonly<Record<string, string>> = {
  NoSuchBucket: 'Make the bucket, or set PALATE_S3_BUCKET to another.',
  InvalidAccessKeyId: CHECK_KEY,
  SignatureDoesNotMatch: CHECK_KEY,
  ExpiredToken: CHECK_KEY,
  InvalidToken: CHECK_KEY,
  CredentialsProviderError: `Set ${KEY_SETTINGS}, or run where the environment has credentials.`,
  AccessDenied: 'Let the key list the bucket and read, write and delete what is in it.',
  PermanentRedirect: 'Check PALATE_S3_REGION.',
  AuthorizationHeaderMalformed: 'Check PALATE_S3_REGION.',
};

/** True where the server has answered that there is no such object; of a bucket that is not there it is false. */
export function isMissing(error: unknown): boolean {
  const { name, $metadata } = error as Failure;
  return $metadata?.httpStatusCode === 404 && name !== 'NoSuchBucket';
}

/** One line: what the server was asked for, and what came of it. */
export function describeFailure(operation: string, error: unknown): string {
  const { name, code, message, $metadata } = error as Failure;
  const what = [...new Set([$metadata?.httpStatusCode, name === 'Error' ? code : name, message])];
  const request = $metadata?.requestId ? ` (request ${$metadata.requestId})` : '';
  return `${operation}: ${what.filter(Boolean).join(' ').replaceAll(/\s+/g, ' ')}${request}`;
}

/** The error of a start whose bucket cannot be used as it must be. */
export function unusableBucket(bucket: string, operation: string, cause: unknown): PalateError {
  const { name = '', $metadata } = cause as Failure;
  const advice = ADVICE[name] ?? ($metadata?.httpStatusCode === 403 ? ADVICE['AccessDenied'] : CHECK_ADDRESS);
  const message = `The bucket ${bucket} cannot be used: ${describeFailure(operation, cause)}. ${advice}`;
  return new PalateError('NOT_READY', message.replace('.. ', '. '), { cause });
}
