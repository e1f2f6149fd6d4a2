/**
 * Apollo Server over the schema, with the limits of limits.ts and the errors of errors.ts. It knows no HTTP route;
 * src/http/server.ts mounts it.
 */
import { ApolloServer, type ApolloServerPlugin } from '@apollo/server';
import {
  ApolloServerPluginCacheControlDisabled,
  ApolloServerPluginLandingPageDisabled,
} from '@apollo/server/plugin/disabled';
import { checkAccess } from './allow.ts';
import type { Context } from './context.ts';
import { formatError, logMaskedErrors } from './errors.ts';
import { costLimit } from './limits.ts';
import { buildSchema } from './schema.ts';

export interface ApiLimits {
  /** Points an operation may cost. */
  maxQueryCost: number;
  /** Lexical tokens a document may have. */
  maxQueryTokens: number;
}

/**
 * GraphQL over HTTP asks for 200 to a client that accepts application/json only, even where the document is at fault
 * (Apollo answers 400). Faults of the request itself, such as a missing query, stay 400.
 */
const wellFormedIsOk: ApolloServerPlugin<Context> = {
  async requestDidStart() {
    return {
      async willSendResponse({ request, response, errors }) {
        const accept = request.http?.headers.get('accept') ?? '';
        const code = String(errors?.[0]?.extensions['code']);
        const documentAtFault = ['GRAPHQL_PARSE_FAILED', 'GRAPHQL_VALIDATION_FAILED', 'BAD_USER_INPUT'].includes(code);
        if (documentAtFault && !accept.includes('application/graphql-response+json')) response.http.status = 200;
      },
    };
  },
};

/** Builds and starts the server. The caller stops it. */
export async function startApolloServer(limits: ApiLimits): Promise<ApolloServer<Context>> {
  const server = new ApolloServer<Context>({
    schema: buildSchema(),
    formatError,
    introspection: true, // the schema is public; what it guards are the rows
    includeStacktraceInErrorResponses: false,
    maxRecursiveSelections: true,
    parseOptions: { maxTokens: limits.maxQueryTokens },
    persistedQueries: false,
    stopOnTerminationSignals: false, // the process's shutdown is main's
    plugins: [
      ApolloServerPluginCacheControlDisabled(),
      ApolloServerPluginLandingPageDisabled(),
      checkAccess, // before what it would cost is told
      costLimit(limits.maxQueryCost),
      logMaskedErrors,
      wellFormedIsOk,
    ],
  });
  await server.start();
  return server;
}
