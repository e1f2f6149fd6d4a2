/**
 * `POST /graphql/stream`: subscriptions as server-sent events, by the protocol of graphql-sse (distinct connections). A
 * stream lives no longer than its credential, its client and the server, and a client that reads slowly is sent what is
 * newest when it has read what was sent. What is sent is src/graphql/subscriptions.ts's.
 */
import { Readable } from 'node:stream';
import { type ApolloServer, HeaderMap, type HTTPGraphQLRequest } from '@apollo/server';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { FormattedExecutionResult } from 'graphql';
import { print, type StreamData } from 'graphql-sse';
import { type Credential, runAs } from '../domain/credentials.ts';
import type { Platform } from '../domain/platform.ts';
import { PalateError } from '../errors.ts';
import { type Context, createContext } from '../graphql/context.ts';
import { withRequestId } from '../graphql/requestId.ts';
import { failed, STREAM_PATH, subscribe } from '../graphql/subscriptions.ts';
import { callerOf, verifyAgain } from './authentication.ts';

declare module 'fastify' {
  interface FastifyInstance {
    /** The subscriptions that this server answers. */
    subscriptions: OpenSubscriptions;
  }
}

export interface SubscriptionOptions {
  /** Open at once; one tenant may hold half of them. */
  readonly most: number;
  /** How often the credential of an open one is verified, beside before each event. */
  readonly verifyMs: number;
  /** How often a comment is sent, so that nobody on the way takes the connection for dead. */
  readonly keepAliveMs: number;
}

/** Those that no operator needs to set. */
export const DEFAULT_SUBSCRIPTIONS = { verifyMs: 2_000, keepAliveMs: 12_000 } as const;

/** The count of open subscriptions, of all and of each tenant; every one that is taken is given back. */
export class OpenSubscriptions {
  readonly #most: number;
  readonly #byTenant = new Map<string, Set<Ending>>();

  /** @param most at once; one tenant may hold half of them. */
  constructor(most: number) {
    this.#most = most;
  }

