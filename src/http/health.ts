/**
 * Health routes for whoever runs the service: alive as long as the process answers, ready as long as it can do its
 * work. They tell nothing else, and need no credential.
 */
import type { FastifyInstance } from 'fastify';

/** Longer than this, a check counts as failed: an orchestrator asks again every few seconds. */
const READY_TIMEOUT_MS = 2_000;

/**
 * Adds `GET /health/live` (200 always) and `GET /health/ready` (200, or 503 while `check` fails).
 *
 * @param check resolves where the service can answer requests, such as after a query to the database.
 */
export function addHealthRoutes(server: FastifyInstance, check: () => Promise<unknown>): void {
  server.get('/health/live', async () => ({ status: 'live' }));

  server.get('/health/ready', async (request, reply) => {
    try {
      await Promise.race([check(), rejectAfter(READY_TIMEOUT_MS)]);
      return { status: 'ready' };
    } catch (error) {
      request.log.warn({ err: error }, 'not ready');
      return reply.code(503).send({ status: 'not ready' });
    }
  });
}

function rejectAfter(milliseconds: number): Promise<never> {
  return new Promise((_, reject) => {
    setTimeout(() => reject(new Error(`No answer within ${milliseconds} ms.`)), milliseconds).unref();
  });
}
