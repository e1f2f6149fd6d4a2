/**
 * What of an error reaches a client. An error of ours (PalateError) keeps its code and words; one of GraphQL's own keeps
 * Apollo's code; anything else is a fault of the service: masked here, logged in full with the request's id.
 */
import type { ApolloServerPlugin } from '@apollo/server';
import { unwrapResolverError } from '@apollo/server/errors';
import { GraphQLError, type GraphQLFormattedError } from 'graphql';
import { asOverloaded } from '../database/client.ts';
import { PalateError } from '../errors.ts';
import type { Context, Log } from './context.ts';
import { currentRequestId } from './requestId.ts';

const MASKED = 'The service failed to answer this; its log tells why, under the x-request-id of this response.';

/** As Apollo leaves them out of what is wrong with a document; of variables it does not. */
const SUGGESTION = / ?Did you mean .+\?$/;

/** What a resolver threw, in our words where it is one of the database's that are told. */
const causeOf = (error: unknown): unknown => asOverloaded(unwrapResolverError(error));

/** True for an error whose words are meant for the caller. */
function isTold(error: unknown): boolean {
  const cause = causeOf(error);
  if (cause instanceof PalateError) return cause.code !== 'INTERNAL_SERVER_ERROR';
  if (!(cause instanceof GraphQLError)) return false;
  const { code } = cause.extensions;
  if (code === undefined) return isRefusal(cause);
  return code !== 'INTERNAL_SERVER_ERROR';
}

/** Apollo gives some of its refusals a status and no code, such as that of a persisted query whose hash is another's. */
function isRefusal({ extensions }: GraphQLError): boolean {
  const { status } = (extensions['http'] ?? {}) as { status?: number };
  return status !== undefined && status >= 400 && status < 500;
}

/**
 * Apollo's `formatError`: the code and words of an error that is told, one sentence for all others, never a stack; and
 * the id of the request.
 *
 * @param hideSchema leaves out what GraphQL suggests from the schema, such as `Did you mean "role"?`
 */
export function formatError(
  formatted: GraphQLFormattedError,
  error: unknown,
  hideSchema: boolean,
): GraphQLFormattedError {
  const { extensions, message, ...place } = formatted;
  const requestId = currentRequestId();
  const tell = (words: string, told: object): GraphQLFormattedError => ({
    ...place,
    message: words,
    extensions: { ...told, ...(requestId === undefined ? {} : { requestId }) },
  });
  if (!isTold(error)) return tell(MASKED, { code: 'INTERNAL_SERVER_ERROR' });
  const cause = causeOf(error);
  if (cause instanceof PalateError) return tell(cause.message, { code: cause.code });
  const { stacktrace: _, ...told } = extensions ?? {};
  const uncoded = cause instanceof GraphQLError && cause.extensions['code'] === undefined;
  const words = hideSchema ? message.replace(SUGGESTION, '') : message;
  return tell(words, uncoded ? { ...told, code: 'BAD_USER_INPUT' } : told);
}

/** Logs every error that is masked with what it really was. */
export function logMasked(errors: readonly GraphQLError[], log: Log, operationName?: string | null): void {
  for (const error of errors) {
    if (isTold(error)) continue;
    log.error({ err: error.originalError ?? error, path: error.path?.join('.'), operationName }, 'a resolver failed');
  }
}

/** The same for every operation, on the request's own log. */
export const logMaskedErrors: ApolloServerPlugin<Context> = {
  async requestDidStart() {
    return {
      async didEncounterErrors({ errors, contextValue, operationName }) {
        logMasked(errors, contextValue.log, operationName);
      },
    };
  },
};
