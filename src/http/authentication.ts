/**
 * Who a request is made by: the API key of `Authorization: Bearer …`. What needs a credential is answered within its
 * tenant's session and nowhere else. The key itself is read here, handed on to nobody and never logged.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { withTenant } from '../database/client.ts';
import { type Credential, verifyApiKey } from '../domain/apiKeys.ts';
import type { Platform } from '../domain/platform.ts';
import { PalateError } from '../errors.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Who asks; only on routes that `requireCredential` guards. */
    credential: Credential | null;
  }
}

/**
 * The API key of a request. Throws UNAUTHENTICATED, with what to send, where there is none.
 */
function keyOf({ headers: { authorization } }: FastifyRequest): string {
  if (authorization === undefined) {
    throw new PalateError('UNAUTHENTICATED', 'This needs an API key: send the header "Authorization: Bearer plt_…".');
  }
  const [scheme, key, ...rest] = authorization.split(' ');
  if (scheme?.toLowerCase() !== 'bearer' || !key || rest.length > 0) {
    throw new PalateError('UNAUTHENTICATED', 'The Authorization header must read "Bearer plt_…", one space between.');
  }
  return key;
}

/** Guards every route of this scope: a request without a good key is refused before its body is read. */
export function requireCredential(routes: FastifyInstance, platform: Platform): void {
  routes.decorateRequest('credential', null);
  routes.addHook('onRequest', async (request) => {
    request.credential = await verifyApiKey(platform.database, keyOf(request), platform.now());
  });
}

/** The handler of a guarded route, run in the session of the credential's tenant. */
export function inSession<T>(
  handler: (request: FastifyRequest, reply: FastifyReply, credential: Credential) => Promise<T>,
) {
  return (request: FastifyRequest, reply: FastifyReply): Promise<T> => {
    const { credential } = request;
    if (!credential) throw new PalateError('INTERNAL_SERVER_ERROR', `${request.routeOptions.url} is not guarded.`);
    return withTenant(credential.tenantId, () => handler(request, reply, credential));
  };
}
