/**
 * Who a request is made by: the API key of `Authorization: Bearer …`. What needs a credential is answered within the
 * session that it is good for and nowhere else. The key itself is read here, handed on to nobody and never logged.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { verifyApiKey } from '../domain/apiKeys.ts';
import { type Caller, type Credential, type Role, runAs } from '../domain/credentials.ts';
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

/** Guards every route of this scope: a request without a good credential is refused before its body is read. */
export function requireCredential(routes: FastifyInstance, platform: Platform): void {
  routes.decorateRequest('credential', null);
  routes.addHook('onRequest', async (request, reply) => {
    const credential = await verifyApiKey(platform.database, keyOf(request), platform.now());
    request.credential = credential;
    request.log = reply.log = request.log.child({ tenant: credential.tenant.id, actor: credential.id });
  });
}

/** Guards every route of this scope, after `requireCredential`: FORBIDDEN to other roles. ADMIN may what SERVICE may. */
export function requireService(routes: FastifyInstance): void {
  const admitted: readonly Role[] = ['ADMIN', 'SERVICE'];
  routes.addHook('onRequest', async ({ method, routeOptions, credential }) => {
    if (credential && admitted.includes(credential.role)) return;
    const message = `${method} ${routeOptions.url} is for SERVICE; this credential's role is ${credential?.role}.`;
    throw new PalateError('FORBIDDEN', message);
  });
}

/** The handler of a guarded route, run in the session that the credential is good for. */
export function inSession<T>(handler: (request: FastifyRequest, reply: FastifyReply) => Promise<T>) {
  return (request: FastifyRequest, reply: FastifyReply): Promise<T> =>
    runAs(credentialOf(request), () => handler(request, reply));
}

/** Who asks, on a guarded route. */
export function callerOf(request: FastifyRequest): Caller {
  return { credential: credentialOf(request), address: request.ip, requestId: request.id };
}

function credentialOf({ credential, routeOptions }: FastifyRequest): Credential {
  if (credential) return credential;
  throw new PalateError('INTERNAL_SERVER_ERROR', `${routeOptions.url} is not guarded.`);
}
