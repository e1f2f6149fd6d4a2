/**
 * The HTTP server: GraphQL, pictures and health on one port, each request with an id and a log of its own. It is the
 * outermost room of the house: what a request means is decided behind it.
 */
import type { ApolloServer } from '@apollo/server';
import { fastifyApolloHandler } from '@as-integrations/fastify';
import cors from '@fastify/cors';
import Fastify, {
  type FastifyBaseLogger,
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
} from 'fastify';
import type { Logger } from 'pino';
import type { Platform } from '../domain/platform.ts';
import { PalateError } from '../errors.ts';
import { type ApiLimits, type ApiOptions, startApolloServer } from '../graphql/apolloServer.ts';
import { type Context, createContext } from '../graphql/context.ts';
import { withRequestId } from '../graphql/requestId.ts';
import { turn } from '../scheduling/eventLoop.ts';
import { callerOf, inSession, requireCredential } from './authentication.ts';
import { answerClientError } from './clientErrors.ts';
import { guardDoor } from './door.ts';
import { answerGraphqlError, answerPlainError } from './errors.ts';
import { addExportRoute } from './exports.ts';
import { addHealthRoutes, readinessChecks } from './health.ts';
import { countRequests, InFlight, shareRequests } from './inFlight.ts';
import { addPictureRoutes } from './pictures.ts';
import { tellPoints } from './points.ts';
import { requestIdOf } from './requestIds.ts';
import { secureAnswers } from './securityHeaders.ts';
import { addSubscriptionRoute, OpenSubscriptions, type SubscriptionOptions } from './subscriptions.ts';
import { boundTime, nodeTimeouts, type Timeouts } from './timeouts.ts';

/** Of a GraphQL request: 500 judgements with comments of 2,000 characters fit. */
const MAX_GRAPHQL_BYTES = 5_000_000;

/** What scripts of other origins may read beside the body. */
const EXPOSED_HEADERS = [
  'x-request-id',
  'retry-after',
  'ratelimit',
  'ratelimit-policy',
  'ratelimit-limit',
  'ratelimit-remaining',
  'ratelimit-reset',
];
/** For how long a browser may remember the answer to a preflight. */
const PREFLIGHT_SECONDS = 600;

/** What a connection has left to end, once nothing is being answered: a health check, a refusal. */
const CLOSE_MS = 500;

export interface ServerOptions {
  readonly limits: ApiLimits;
  readonly api: ApiOptions;
  readonly timeouts: Timeouts;
  /** Requests that are answered at once. */
  readonly maxRequestsInFlight: number;
  readonly subscriptions: SubscriptionOptions;
  /** The origins whose pages may ask; none of them, if empty. */
  readonly corsOrigins: readonly string[];
  /** Whether clients reach the service by https. */
  readonly https: boolean;
  /** What the pictures' disk must have left for the service to be ready. */
  readonly minFreeDiskBytes: number;
  readonly log: Logger;
}

/** Builds the server; the caller listens and, before the process ends, stops it with {@link stopServer}. */
export async function createServer(platform: Platform, options: ServerOptions): Promise<FastifyInstance> {
  const { limits, api, timeouts, log } = options;
  const apollo = await startApolloServer(limits, api);
  const server: FastifyInstance = Fastify({
    ...nodeTimeouts(timeouts),
    loggerInstance: requestLog(log),
    genReqId: ({ headers }) => requestIdOf(headers),
    forceCloseConnections: 'idle',
    return503OnClosing: false, // inFlight says it in our words
    clientErrorHandler: (error, socket) => answerClientError(error, socket, log),
    frameworkErrors: (error, request, reply) => {
      void reply.header('x-request-id', request.id);
      void answerPlainError(error, request, reply);
    },
  });
  const inFlight = new InFlight(options.maxRequestsInFlight);
  guardDoor(server.server, inFlight, platform, timeouts.refusedMs, log);
  secureAnswers(server.server, options.https);

  server.addHook('onRequest', async (request, reply) => {
    void reply.header('x-request-id', request.id);
  });
  if (options.corsOrigins.length > 0) {
    await server.register(cors, {
      origin: [...options.corsOrigins],
      methods: ['GET', 'HEAD', 'POST'],
      credentials: false, // a credential is a header that a page sends itself, never a cookie
      exposedHeaders: EXPOSED_HEADERS,
      maxAge: PREFLIGHT_SECONDS,
    });
  }
  countRequests(server, inFlight);
  boundTime(server, timeouts);
  server.decorate('subscriptions', new OpenSubscriptions(options.subscriptions.most));
  server.addHook('onClose', () => apollo.stop());
  server.setErrorHandler(answerPlainError);
  server.setNotFoundHandler((request, reply) => {
    const message = `There is nothing at ${request.method} ${pathOf(request)}.`;
    return answerPlainError(new PalateError('NOT_FOUND', message), request, reply);
  });

  addHealthRoutes(
    server,
    readinessChecks(platform, options.minFreeDiskBytes),
    platform.networks.base.executionProvider,
  );
  await addPictureRoutes(server, platform);
  await addExportRoute(server, platform);
  await server.register(async (routes) => addGraphqlRoutes(routes, platform, apollo, options));
  return server;
}

