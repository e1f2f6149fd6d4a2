/**
 * Apollo Server over the schema, with the limits of limits.ts and the errors of errors.ts. It knows no HTTP route;
 * src/http/server.ts mounts it.
 */
import { ApolloServer, type ApolloServerPlugin } from '@apollo/server';
import {
  ApolloServerPluginCacheControlDisabled,
  ApolloServerPluginLandingPageDisabled,
} from '@apollo/server/plugin/disabled';
import { PalateError } from '../errors.ts';
import { checkAccess } from './allow.ts';
import type { Context } from './context.ts';
import { documentsByHash, onlyTrusted, parsedDocuments, readTrustedDocuments } from './documents.ts';
import { formatError, logMaskedErrors } from './errors.ts';
import { inTurn } from './inTurn.ts';
import { costLimit } from './limits.ts';
import { chargePoints } from './points.ts';
import { buildSchema } from './schema.ts';
import { admitSubscription, checkStream } from './subscriptions.ts';

export interface ApiLimits {
  /** Points an operation may cost. */
  maxQueryCost: number;
  /** Lexical tokens a document may have. */
  maxQueryTokens: number;
  /** Fields within fields of an operation. */
  maxQueryDepth: number;
  /** Aliases of an operation. */
  maxQueryAliases: number;
}

export interface ApiOptions {
  /** Whether the schema may be asked for. */
  introspection: boolean;
  /** Whether errors leave out what they would suggest from the schema. */
  hideSchema: boolean;
  /** The path of a manifest of trusted documents. */
  trustedDocuments: string | null;
  /** Whether every other document is refused. */
  onlyTrustedDocuments: boolean;
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

/**
 * Builds and starts the server. The caller stops it. Throws BAD_USER_INPUT where the trusted documents are not what
 * they should be.
 */
export async function startApolloServer(limits: ApiLimits, options: ApiOptions): Promise<ApolloServer<Context>> {
  const schema = buildSchema();
  const trusted = options.trustedDocuments ? await readTrustedDocuments(options.trustedDocuments, schema) : null;
  if (options.onlyTrustedDocuments && !trusted) {
    throw new PalateError(
      'BAD_USER_INPUT',
      'PALATE_ONLY_TRUSTED_DOCUMENTS: "on" refuses every document there is: set PALATE_TRUSTED_DOCUMENTS too.',
    );
  }
  const server = new ApolloServer<Context>({
    schema,
    formatError: (formatted, error) => formatError(formatted, error, options.hideSchema),
    introspection: options.introspection,
    hideSchemaDetailsFromClientErrors: options.hideSchema,
    includeStacktraceInErrorResponses: false,
    maxRecursiveSelections: true,
    parseOptions: { maxTokens: limits.maxQueryTokens },
    persistedQueries: { cache: documentsByHash(trusted) },
    documentStore: parsedDocuments(),
    stopOnTerminationSignals: false, // the process's shutdown is main's
    plugins: [
      ApolloServerPluginCacheControlDisabled(),
      ApolloServerPluginLandingPageDisabled(),
      // What an operation may be, then access, then where it may be asked, then what it would cost; all before anything
      // is charged.
      inTurn(
        ...(trusted && options.onlyTrustedDocuments ? [onlyTrusted(trusted)] : []),
        checkAccess,
        checkStream,
        costLimit(limits.maxQueryCost, { maxDepth: limits.maxQueryDepth, maxAliases: limits.maxQueryAliases }),
        chargePoints,
      ),
      admitSubscription,
      logMaskedErrors,
      wellFormedIsOk,
    ],
  });
  await server.start();
  return server;
}
