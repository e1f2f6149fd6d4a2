/**
 * SIGTERM to a started service: nothing new is taken, what is at hand is answered, what was acknowledged is kept; a second
 * signal ends it at once. Each test goes on in the folder of the one before, as the next start does: starts are dear.
 */
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { Agent, type ClientRequest, type IncomingMessage, request } from 'node:http';
import { json } from 'node:stream/consumers';
import { makeDataDirectory, type RunningService, startService } from '../../bench/support/service.ts';
import { picture } from '../http/service.ts';

/** Starts of a whole service, on a machine that may be busy. */
const TIMEOUT_MS = 240_000;

let dataDirectory: string;
/** The last that was started. */
let service: RunningService;
const running: RunningService[] = [];

beforeAll(async () => {
  dataDirectory = await makeDataDirectory();
});

async function start(): Promise<void> {
  service = await startService({ dataDirectory });
  running.push(service);
}

/** A test that fails leaves no service behind. */
afterAll(async () => {
  for (const { process: child } of running.splice(0)) {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
  }
  await rm(dataDirectory, { recursive: true, force: true, maxRetries: 5 }); // a killed service's PostgreSQL still ends
});

/** Begins an upload of a picture of this colour and stops in the middle of it. */
async function halfUpload(
  { url, serviceKey }: RunningService,
  colour: string,
): Promise<{ upload: ClientRequest; rest: Buffer }> {
  const bytes = await picture(colour);
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

/** A judgement of a picture, both acknowledged. */
async function judge({ query }: RunningService, id: string): Promise<void> {
  const items = [{ user: { externalId: 'ada' }, image: { id }, sentiment: 'LIKE' }];
  const { submitFeedback } = await query<{ submitFeedback: { userErrors: object[] } }>(
    'mutation ($items: [FeedbackItem!]!) { submitFeedback(input: {items: $items}) { userErrors { message } } }',
    { items },
  );
  expect(submitFeedback.userErrors).toEqual([]);
}

/** What the upload was answered: the id of the picture. */
async function answered(upload: ClientRequest): Promise<string> {
  const [response] = (await once(upload, 'response')) as [IncomingMessage];
  expect(response.statusCode).toBe(201);
  return ((await json(response)) as { id: string }).id;
}

const judgements = '{ user(by: {externalId: "ada"}) { feedback { nodes { sentiment image { id } } } } }';

it(
  'takes nothing more, answers what is at hand, ends with 0, and has kept what it acknowledged, right before too',
  async () => {
    await start();
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    expect(await get(`${service.url}/readyz`, agent)).toMatchObject({ status: 200 });
    await service.query('mutation { upsertUsers(input: {items: [{externalId: "ada"}]}) { userErrors { message } } }');
    const first = await halfUpload(service, 'teal');
    first.upload.end(first.rest);
    const judged = await answered(first.upload);
    const { upload, rest } = await halfUpload(service, 'coral');

    const ended = once(service.process, 'exit');
    await judge(service, judged);
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
    const id = await answered(upload);
    expect(await ended).toEqual([0, null]);
    agent.destroy();

    await start();
    const { image } = await service.query<{ image: object }>('query ($id: ID!) { image(by: {id: $id}) { id } }', {
      id,
    });
    expect(image).toEqual({ id });
    const { user } = await service.query<{ user: { feedback: { nodes: object[] } } }>(judgements);
    expect(user.feedback.nodes).toEqual([{ sentiment: 'LIKE', image: { id: judged } }]);
  },
  TIMEOUT_MS,
);

it.each(['SIGTERM', 'SIGINT'] as const)(
  'ends at once at a second signal, %s',
  async (second) => {
    const { upload } = await halfUpload(service, 'olive'); // would be waited for
    upload.on('error', () => {});
    const ended = once(service.process, 'exit');
    service.process.kill('SIGTERM');
    while ((await get(`${service.url}/readyz`)).status === 200);
    service.process.kill(second);
    expect(await ended).toEqual([null, second]);
    await start(); // the database it left behind is taken over
  },
  TIMEOUT_MS,
);

it(
  'ends with 0 after all that',
  async () => {
    expect(await service.stop()).toBe(0);
  },
  TIMEOUT_MS,
);
