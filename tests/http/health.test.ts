/** Health: alive while the process answers; ready while each of its checks holds, and which does not, by name. */
import { rename } from 'node:fs/promises';
import { readinessChecks } from '../../src/http/health.ts';
import { quietEngine, withoutProcesses } from '../support/engine.ts';
import { type TestService, testService } from './service.ts';

/** Those of a test's database: with all of them taken, it answers nobody. */
const CONNECTIONS = 5;

const services: TestService[] = [];
async function start(...options: Parameters<typeof testService>): Promise<TestService> {
  const service = await testService(...options);
  services.push(service);
  return service;
}
afterAll(() => Promise.all(services.map((service) => service.close())));

const ask = async (service: TestService, path: string) => {
  const response = await fetch(service.url + path);
  return [response.status, await response.json()];
};

it('is alive and ready without a credential', async () => {
  const service = await start();
  expect(await ask(service, '/healthz')).toEqual([200, { status: 'alive' }]);
  expect(await ask(service, '/readyz')).toEqual([200, { status: 'ready', executionProvider: 'cpu' }]);
});

it('is not ready where no process can run the models', async () => {
  const service = await start();
  const engine = quietEngine();
  const checks = readinessChecks({ ...service.platform, engine }, 0);
  await withoutProcesses(() => expect(checks['engine']!()).rejects.toMatchObject({ code: 'NOT_READY' }));
  await engine.close();
});

it('is not ready where the disk is all but full', async () => {
  const service = await start({ minFreeDiskBytes: Number.MAX_SAFE_INTEGER });
  expect(await ask(service, '/readyz')).toEqual([503, { status: 'not ready', failed: ['disk'] }]);
  expect(await ask(service, '/healthz')).toEqual([200, { status: 'alive' }]);
  const line = service.logLines().find((text) => text.includes('not ready'));
  expect(line).toMatch(/has \d+ bytes left, and 9007199254740991 are needed/);
});

it('is not ready where pictures cannot be written, and says so no longer once they can', async () => {
  const service = await start();
  await rename(service.pictureFolder, `${service.pictureFolder}-away`);
  expect(await ask(service, '/readyz')).toEqual([503, { status: 'not ready', failed: ['pictures', 'disk'] }]);
  await rename(`${service.pictureFolder}-away`, service.pictureFolder);
  let status: unknown = 503;
  while (status === 503) [status] = await ask(service, '/readyz'); // an answer serves for a second
  expect(status).toBe(200);
});

it('is not ready where the database does not answer in time', async () => {
  const service = await start();
  const tenant = await service.tenant();
  const { database } = service.test;
  let letGo = () => {};
  const held = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  let holding = 0;
  const transactions = Array.from({ length: CONNECTIONS }, () =>
    tenant.run(() =>
      database.$transaction(async () => {
        holding++;
        await held;
      }),
    ),
  );
  while (holding < CONNECTIONS) await new Promise((resolve) => setTimeout(resolve, 5));
  expect(await ask(service, '/readyz')).toEqual([503, { status: 'not ready', failed: ['database'] }]);
  expect(await ask(service, '/healthz')).toEqual([200, { status: 'alive' }]);
  letGo();
  await Promise.all(transactions);
});

it('answers many who ask at once with one check a second', async () => {
  const service = await start();
  const before = service.statements();
  const begun = performance.now();
  const answers = await Promise.all(Array.from({ length: 50 }, () => ask(service, '/readyz')));
  expect(answers.every(([status]) => status === 200)).toBe(true);
  const seconds = (performance.now() - begun) / 1000;
  expect(service.statements() - before).toBeLessThanOrEqual(1 + Math.floor(seconds) + 1); // one may be under way
});
