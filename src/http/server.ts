/**
 * The HTTP server: GraphQL, pictures and health on one port, each request with an id and a log of its own. It is the
 * outermost room of the house: what a request means is decided behind it.
 */
import { randomUUID } from 'node:crypto';
import type { ApolloServer } from '@apollo/server';
import { fastifyApolloHandler } from '@as-integrations/fastify';
import Fastify, { type FastifyBaseLogger, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { ping } from '../database/client.ts';
import type { Platform } from '../domain/platform.ts';
import { type ApiLimits, startApolloServer } from '../graphql/apolloServer.ts';
import { type Context, createContext } from '../graphql/context.ts';
import { callerOf, inSession, requireCredential } from './authentication.ts';
import { answerGraphqlError, answerPlainError } from './errors.ts';
import { addHealthRoutes } from './health.ts';
import { addPictureRoutes } from './pictures.ts';

/** Of a GraphQL request: 500 judgements with comments of 2,000 characters fit. */
const MAX_GRAPHQL_BYTES = 5_000_000;
/** A client's own request id is taken over if it is such a word; log lines must not be anybody's to write. */
const REQUEST_ID = /^[A-Za-z0-9._-]{1,64}$/;

export interface ServerOptions {
  readonly limits: ApiLimits;
  readonly log: Logger;
}

/** Builds the server; the caller listens and, before the process ends, stops it with {@link stopServer}. */
export async function createServer(platform: Platform, { limits, log }: ServerOptions): Promise<FastifyInstance> {
  const apollo = await startApolloServer(limits);
  const server: FastifyInstance = Fastify({
    loggerInstance: requestLog(log),
    genReqId: ({ headers }) => {
      const given = headers['x-request-id'];
      return typeof given === 'string' && REQUEST_ID.test(given) ? given : randomUUID();
    },
    forceCloseConnections: 'idle',
  });

  server.addHook('onRequest', async (request, reply) => {
    void reply.headers({ 'x-request-id': request.id, 'x-content-type-options': 'nosniff' });
  });
  server.addHook('onClose', () => apollo.stop());
  server.setErrorHandler(answerPlainError);
  server.setNotFoundHandler((request, reply) =>
    reply
      .code(404)
      .send({ error: { code: 'NOT_FOUND', message: `There is nothing at ${request.method} ${pathOf(request)}.` } }),
  );

  addHealthRoutes(server, () => ping(platform.database));
  await addPictureRoutes(server, platform);
  await server.register(async (routes) => addGraphqlRoute(routes, platform, apollo));
  return server;
}

function addGraphqlRoute(routes: FastifyInstance, platform: Platform, apollo: ApolloServer<Context>): void {
  routes.setErrorHandler(answerGraphqlError);
  requireCredential(routes, platform);
  const answer = fastifyApolloHandler(apollo, {
    context: async (request) => createContext(platform, callerOf(request), request.log),
  });
  routes.route({
    method: ['GET', 'POST'],
    url: '/graphql',
    bodyLimit: MAX_GRAPHQL_BYTES,
    handler: inSession(async (request, reply) => answer.call(routes, request, reply)),
  });
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

/** Stops taking requests, waits for those at hand, at most so long, and closes what is left. */
export async function stopServer(server: FastifyInstance, seconds: number): Promise<void> {
  const impatience = setTimeout(() => server.server.closeAllConnections(), seconds * 1000);
  await server.close();
  clearTimeout(impatience);
}
