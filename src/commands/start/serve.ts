/** Starts the service, sees to its first tenant, says where it is and how to try it, and stops it when told to. */
import { once } from 'node:events';
import { pino } from 'pino';
import type { Config } from '../../config.ts';
import { fillDemo } from './demo.ts';
import { firstRequests } from './firstRequests.ts';
import { keepFirstTenant, keysFile, writeKeys } from './firstTenant.ts';
import { writeSecretFile } from './secretFile.ts';
import { type Service, startService } from './service.ts';

export interface ServeOptions {
  readonly demo: boolean;
  readonly readyFile: string | null;
}

/** How long a stopped process may linger. */
const LINGER_MS = 2_000;

/** Resolves when the service has been told to stop and has stopped. */
export async function serve(config: Config, options: ServeOptions): Promise<void> {
  const log = pino({ level: config.logLevel }, pino.destination({ fd: 2, sync: true }));
  const stop = stopSignal();
  const service = await startService(config, log);
  try {
    await welcome(service, config, options, stop);
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
  { demo, readyFile }: ServeOptions,
  stop: AbortSignal,
): Promise<void> {
  const { url, platform } = service;
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
