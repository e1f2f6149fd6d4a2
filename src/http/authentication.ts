/**
 * Who a request is made by: the API key, or the person's token, of `Authorization: Bearer …`. What needs a credential
 * is answered within the session that it is good for and nowhere else. What was sent is read here and never logged.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { looksLikeApiKey, verifyApiKey } from '../domain/apiKeys.ts';
import { type Caller, type Credential, type Role, runAs } from '../domain/credentials.ts';
import { verifyPersonToken } from '../domain/personTokens.ts';
import type { Platform } from '../domain/platform.ts';
import { PalateError } from '../errors.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Who asks; only on routes that `requireCredential` guards. */
    credential: Credential | null;
  }
}

/**
 * The API key or the token of a request. Throws UNAUTHENTICATED, with what to send, where there is none.
 */
function bearerOf({ headers: { authorization } }: FastifyRequest): string {
  if (authorization === undefined) {
    const message = `This needs a credential: send the header "Authorization: Bearer …" with an API key or a person's token.`;
    throw new PalateError('UNAUTHENTICATED', message);
  }
  const bearer = bearerIn(authorization);
  if (bearer !== null) return bearer;
  const message = `The Authorization header must read "Bearer", one space, and an API key or a person's token.`;
  throw new PalateError('UNAUTHENTICATED', message);
}

/** What an Authorization header holds; null where it has another form, or is not there. */
export function bearerIn(authorization: string | undefined): string | null {
  const [scheme, bearer, ...rest] = authorization?.split(' ') ?? [];
  return scheme?.toLowerCase() === 'bearer' && bearer && rest.length === 0 ? bearer : null;
}

/** Whose it is. Throws UNAUTHENTICATED for what is no good credential, FORBIDDEN for one of a suspended tenant. */
function verify(platform: Platform, bearer: string): Promise<Credential> {
  if (looksLikeApiKey(bearer)) return verifyApiKey(platform, bearer);
  return verifyPersonToken(platform, bearer, platform.now());
}

/** Who a request is made by, as things are now. Throws as a new request would be refused. */
export function verifyAgain(platform: Platform, request: FastifyRequest): Promise<Credential> {
  return verify(platform, bearerOf(request));
}

/** Guards every route of this scope: a request without a good credential is refused before its body is read. */
export function requireCredential(routes: FastifyInstance, platform: Platform): void {
  routes.decorateRequest('credential', null);
  routes.addHook('onRequest', async (request, reply) => {
    const credential = await verify(platform, bearerOf(request));
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
