import { rm, writeFile } from 'node:fs/promises';
import { makeDataDirectory, startService } from './support/service.ts';
import { fillTenant, makeTenant } from './support/tenants.ts';
import { askFromAfar } from './support/fuzz/honestClient.ts';
import { setTimeout as delay } from 'node:timers/promises';
import { quantile } from './support/measure.ts';
import { processorMs } from './support/kill/processes.ts';
const dataDirectory = await makeDataDirectory();
const service = await startService({ dataDirectory });
try {
  const t = await fillTenant(await makeTenant(service.url, dataDirectory, 'client'), 6, 12);
  await askFromAfar(t, AbortSignal.timeout(15000));
  await writeFile('/tmp/v/prof/start', '');
  const b = await processorMs(service.process.pid!);
  const r = await askFromAfar(t, AbortSignal.timeout(20000));
  console.log('cpu', ((await processorMs(service.process.pid!)) - b) / r.ms.length);
  for (const k of [0, 1, 2]) { const ms = r.ms.filter((_, i) => i % 3 === k); console.log(k, quantile(ms, 0.5), quantile(ms, 0.99), Math.max(...ms)); }
  console.log(r.ms.length);
  await writeFile('/tmp/v/prof/stop', '');
  await delay(2000);
} finally { await service.stop(); await rm(dataDirectory, { recursive: true, force: true }); }