function addGraphqlRoutes(
  routes: FastifyInstance,
  platform: Platform,
  apollo: ApolloServer<Context>,
  { api: { hideSchema }, subscriptions }: ServerOptions,
): void {
  routes.setErrorHandler((error, request, reply) =>
    answerGraphqlError((error as Partial<FastifyError>).statusCode === 413 ? tooLarge() : error, request, reply),
  );
  requireCredential(routes, platform);
  tellPoints(routes, platform);
  shareRequests(routes);
  routes.addHook('preHandler', async ({ body }) => {
    if (Array.isArray(body)) throw batched(body);
  });
  const answer = fastifyApolloHandler(apollo, {
    context: async (request) => createContext(platform, callerOf(request), request.log, request.patience),
  });
  routes.route({
    method: ['GET', 'POST'],
    url: '/graphql',
    bodyLimit: MAX_GRAPHQL_BYTES,
    handler: inSession(async (request, reply) => {
      await turn(callerOf(request).credential.tenant.id);
      request.patience.signal?.throwIfAborted();
      return withRequestId(request.id, async () => answer.call(routes, request, reply));
    }),
  });
  addSubscriptionRoute(routes, platform, apollo, { ...subscriptions, hideSchema, bodyLimit: MAX_GRAPHQL_BYTES });
}

function tooLarge(): PalateError {
  return new PalateError(
    'TOO_LARGE',
    `The body is larger than ${MAX_GRAPHQL_BYTES} bytes, the most that /graphql takes.`,
  );
}

/** A list of operations would be counted as one request. */
function batched(operations: readonly unknown[]): PalateError {
  return new PalateError(
    'BAD_USER_INPUT',
    `The body is a list of ${operations.length} operations: send one a request, an object with query and variables.`,
  );
}

/** What is logged of a request: no header, and of its address the path alone. */
function requestLog(log: Logger): FastifyBaseLogger {
  return log.child(
    {},
    {
      serializers: {
        req: (request: FastifyRequest) => ({ method: request.method, path: pathOf(request), address: request.ip }),
        res: (reply: FastifyReply) => ({ status: reply.statusCode }),
      },
      redact: ['*.authorization', '*.*.authorization', '*.secret', '*.signature'],
    },
  );
}

/** The path alone: the query of a signed address is a credential. */
function pathOf({ url }: { url: string }): string {
  return url.split('?', 1)[0]!;
}

/**
 * Refuses new requests, on whatever connection they come, ends the subscriptions and waits for the requests at hand, at
 * most so long; then closes every connection.
 */
export async function stopServer(server: FastifyInstance, seconds: number): Promise<void> {
  server.inFlight.stop();
  let impatience: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    impatience = setTimeout(resolve, seconds * 1000);
  });
  await Promise.race([Promise.all([server.inFlight.idle(), server.subscriptions.stop()]), late]);
  clearTimeout(impatience);
  impatience = setTimeout(() => server.server.closeAllConnections(), CLOSE_MS);
  await server.close();
  clearTimeout(impatience);
}