  get count(): number {
    return [...this.#byTenant.values()].reduce((sum, { size }) => sum + size, 0);
  }

  /** Takes one in until it ends. Throws OVERLOADED where all are taken, or half of them by the tenant. */
  take(tenantId: string, ending: Ending): void {
    const { count } = this;
    if (count >= this.#most) {
      const message = `The service has ${count} subscriptions open, the most it holds at once: send this again in a second.`;
      throw new PalateError('OVERLOADED', message);
    }
    const ofTenant = this.#byTenant.get(tenantId) ?? new Set();
    if (ofTenant.size >= Math.max(1, Math.floor(this.#most / 2))) {
      const message = `This tenant has ${ofTenant.size} subscriptions open, half of what the service holds at once: close one, or send this again in a second.`;
      throw new PalateError('OVERLOADED', message);
    }
    this.#byTenant.set(tenantId, ofTenant.add(ending));
    ending.whenEnded(() => {
      ofTenant.delete(ending);
      if (ofTenant.size === 0) this.#byTenant.delete(tenantId);
    });
  }

  /** Ends all that are open; resolves when each has been told. */
  async stop(): Promise<void> {
    const endings = [...this.#byTenant.values()].flatMap((ofTenant) => [...ofTenant]);
    const stopping = new PalateError('NOT_READY', 'The service is stopping: subscribe again.');
    await Promise.all(endings.map((ending) => ending.because(stopping)));
  }
}

/** The end of one subscription: because of an error, which its client is told, or because its client is gone. */
class Ending {
  readonly #controller = new AbortController();
  readonly #reply: FastifyReply;
  #error: unknown = null;

  constructor({ raw: { socket } }: FastifyRequest, reply: FastifyReply) {
    this.#reply = reply;
    const gone = () => this.#controller.abort();
    reply.raw.once('close', gone);
    socket.once('close', gone); // the answer may stand behind others on its connection, and is not told then
    this.whenEnded(() => socket.off('close', gone));
    if (reply.raw.closed || socket.destroyed) gone(); // before anybody listened
  }

  /** Aborted when there is nothing more to answer, or nobody. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** What the client is to be told of it; null for nothing. */
  get error(): unknown {
    return this.#error;
  }

  /** Ends it; resolves when the answer has been taken, or nobody takes it any more. */
  async because(error: unknown): Promise<void> {
    if (this.signal.aborted) return;
    this.#error = error;
    this.#controller.abort();
    const { raw } = this.#reply;
    if (!raw.closed) await new Promise<void>((resolve) => raw.once('close', resolve));
  }

  /** Has something done when it ends; at once, if it has. */
  whenEnded(work: () => void): void {
    if (this.signal.aborted) work();
    else this.signal.addEventListener('abort', work, { once: true });
  }
}

/** Adds the route to the scope of /graphql, whose guards hold for it too. */
export function addSubscriptionRoute(
  routes: FastifyInstance,
  platform: Platform,
  apollo: ApolloServer<Context>,
  options: SubscriptionOptions & { readonly hideSchema: boolean; readonly bodyLimit: number },
): void {
  routes.post(STREAM_PATH, { bodyLimit: options.bodyLimit }, async (request, reply) => {
    const ending = new Ending(request, reply);
    routes.subscriptions.take(callerOf(request).credential.tenant.id, ending);
    const subscription = new Subscription(request, platform, ending, apollo, options);
    const first = await subscription.next();
    request.place?.answered(); // it is open: from here on it counts as a subscription, no more as a request
    void reply.headers({ 'content-type': 'text/event-stream; charset=utf-8', 'x-accel-buffering': 'no' });
    return Readable.from(subscription.messages(first, options));
  });
}

type Next = IteratorResult<FormattedExecutionResult, void>;

/** One subscription of one request. */
class Subscription {
  readonly #request: FastifyRequest;
  readonly #platform: Platform;
  readonly #ending: Ending;
  readonly #results: AsyncGenerator<FormattedExecutionResult>;
  readonly #hideSchema: boolean;
  #credential: Credential;

  constructor(
    request: FastifyRequest,
    platform: Platform,
    ending: Ending,
    server: ApolloServer<Context>,
    { hideSchema }: { readonly hideSchema: boolean },
  ) {
    this.#request = request;
    this.#platform = platform;
    this.#ending = ending;
    this.#hideSchema = hideSchema;
    this.#credential = callerOf(request).credential;
    this.#results = subscribe({
      ...{ server, hideSchema, signal: ending.signal, request: toApollo(request) },
      newContext: (stream) =>
        createContext(platform, { ...callerOf(request), credential: this.#credential }, request.log, ending, stream),
    });
    ending.whenEnded(() => void this.#results.return(undefined));
  }

  /** The next result, made in the session that the credential is good for. */
  next(): Promise<Next> {
    const work = async () => this.#results.next();
    return runAs(this.#credential, () => withRequestId(this.#request.id, work));
  }

  /** What is sent, made as it is asked for: who reads slowly has the next event made late, and so of what is newest. */
  async *messages(first: Next, { verifyMs, keepAliveMs }: SubscriptionOptions): AsyncGenerator<string> {
    const verifying = setInterval(() => void this.#verify(), verifyMs).unref();
    this.#ending.whenEnded(() => clearInterval(verifying));
    let next: Promise<Next> = Promise.resolve(first);
    for (;;) {
      const come = await this.#orSilence(next, keepAliveMs);
      if (come === null) {
        yield ':\n\n';
        continue;
      }
      if (!this.#ending.signal.aborted) await this.#verify();
      if (this.#ending.signal.aborted || come.done) break;
      yield toEvent(come.value);
      next = this.next();
    }
    const { error } = this.#ending;
    if (error !== null) yield toEvent(this.#tell(error));
    yield COMPLETE;
  }

  /** What comes, or null where nothing does for so long. */
  async #orSilence(next: Promise<Next>, ms: number): Promise<Next | null> {
    let timer: NodeJS.Timeout | undefined;
    const silence = new Promise<null>((resolve) => {
      timer = setTimeout(resolve, ms, null).unref();
    });
    return Promise.race([next, silence]).finally(() => clearTimeout(timer));
  }

  /** Ends the subscription where its credential is no good any more. */
  async #verify(): Promise<void> {
    try {
      this.#credential = await verifyAgain(this.#platform, this.#request);
    } catch (error) {
      void this.#ending.because(error);
    }
  }

  #tell(error: unknown): FormattedExecutionResult {
    return withRequestId(this.#request.id, () => failed(error, this.#request, this.#hideSchema));
  }
}

/** graphql-sse's types know an error as graphql-js makes it, not as it is told. */
const toEvent = (result: FormattedExecutionResult): string =>
  print<false, 'next'>({ event: 'next', data: result as StreamData<'next'> });
const COMPLETE = print<false, 'complete'>({ event: 'complete', data: null });

/** The request as Apollo Server reads it at /graphql: what is no right body is refused in the same words. */
function toApollo({ headers: sent, body }: FastifyRequest): HTTPGraphQLRequest {
  const headers = new HeaderMap();
  for (const [name, value] of Object.entries(sent)) if (value) headers.set(name, String(value));
  headers.set('accept', 'application/json'); // of the one answer that a refusal is
  return { method: 'POST', headers, search: '', body };
}
