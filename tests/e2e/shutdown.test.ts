/** SIGTERM to a started service: nothing new is taken, what is at hand is answered, what was acknowledged is kept. */
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { Agent, type ClientRequest, type IncomingMessage, request } from 'node:http';
import { json } from 'node:stream/consumers';
import { makeDataDirectory, type RunningService, startService } from '../../bench/support/service.ts';
import { picture } from '../http/service.ts';

/** Starts of a whole service, on a machine that may be busy. */
const TIMEOUT_MS = 240_000;

let dataDirectory: string;
const running: RunningService[] = [];

beforeEach(async () => {
  dataDirectory = await makeDataDirectory();
});

async function start(): Promise<RunningService> {
  const service = await startService({ dataDirectory });
  running.push(service);
  return service;
}

/** A test that fails leaves no service behind. */
afterEach(async () => {
  for (const { process: child } of running.splice(0)) {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
  }
  await rm(dataDirectory, { recursive: true, force: true, maxRetries: 5 }); // a killed service's PostgreSQL still ends
});

/** Begins an upload and stops in the middle of it. */
async function halfUpload({ url, serviceKey }: RunningService): Promise<{ upload: ClientRequest; rest: Buffer }> {
  const bytes = await picture('teal');
  const upload = request(`${url}/images`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${serviceKey}`,
      'content-type': 'image/png',
      'content-length': bytes.length,
      expect: '100-continue', // the answer to it says that the server has the request
    },
  });
  upload.flushHeaders();
  await once(upload, 'continue');
  upload.write(bytes.subarray(0, 20));
  return { upload, rest: bytes.subarray(20) };
}

async function get(url: string, agent?: Agent): Promise<{ status: number; body: unknown; connection?: string }> {
  const asked = request(url, { ...(agent ? { agent } : {}) }).end();
  const [response] = (await once(asked, 'response')) as [IncomingMessage];
  const { connection } = response.headers;
  return { status: response.statusCode!, body: await json(response), ...(connection ? { connection } : {}) };
}

const judgements = '{ user(by: {externalId: "ada"}) { feedback { nodes { sentiment image { id } } } } }';

it(
  'takes nothing more, answers what is at hand, ends with 0, and has kept what it acknowledged',
  async () => {
    const service = await start();
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    expect(await get(`${service.url}/readyz`, agent)).toMatchObject({ status: 200 });
    const { upload, rest } = await halfUpload(service);
    await service.query('mutation { upsertUsers(input: {items: [{externalId: "ada"}]}) { userErrors { message } } }');

    const ended = once(service.process, 'exit');
    service.process.kill('SIGTERM');
    let ready = await get(`${service.url}/readyz`);
    while (ready.status === 200) ready = await get(`${service.url}/readyz`); // until the signal has arrived
    expect(ready).toEqual({ status: 503, body: { status: 'not ready', failed: ['stopping'] }, connection: 'close' });
    expect(await get(`${service.url}/nowhere`, agent)).toEqual({
      status: 503,
      body: {
        error: {
          code: 'NOT_READY',
          message: 'The service is stopping and takes no more requests: send this again.',
          requestId: expect.any(String),
        },
      },
      connection: 'close',
    });
    await expect(service.query('{ viewer { role } }')).rejects.toThrow('The service is stopping');

    upload.end(rest);
    const [response] = (await once(upload, 'response')) as [IncomingMessage];
    expect(response.statusCode).toBe(201);
    const { id } = (await json(response)) as { id: string };
    expect(await ended).toEqual([0, null]);
    agent.destroy();

    const next = await start();
    const { image, user } = await next.query<{ image: { id: string }; user: object }>(
      'query ($id: ID!) { image(by: {id: $id}) { id } user(by: {externalId: "ada"}) { externalId } }',
      { id },
    );
    expect([image, user]).toEqual([{ id }, { externalId: 'ada' }]);
    await next.stop();
  },
  TIMEOUT_MS,
);

it(
  'has kept a judgement that it acknowledged right before',
  async () => {
    const service = await start();
    const { upload, rest } = await halfUpload(service);
    upload.end(rest);
    const [response] = (await once(upload, 'response')) as [IncomingMessage];
    const { id } = (await json(response)) as { id: string };
    await service.query('mutation { upsertUsers(input: {items: [{externalId: "ada"}]}) { userErrors { message } } }');
    const items = [{ user: { externalId: 'ada' }, image: { id }, sentiment: 'LIKE' }];
    const { submitFeedback } = await service.query<{ submitFeedback: { userErrors: object[] } }>(
      'mutation ($items: [FeedbackItem!]!) { submitFeedback(input: {items: $items}) { userErrors { message } } }',
      { items },
    );
    const ended = once(service.process, 'exit');
    service.process.kill('SIGTERM');
    expect(submitFeedback.userErrors).toEqual([]);
    expect(await ended).toEqual([0, null]);
    const next = await start();
    const { user } = await next.query<{ user: { feedback: { nodes: object[] } } }>(judgements);
    expect(user.feedback.nodes).toEqual([{ sentiment: 'LIKE', image: { id } }]);
    await next.stop();
  },
  TIMEOUT_MS,
);

it.each(['SIGTERM', 'SIGINT'] as const)(
  'ends at once at a second signal, %s',
  async (second) => {
    const service = await start();
    const { upload } = await halfUpload(service); // would be waited for
    upload.on('error', () => {});
    const ended = once(service.process, 'exit');
    service.process.kill('SIGTERM');
    while ((await get(`${service.url}/readyz`)).status === 200);
    service.process.kill(second);
    expect(await ended).toEqual([null, second]);
    const next = await start(); // the database it left behind is taken over
    await next.stop();
  },
  TIMEOUT_MS,
);
