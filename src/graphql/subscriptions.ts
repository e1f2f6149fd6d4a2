/**
 * Subscriptions: admitted by the same server and the same plugins as every other operation, then answered once an
 * event, each with a context of its own. An event costs what the operation costs; the first is paid with the opening.
 * It knows no transport: what it yields are results, src/http/subscriptions.ts sends them.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { ApolloServer, ApolloServerPlugin, HTTPGraphQLRequest } from '@apollo/server';
import {
  createSourceEventStream,
  type ExecutionResult,
  execute,
  type FormattedExecutionResult,
  GraphQLError,
  type GraphQLFormattedError,
} from 'graphql';
import { type Balance, PointsError } from '../domain/points.ts';
import { PalateError } from '../errors.ts';
import type { Context, Stream } from './context.ts';
import { formatError, logMasked } from './errors.ts';
import { costOf } from './limits.ts';

/** Where subscriptions are sent to. */
export const STREAM_PATH = '/graphql/stream';

/** Refuses a subscription where nothing streams, and everything else where something does. */
export const checkStream: ApolloServerPlugin<Context> = {
  async requestDidStart() {
    return {
      async didResolveOperation({ operation, contextValue: { stream } }) {
        if (!operation || (operation.operation === 'subscription') === (stream !== null)) return;
        const message = stream
          ? `${STREAM_PATH} answers subscriptions, and this is a ${operation.operation}: send it to /graphql.`
          : `This is a subscription: send it to ${STREAM_PATH}, which answers with a stream of events.`;
        throw new GraphQLError(message, { extensions: { code: 'BAD_USER_INPUT', http: { status: 400 } } });
      },
    };
  },
};

/** Takes what has passed every check, and is paid, for its stream in place of executing it once. */
export const admitSubscription: ApolloServerPlugin<Context> = {
  async requestDidStart() {
    return {
      async responseForOperation({ schema, document, operation, request, response, contextValue }) {
        const { stream } = contextValue;
        if (!stream || !operation) return null;
        const { operationName, variables } = request;
        stream.admitted = { schema, document, operationName, variableValues: variables, cost: costOf(contextValue) };
        return { http: response.http, body: { kind: 'single', singleResult: {} } };
      },
    };
  },
};

/** The stream of a subscription's context. Throws INTERNAL_SERVER_ERROR where `checkStream` let through what has none. */
export function streamOf({ stream }: Pick<Context, 'stream'>): Stream {
  if (stream) return stream;
  throw new PalateError('INTERNAL_SERVER_ERROR', 'A subscription came to be answered where nothing streams.');
}

export interface Subscribing {
  readonly server: ApolloServer<Context>;
  /** The request, as Apollo Server takes it. */
  readonly request: HTTPGraphQLRequest;
  /** Made anew for the opening and for each event. */
  readonly newContext: (stream: Stream | null) => Context;
  readonly signal: AbortSignal;
  /** Whether errors leave out what they would suggest from the schema. */
  readonly hideSchema: boolean;
}

/**
 * Its results: one event after another, asked for one by one; or a single one, with why it was refused. What goes wrong
 * on the way is the last. Each step in the session that the credential is good for.
 */
export async function* subscribe(subscribing: Subscribing): AsyncGenerator<FormattedExecutionResult> {
  const { signal, newContext, hideSchema } = subscribing;
  const stream: Stream = { signal, admitted: null };
  const opened = await open(subscribing, stream);
  if (!stream.admitted) return yield opened;
  const { cost, ...operation } = stream.admitted;
  const context = newContext(stream);
  let extensions = opened.extensions;
  try {
    const source = await createSourceEventStream({ ...operation, contextValue: context });
    if (!(Symbol.asyncIterator in source)) return yield formatResult(source, context, hideSchema);
    for await (const rootValue of source) {
      const contextValue = newContext(null);
      extensions ??= { cost: { points: cost, ...(await pay(contextValue, cost, signal)) } };
      const result = await execute({ ...operation, rootValue, contextValue });
      yield { ...formatResult(result, contextValue, hideSchema), extensions };
      extensions = undefined;
    }
  } catch (error) {
    if (!signal.aborted) yield failed(error, context, hideSchema);
  }
}

/** Has Apollo Server check the operation and charge it; what it answered, which is a refusal where nothing is admitted. */
async function open({ server, request, newContext }: Subscribing, stream: Stream): Promise<FormattedExecutionResult> {
  const { body } = await server.executeHTTPGraphQLRequest({
    httpGraphQLRequest: request,
    context: async () => newContext(stream),
  });
  if (body.kind === 'complete') return JSON.parse(body.string);
  throw new PalateError('INTERNAL_SERVER_ERROR', 'A subscription was answered in parts before it began.');
}

/** Spends the points of one event; where a minute has too few left, of the next. */
async function pay({ platform, caller }: Context, cost: number, signal: AbortSignal): Promise<Balance> {
  for (;;) {
    try {
      return await platform.points.spend(caller.credential, cost);
    } catch (error) {
      if (!(error instanceof PointsError) || error.code !== 'RATE_LIMITED') throw error;
      await delay(error.retryAfterSeconds * 1000, undefined, { signal });
    }
  }
}

/** A result with its errors as they are told; what is masked is logged. */
function formatResult(
  { errors, data }: ExecutionResult,
  { log }: Pick<Context, 'log'>,
  hideSchema: boolean,
): FormattedExecutionResult {
  const told = data === undefined ? {} : { data };
  if (!errors) return told;
  logMasked(errors, log);
  return { errors: errors.map((error) => toldError(error, hideSchema)), ...told };
}

/** What a subscription ends with, where something ends it. */
export function failed(error: unknown, { log }: Pick<Context, 'log'>, hideSchema: boolean): FormattedExecutionResult {
  if (error instanceof GraphQLError) return formatResult({ errors: [error] }, { log }, hideSchema);
  const { message } = error as Error;
  // With a path, as the error of a resolver: what it was is told by formatError's rules.
  const raised = new GraphQLError(message, { originalError: error as Error, path: [] });
  logMasked([raised], log);
  const { path: _, ...told } = toldError(raised, hideSchema);
  return { errors: [told] };
}

/** `INTERNAL_SERVER_ERROR` is what Apollo Server calls an error without a code. */
function toldError(error: GraphQLError, hideSchema: boolean): GraphQLFormattedError {
  return formatError(error.toJSON(), error, hideSchema);
}
