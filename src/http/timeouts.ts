/**
 * How long a client may take to ask, the service to answer, and a client to take the answer; and what becomes of what is
 * late. Nobody holds a connection or a place by being slow. It knows no route.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Patience } from '../domain/models.ts';
import { PalateError } from '../errors.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** How long its client waits for the answer, from when the handler runs. */
    patience: Patience;
  }
}

export interface Timeouts {
  /** For the headers of a request, from its first byte or the opening of the connection. */
  readonly headersMs: number;
  /** For a whole request, its body included. */
  readonly requestMs: number;
  /** For the work of a request, from the end of its body. */
  readonly workMs: number;
  /** For taking an answer, beside a second for each {@link MIN_BYTES_PER_SECOND} of it. */
  readonly answerMs: number;
  /** For a request that was answered before it was read whole to end. */
  readonly refusedMs: number;
  /** How often connections are looked at: what is late is closed by so much later. */
  readonly checkMs: number;
  /** For the next request on a connection: longer than the 60 seconds of common proxies, which must be first to close. */
  readonly keepAliveMs: number;
}

/** The slowest that a client may read, in bytes a second: 20 MB in some seven minutes. */
const MIN_BYTES_PER_SECOND = 50_000;

/** Those that no operator needs to set. */
export const DEFAULT_TIMEOUTS = {
  headersMs: 10_000,
  answerMs: 30_000,
  refusedMs: 1_000,
  checkMs: 2_000,
  keepAliveMs: 72_000,
} as const;

/** What of it node holds, as options of fastify. */
export function nodeTimeouts({ headersMs, requestMs, checkMs, keepAliveMs }: Timeouts) {
  return {
    requestTimeout: requestMs,
    keepAliveTimeout: keepAliveMs,
    http: { headersTimeout: Math.min(headersMs, requestMs), connectionsCheckingInterval: checkMs },
  };
}

/**
 * Holds the rest of it on every route that is added from here on. A handler that was late must return its answer, not
 * send it: what is returned late is dropped, what is sent late is logged, its address with it.
 */
export function boundTime(server: FastifyInstance, { workMs, answerMs, refusedMs }: Timeouts): void {
  server.decorateRequest('patience');
  server.addHook('onRoute', (route) => {
    const { handler } = route;
    route.handler = function (request, reply) {
      return withinDeadline(workMs, request, reply, async () => handler.call(this, request, reply));
    };
  });

  // By callback: with a promise the answer would be sent a turn later, and a handler that returns its reply would wait
  // for it to be taken, for ever where it stands behind another on a connection that is closed.
  server.addHook('onSend', (_request, { raw }, payload, done) => {
    if (payload instanceof Readable) {
      watchStream(raw, answerMs);
      return done(null, payload);
    }
    const ms = answerMs + (lengthOf(payload) / MIN_BYTES_PER_SECOND) * 1000;
    const impatience = setTimeout(() => raw.destroy(), ms).unref();
    raw.once('close', () => clearTimeout(impatience));
    done(null, payload);
  });

  server.addHook('onResponse', async ({ raw }) => endLate(raw, refusedMs));
}

/**
 * Closes the connection of a request that was answered before its body was read, if it goes on for longer than so many
 * milliseconds: node reads what still comes and forgets it, and a client that does not look at the answer would hold the
 * connection as long as it likes to send.
 */
export function endLate(request: IncomingMessage, refusedMs: number): void {
  if (request.complete || request.socket.destroyed) return;
  setTimeout(() => {
    if (!request.complete) request.socket.destroy();
  }, refusedMs).unref();
}

/** A stream is as long as it is: its client is looked at again and again, and waited for while it reads fast enough. */
function watchStream(raw: ServerResponse, answerMs: number): void {
  const least = (MIN_BYTES_PER_SECOND * answerMs) / 1000;
  let taken = raw.socket?.bytesWritten ?? 0;
  const looking = setInterval(() => {
    const before = taken;
    taken = raw.socket?.bytesWritten ?? 0;
    if (raw.writableNeedDrain && taken - before < least) raw.destroy();
  }, answerMs).unref();
  raw.once('close', () => clearInterval(looking));
}

const lengthOf = (payload: unknown): number =>
  typeof payload === 'string' || Buffer.isBuffer(payload) ? payload.length : 0;

/**
 * The outcome of the work, or OVERLOADED where it takes longer, counted from the end of the request's body. What of it
 * waits for its turn by then, or when the client goes away, is not done any more.
 */
async function withinDeadline<T>(
  ms: number,
  request: FastifyRequest,
  reply: FastifyReply,
  work: () => Promise<T>,
): Promise<T> {
  const { raw } = request;
  const waiting = new AbortController();
  request.patience = { signal: waiting.signal, ...(raw.complete ? { deadline: performance.now() + ms } : {}) };
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) waiting.abort(clientGone());
  });
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const start = () => {
      timer = setTimeout(() => {
        waiting.abort(tooSlow(ms));
        if (!reply.sent) reject(tooSlow(ms));
      }, ms).unref();
    };
    if (raw.complete) start();
    else raw.once('end', start);
  });
  try {
    return await Promise.race([work(), late]);
  } finally {
    clearTimeout(timer);
  }
}

const clientGone = () => new PalateError('OVERLOADED', 'The client went away before this was done.');

function tooSlow(ms: number): PalateError {
  return new PalateError(
    'OVERLOADED',
    `This took longer than ${ms / 1000} seconds and may still be done: ask for less, or again with the same idempotency key.`,
  );
}
