/**
 * Our schema and resolvers behind other GraphQL servers on fastify, each with no more than it needs to answer: the same
 * credentials, the same context in the same session, and none of what src/http and src/graphql add, such as limits,
 * points and deadlines.
 */
import { ApolloServer } from '@apollo/server';
import { ApolloServerPluginCacheControlDisabled } from '@apollo/server/plugin/disabled';
import { fastifyApolloHandler } from '@as-integrations/fastify';
import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify';
import type { GraphQLSchema } from 'graphql';
import mercurius from 'mercurius';
import type { Platform } from '../../src/domain/platform.ts';
import { type Context, createContext } from '../../src/graphql/context.ts';
import { buildSchema } from '../../src/graphql/schema.ts';
import { callerOf, inSession, requireCredential } from '../../src/http/authentication.ts';

/** By a name that TypeScript does not follow: yoga's types bring a browser's, which contradict Node's in other files. */
const YOGA: string = 'graphql-yoga';
/** As much of it as is used here. */
interface YogaModule {
  createYoga(options: {
    schema: GraphQLSchema;
    context: (given: { asked: FastifyRequest }) => Context;
    graphiql: boolean;
    landingPage: boolean;
    logging: boolean;
  }): {
    handleNodeRequestAndResponse(request: object, reply: object, given: { asked: FastifyRequest }): Promise<Response>;
  };
}

/** Adds `/graphql` to a server that asks for credentials. */
type Mount = (server: FastifyInstance, context: (request: FastifyRequest) => Context) => Promise<unknown>;

const MOUNTS: Readonly<Record<string, Mount>> = {
  'Apollo alone': async (server, context) => {
    const apollo = new ApolloServer<Context>({
      schema: buildSchema(),
      stopOnTerminationSignals: false,
      plugins: [ApolloServerPluginCacheControlDisabled()],
    });
    await apollo.start();
    const answer = fastifyApolloHandler(apollo, { context: async (request) => context(request) });
    server.addHook('onClose', () => apollo.stop());
    server.post('/graphql', (request, reply) => answer.call(server, request, reply));
  },
  yoga: async (server, context) => {
    const { createYoga } = (await import(YOGA)) as YogaModule;
    const yoga = createYoga({
      schema: buildSchema(),
      context: ({ asked }) => context(asked),
      ...{ graphiql: false, landingPage: false, logging: false },
    });
    server.post('/graphql', async (asked, reply) => {
      const { status, headers, body } = await yoga.handleNodeRequestAndResponse(asked, reply, { asked });
      return reply.status(status).headers(Object.fromEntries(headers)).send(body);
    });
  },
  mercurius: (server, context) => withMercurius(server, context, 0),
  'mercurius, compiled': (server, context) => withMercurius(server, context, 1),
};

/** @param jit after how many requests a query is compiled by graphql-jit; 0 for never */
async function withMercurius(
  server: FastifyInstance,
  context: (request: FastifyRequest) => Context,
  jit: number,
): Promise<void> {
  await server.register(mercurius, { schema: buildSchema(), context, jit });
}

export interface OtherServer {
  readonly name: string;
  readonly url: string;
  stop(): Promise<void>;
}

/** Starts all of them over one platform, each on a port of its own. */
export function startOtherServers(platform: Platform): Promise<OtherServer[]> {
  return Promise.all(
    Object.entries(MOUNTS).map(async ([name, mount]) => {
      const server = Fastify();
      requireCredential(server, platform);
      server.addHook('onRoute', (route) => {
        const { handler } = route;
        route.handler = inSession(async (request, reply) => handler.call(server, request, reply));
      });
      await mount(server, (request) => createContext(platform, callerOf(request), request.log, {}));
      const url = await server.listen({ host: '127.0.0.1', port: 0 });
      return { name, url, stop: () => server.close() };
    }),
  );
}
