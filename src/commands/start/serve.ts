/** Starts the service or a part of it, sees to its first tenant, says where it is, and stops it when told to. */
import { once } from 'node:events';
import { pino } from 'pino';
import type { Config } from '../../config.ts';
import { PalateError } from '../../errors.ts';
import { fillDemo } from './demo.ts';
import { firstRequests } from './firstRequests.ts';
import { keepFirstTenant, keysFile, writeKeys } from './firstTenant.ts';
import { writeSecretFile } from './secretFile.ts';
import { type Service, type ServiceParts, startService } from './service.ts';

export interface StartOptions {
  readonly demo: boolean;
  readonly readyFile: string | null;
}

/** How long a stopped process may linger. */
const LINGER_MS = 2_000;

/** The API and the workers in one process, with a tenant to begin with. */
export function start(config: Config, options: StartOptions): Promise<void> {
  return run(config, { api: true, work: true }, (service, stop) => welcome(service, config, options, stop));
}

/** One part of the service, for an installation of several processes; `readyFile` is written when it works. */
export function runPart(config: Config, parts: ServiceParts, readyFile: string | null): Promise<void> {
  return run(config, parts, async ({ url }) => {
    if (readyFile !== null) await writeSecretFile(readyFile, `${JSON.stringify(url === null ? {} : { url })}\n`);
    process.stdout.write(url === null ? 'Palate works\n' : `Palate answers at ${url}\n`);
  });
}

/** Resolves when the service has been told to stop and has stopped. */
async function run(
  config: Config,
  parts: ServiceParts,
  whenStarted: (service: Service, stop: AbortSignal) => Promise<void>,
): Promise<void> {
  const log = pino({ level: config.logLevel }, pino.destination({ fd: 2, sync: true }));
  const stop = stopSignal();
  const service = await startService(config, log, parts);
  try {
    await whenStarted(service, stop);
    if (!stop.aborted) await once(stop, 'abort');
    log.info('stopping');
  } finally {
    await service.stop();
    // Everything is closed: if a handle is still open after all, the process must not wait for it.
    setTimeout(() => process.exit(), LINGER_MS).unref();
  }
}

/** Aborted by SIGTERM or Ctrl-C. A second one, of either, ends the process at once, as if nobody listened. */
function stopSignal(): AbortSignal {
  const controller = new AbortController();
  const signals = ['SIGTERM', 'SIGINT'] as const;
  const abort = () => {
    for (const signal of signals) process.removeListener(signal, abort);
    controller.abort();
  };
  for (const signal of signals) process.on(signal, abort);
  return controller.signal;
}

/** Makes the tenant ready and tells who started the service; leaves off where it is told to stop. */
async function welcome(
  service: Service,
  config: Config,
  { demo, readyFile }: StartOptions,
  stop: AbortSignal,
): Promise<void> {
  const { url, platform } = service;
  if (url === null) throw new PalateError('INTERNAL_SERVER_ERROR', 'A service without the API has nobody to welcome.');
  const file = keysFile(config.dataDirectory, demo);
  const tenant = await keepFirstTenant(platform, file, demo ? 'Demo' : 'First tenant');
  if (demo && !tenant.demoComplete) {
    await fillDemo(platform, tenant.tenantId, stop);
    if (stop.aborted) return;
    await writeKeys(file, { ...tenant, demoComplete: true });
  }
  const { tenantId, adminKey, serviceKey } = tenant;
  if (readyFile !== null) {
    await writeSecretFile(readyFile, `${JSON.stringify({ url, tenantId, adminKey, serviceKey })}\n`);
  }
  process.stdout.write(firstRequests({ url, serviceKey, demo, keysFile: file }));
}
