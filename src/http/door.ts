/**
 * The door before the server: of a crowd, what would be refused for lack of room is refused here, before a route, a log
 * or anything else is made for it. Refusing must cost next to nothing, or the crowd has the time of those who were let
 * in. It refuses in the words of inFlight.ts, and only what it knows of: requests to /graphql with a key that was verified
 * a moment ago. All others find the same refusal behind it.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Logger } from 'pino';
import { knownTenantOf } from '../domain/apiKeys.ts';
import type { Platform } from '../domain/platform.ts';
import { bearerIn } from './authentication.ts';
import { graphqlError, graphqlTypeFor, RETRY_SECONDS, statusOf } from './errors.ts';
import type { InFlight } from './inFlight.ts';
import { requestIdOf } from './requestIds.ts';
import { endLate } from './timeouts.ts';

/** How often the log says how many were refused. */
const TELL_MS = 1_000;

/**
 * Stands before whatever answers the server's requests by now; headers for all answers must be set before it.
 * @param refusedMs as of {@link endLate}
 */
export function guardDoor(
  server: Server,
  inFlight: InFlight,
  platform: Platform,
  refusedMs: number,
  log: Logger,
): void {
  const behind = server.listeners('request') as ((request: IncomingMessage, response: ServerResponse) => void)[];
  const refusals = new RefusalLog(log);
  server.removeAllListeners('request');
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    const tenantId = tenantOf(request, platform);
    const reason = tenantId !== null ? inFlight.refusal(tenantId) : null;
    if (tenantId === null || reason === null) {
      for (const listener of behind) listener.call(server, request, response);
      return;
    }
    refuse(request, response, reason);
    response.once('finish', () => endLate(request, refusedMs));
    refusals.count(tenantId);
  });
}

/** Null where it is not known without asking, and where more than this must be answered: a page wants headers of its own. */
function tenantOf({ url, headers }: IncomingMessage, platform: Platform): string | null {
  if (url !== '/graphql' || headers.origin !== undefined) return null;
  const bearer = bearerIn(headers.authorization);
  return bearer === null ? null : knownTenantOf(platform, bearer);
}

function refuse({ headers }: IncomingMessage, response: ServerResponse, reason: string): void {
  const requestId = requestIdOf(headers);
  const body = JSON.stringify(graphqlError('OVERLOADED', reason, requestId));
  response
    .writeHead(statusOf('OVERLOADED'), {
      'x-request-id': requestId,
      'retry-after': `${RETRY_SECONDS}`,
      'content-type': graphqlTypeFor(headers.accept),
      'content-length': Buffer.byteLength(body),
    })
    .end(body);
}

/** A line a second for each tenant: there may be very many refusals, and a line for each would cost more than they do. */
class RefusalLog {
  readonly #log: Logger;
  readonly #counts = new Map<string, number>();

  constructor(log: Logger) {
    this.#log = log;
  }

  count(tenantId: string): void {
    if (this.#counts.size === 0) setTimeout(() => this.#tell(), TELL_MS).unref();
    this.#counts.set(tenantId, (this.#counts.get(tenantId) ?? 0) + 1);
  }

  #tell(): void {
    for (const [tenant, requests] of this.#counts) {
      this.#log.warn({ code: 'OVERLOADED', tenant, requests }, 'requests were refused: too many in flight');
    }
    this.#counts.clear();
  }
}
