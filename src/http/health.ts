/**
 * Health routes for whoever runs the service: alive as long as the process answers, ready as long as it can do its
 * work. They tell which check failed, what the models run on and nothing else, need no credential, and are answered
 * however busy the service is.
 */
import type { FastifyInstance } from 'fastify';
import { ping } from '../database/client.ts';
import type { Platform } from '../domain/platform.ts';

/** Longer than this, a check counts as failed: an orchestrator asks again every few seconds. */
const READY_TIMEOUT_MS = 2_000;
/** One answer serves everybody who asks within so long: anybody may ask, and each check does work. */
const READY_FOR_MS = 1_000;

/** What must hold for the service to be ready, by name; each rejects where it does not. */
export type ReadinessChecks = Readonly<Record<string, () => Promise<unknown>>>;

/** @param minFreeBytes of the disk that the pictures lie on. */
export function readinessChecks(
  { database, networks, engine, pictures }: Platform,
  minFreeBytes: number,
): ReadinessChecks {
  return {
    database: () => ping(database),
    model: async () => networks.base.checkOpen(),
    ...(engine ? { engine: () => engine.checkRuns() } : {}),
    pictures: () => pictures.checkWritable(),
    disk: () => pictures.checkFreeBytes(minFreeBytes),
  };
}

/**
 * Adds `GET /healthz` (200 always) and `GET /readyz`: 200, or 503 with the names of the checks that failed; `stopping`
 * once the service has been told to stop.
 * @param executionProvider what the models run on
 */
export function addHealthRoutes(server: FastifyInstance, checks: ReadinessChecks, executionProvider: string): void {
  const options = { config: { uncounted: true } };
  let latest: { readonly at: number; readonly failures: Promise<Failure[]> } | null = null;

  server.get('/healthz', options, async () => ({ status: 'alive' }));

  server.get('/readyz', options, async (request, reply) => {
    if (server.inFlight.stopping) {
      void reply.header('connection', 'close');
      return reply.code(503).send({ status: 'not ready', failed: ['stopping'] });
    }
    if (!latest || Date.now() - latest.at > READY_FOR_MS) latest = { at: Date.now(), failures: failuresOf(checks) };
    const failures = await latest.failures;
    if (failures.length === 0) return { status: 'ready', executionProvider };
    for (const { name, error } of failures) request.log.warn({ err: error, check: name }, 'not ready');
    return reply.code(503).send({ status: 'not ready', failed: failures.map(({ name }) => name) });
  });
}

interface Failure {
  readonly name: string;
  readonly error: unknown;
}

async function failuresOf(checks: ReadinessChecks): Promise<Failure[]> {
  const outcomes = await Promise.all(
    Object.entries(checks).map(async ([name, check]): Promise<Failure | null> => {
      try {
        await inTime(check());
        return null;
      } catch (error) {
        return { name, error };
      }
    }),
  );
  return outcomes.filter((failure) => failure !== null);
}

async function inTime(check: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`No answer within ${READY_TIMEOUT_MS} ms.`)), READY_TIMEOUT_MS);
  });
  await Promise.race([check, late]).finally(() => clearTimeout(timer));
}
