/**
 * `GET /users/<id>/export`: everything held about one person, as a JSON file. What that is, and who may have it, is
 * src/domain/exports.ts's.
 */
import { Readable } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import { exportUser } from '../domain/exports.ts';
import type { Platform } from '../domain/platform.ts';
import { EXPORT_COST } from '../domain/points.ts';
import { inSession, requireCredential } from './authentication.ts';
import { shareRequests } from './inFlight.ts';
import { charge, tellPoints } from './points.ts';

/** Adds the export. */
export async function addExportRoute(server: FastifyInstance, platform: Platform): Promise<void> {
  await server.register(async (routes) => {
    requireCredential(routes, platform);
    tellPoints(routes, platform);
    shareRequests(routes);
    charge(routes, platform, EXPORT_COST);
    routes.get('/users/:id/export', {
      handler: inSession(async (request, reply) => {
        const { id } = request.params as { id: string };
        const parts = await exportUser(platform, id);
        void reply.headers({
          'content-type': 'application/json; charset=utf-8',
          'content-disposition': 'attachment; filename="person.json"',
          'cache-control': 'no-store', // nobody on the way keeps a person's data
        });
        return Readable.from(parts);
      }),
    });
  });
}
