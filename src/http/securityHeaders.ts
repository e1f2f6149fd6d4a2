/**
 * The headers that every answer carries, whichever part of the server makes it: routes, fastify for itself, refusals.
 * A route that needs another value sets it over these.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';

/** A year, as HSTS preloading asks for. */
const HSTS = 'max-age=31536000; includeSubDomains';

const HEADERS: readonly (readonly [string, string])[] = [
  ['content-security-policy', "default-src 'none'; frame-ancestors 'none'"], // nothing here is a page
  ['x-content-type-options', 'nosniff'],
  ['x-frame-options', 'DENY'],
  ['referrer-policy', 'no-referrer'],
  ['cross-origin-opener-policy', 'same-origin'],
  ['cross-origin-resource-policy', 'same-origin'],
  ['cache-control', 'no-store'],
];

/** Sets them before anything else hears of a request. @param https whether clients reach the service by https */
export function secureAnswers(server: Server, https: boolean): void {
  const headers = https ? [...HEADERS, ['strict-transport-security', HSTS] as const] : HEADERS;
  server.prependListener('request', (_request: IncomingMessage, response: ServerResponse) => {
    for (const [name, value] of headers) response.setHeader(name, value);
  });
}

/** The same as lines of an answer that is written to the socket itself. */
export function securityHeaderLines(): string {
  return HEADERS.map(([name, value]) => `${name}: ${value}\r\n`).join('');
}
