/**
 * Points over HTTP: what is left stands in the headers of every answer to a request with a credential, and a picture is
 * paid for before its bytes are read. Budgets are src/domain/points.ts's; operations are charged by src/graphql.
 */
import type { FastifyInstance } from 'fastify';
import type { Platform } from '../domain/platform.ts';
import { secondsUntil } from '../domain/points.ts';

/** Tells in every answer of this scope, errors too, what the tighter of the caller's budgets has left. */
export function tellPoints(routes: FastifyInstance, { points, now }: Platform): void {
  routes.addHook('onSend', async ({ credential }, reply) => {
    if (!credential) return; // it was refused for want of one
    const { limit, remaining, resetsAt } = points.balance(credential);
    void reply.headers({
      'ratelimit-limit': limit,
      'ratelimit-remaining': remaining,
      'ratelimit-reset': secondsUntil(resetsAt, now()),
    });
  });
}

/** Charges so many points for each request of this scope. Goes after every guard of it: what is refused costs nothing. */
export function charge(routes: FastifyInstance, { points }: Platform, cost: number): void {
  routes.addHook('onRequest', async ({ credential }) => {
    if (credential) await points.spend(credential, cost);
  });
}
