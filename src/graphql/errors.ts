/**
 * What of an error reaches a client. An error of ours (PalateError) keeps its code and words; one of GraphQL's own keeps
 * Apollo's code; anything else is a fault of the service: masked here, logged in full with the request's id.
 */
import type { ApolloServerPlugin } from '@apollo/server';
import { unwrapResolverError } from '@apollo/server/errors';
import { GraphQLError, type GraphQLFormattedError } from 'graphql';
import { PalateError } from '../errors.ts';
import type { Context } from './context.ts';

const MASKED = 'The service failed to answer this; its log tells why, under the x-request-id of this response.';

/** True for an error whose words are meant for the caller. */
function isTold(error: unknown): boolean {
  const cause = unwrapResolverError(error);
  if (cause instanceof PalateError) return cause.code !== 'INTERNAL_SERVER_ERROR';
  if (!(cause instanceof GraphQLError)) return false;
  const { code } = cause.extensions;
  return code !== undefined && code !== 'INTERNAL_SERVER_ERROR';
}

/** Apollo's `formatError`: the code and words of an error that is told, one sentence for all others, never a stack. */
export function formatError(formatted: GraphQLFormattedError, error: unknown): GraphQLFormattedError {
  const { message, extensions, ...place } = formatted;
  if (!isTold(error)) return { ...place, message: MASKED, extensions: { code: 'INTERNAL_SERVER_ERROR' } };
  const cause = unwrapResolverError(error);
  if (cause instanceof PalateError) return { ...place, message: cause.message, extensions: { code: cause.code } };
  const { stacktrace: _, ...told } = extensions ?? {};
  return { ...place, message, extensions: told };
}

/** Logs every masked error with what it really was, on the request's own log. */
export const logMaskedErrors: ApolloServerPlugin<Context> = {
  async requestDidStart() {
    return {
      async didEncounterErrors({ errors, contextValue, operationName }) {
        for (const error of errors) {
          if (isTold(error)) continue;
          contextValue.log.error(
            { err: error.originalError ?? error, path: error.path?.join('.'), operationName },
            'a resolver failed',
          );
        }
      },
    };
  },
};
