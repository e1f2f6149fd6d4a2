/**
 * `palate start` as a whole: the first request, a kill, the next start, the demo and the requests it prints. Each test goes
 * on in the folder of the one before, as the next start does, but for the demo: starts are dear.
 */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readFile, rm, stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { jest } from '@jest/globals';
import { childrenWith, killOutright, untilGone } from '../../bench/support/kill/processes.ts';
import { makeDataDirectory, query, type RunningService, startService } from '../../bench/support/service.ts';
import { describePicture, renderPicture } from '../../src/gallery/picture.ts';
import { palate } from '../commands/palate.ts';

const FEEDBACK =
  'mutation ($input: SubmitFeedbackInput!) { submitFeedback(input: $input) { feedback { id } userErrors { message } } }';

/** Longer than a worker takes to find a job. */
const WORKERS_LOOK_MS = 2_000;

/** Starts of a whole service, on a machine that may be busy. */
jest.setTimeout(240_000);
/** All of the demo is drawn and encoded. */
const DEMO_MS = 600_000;

let dataDirectory: string;

const makeFolder = async () => {
  dataDirectory = await makeDataDirectory();
};
const removeFolder = () => rm(dataDirectory, { recursive: true, force: true });

const running: RunningService[] = [];

async function start(options: Parameters<typeof startService>[0]): Promise<RunningService> {
  const service = await startService(options);
  running.push(service);
  return service;
}

/** A test that fails leaves no service behind. */
afterEach(async () => {
  for (const { process: child } of running.splice(0)) {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
  }
});

async function kill({ process: child }: RunningService): Promise<void> {
  child.kill('SIGKILL');
  await once(child, 'exit');
}

/** Sends one picture, drawn from the seed; answers its id. */
async function upload({ url, serviceKey }: RunningService, seed: string): Promise<string> {
  const attributes = {
    style: 'flat',
    subject: 'cat',
    palette: 'autumn',
    composition: 'centred',
    detail: 'moderate',
  } as const;
  const form = new FormData();
  form.set('file', new Blob([await renderPicture(describePicture('cat', attributes, seed))]), 'cat.jpg');
  form.set('prompt', 'a cat in a window');
  const response = await fetch(`${url}/images`, {
    method: 'POST',
    headers: { authorization: `Bearer ${serviceKey}` },
    body: form,
  });
  expect(response.status).toBe(201);
  return ((await response.json()) as { id: string }).id;
}

/** Asks until the image can be scored. */
async function untilReady({ query }: RunningService, id: string): Promise<void> {
  for (;;) {
    const { image } = await query<{ image: { status: string } }>(
      'query ($id: ID!) { image(by: {id: $id}) { status } }',
      { id },
    );
    if (image.status === 'READY') return;
    expect(image.status).toBe('PENDING');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

describe('palate start --no-demo', () => {
  let keys: Pick<RunningService, 'tenantId' | 'adminKey' | 'serviceKey'>;

  beforeAll(makeFolder);
  afterAll(removeFolder);

  it('keeps all it has acknowledged when it is killed a moment later, goes on with the same keys, and without its engine', async () => {
    const first = await start({ dataDirectory });
    const id = await upload(first, 'before the kill');
    const items = [{ user: { externalId: 'ada' }, image: { id }, sentiment: 'LIKE' }];
    await first.query('mutation { upsertUsers(input: {items: [{externalId: "ada"}]}) { userErrors { message } } }');
    const { submitFeedback } = await first.query<{ submitFeedback: { userErrors: object[] } }>(FEEDBACK, {
      input: { items },
    });
    expect(submitFeedback.userErrors).toEqual([]);
    await kill(first);

    const second = await start({ dataDirectory });
    expect(second).toMatchObject({ tenantId: first.tenantId, adminKey: first.adminKey, serviceKey: first.serviceKey });
    await untilReady(second, id);
    const { user } = await second.query<{ user: { feedback: { nodes: object[] }; rank: { scores: object[] } } }>(
      'query ($id: ID!) { user(by: {externalId: "ada"}) { feedback { nodes { sentiment image { id } } } rank(imageIds: [$id]) { scores { basis } } } }',
      { id },
    );
    expect(user.feedback.nodes).toEqual([{ sentiment: 'LIKE', image: { id } }]);
    expect(user.rank.scores).toEqual([{ basis: 'PERSONAL' }]);

    const [engine] = await childrenWith(second.process.pid!, 'engineMain');
    killOutright([engine!]);
    const score = 'query ($id: ID!) { user(by: {externalId: "ada"}) { score(imageId: $id) { basis value } } }';
    const answers = await Promise.all([1, 2].map(() => second.query<object>(score, { id })));
    expect(answers[0]).toEqual(answers[1]);
    const { status } = await fetch(`${second.url}/readyz`);
    expect(status).toBe(200);
    const next = await childrenWith(second.process.pid!, 'engineMain');
    expect([next.length, next[0] === engine]).toEqual([1, false]);
    expect(await second.stop()).toBe(0);
    await untilGone(next);
    keys = second;
  });

  it('keeps its keys where only their owner can read them, and its parts apart do each their own', async () => {
    const { mode } = await stat(join(dataDirectory, 'keys.json'));
    expect(mode & 0o777).toBe(0o600);
    expect(JSON.parse(await readFile(join(dataDirectory, 'keys.json'), 'utf8'))).toMatchObject({
      serviceKey: keys.serviceKey,
    });

    const serving = await start({ dataDirectory, part: { command: 'serve', keys } });
    const id = await upload(serving, 'in parts');
    const asAdmin = { ...serving, serviceKey: keys.adminKey };
    const { startTraining } = await query<{ startTraining: { job: { id: string } } }>(
      asAdmin,
      'mutation { startTraining(input: {}) { job { id } } }',
    );
    const looked = () =>
      query<{ image: { status: string }; trainingJob: { status: string } }>(
        asAdmin,
        'query ($image: ID!, $job: ID!) { image(by: {id: $image}) { status } trainingJob(id: $job) { status } }',
        { image: id, job: startTraining.job.id },
      );
    await delay(WORKERS_LOOK_MS);
    expect(await looked()).toEqual({ image: { status: 'PENDING' }, trainingJob: { status: 'QUEUED' } });
    const working = await start({ dataDirectory, part: { command: 'work', keys } });
    await untilReady(serving, id);
    while ((await looked()).trainingJob.status !== 'DECLINED') await delay(100); // too little to learn from
    expect(await working.stop()).toBe(0);
    expect(await serving.stop()).toBe(0);
  });

  it('says in one line that the port is taken, and ends with 2', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as { port: number };
    const environment = { PORT: String(port), PALATE_DATA_DIR: dataDirectory, PALATE_LOG_LEVEL: 'silent' };
    const { status, stderr } = await palate(['start', '--no-demo'], { environment });
    other.close();
    expect([status, stderr]).toEqual([
      2,
      `palate: Port ${port} is taken by another program: stop it, or set PORT to another.\n`,
    ]);
  });
});

describe('palate start', () => {
  beforeAll(makeFolder);
  afterAll(removeFolder);

  it(
    'fills the demo once, however it was interrupted, prints two requests that answer, and answers the README',
    async () => {
      await killedWhileDrawing();
      const service = await start({ dataDirectory, args: [] });
      const { viewer } = await service.query<{ viewer: { tenant: { name: string } } }>(
        '{ viewer { tenant { name } } }',
      );
      expect(viewer.tenant.name).toBe('Demo');
      const counts = await service.query<Record<string, { totalCount: number }>>(
        '{ all: images { totalCount } ready: images(status: READY) { totalCount } people: users { totalCount } }',
      );
      expect(counts).toEqual({ all: { totalCount: 240 }, ready: { totalCount: 240 }, people: { totalCount: 150 } });

      const requests = service.said().match(/^curl [\s\S]*?'\n\n/gm)!;
      expect(requests).toHaveLength(2);
      const answers = await Promise.all(requests.map((request) => promisify(execFile)('sh', ['-c', request])));
      const [recommended, similar] = answers.map(({ stdout }) => JSON.parse(stdout).data.user);
      expect(recommended.recommendations.nodes).toHaveLength(3);
      expect(similar.similarUsers.nodes).toHaveLength(3);
      await followReadme(service);
      await service.stop();
    },
    DEMO_MS,
  );
});

/** Starts the demo and kills it as soon as some of its pictures are in. */
async function killedWhileDrawing(): Promise<void> {
  const service = startService({ dataDirectory, args: [], killWhen: /Drawing pictures: \d/ });
  await expect(service).rejects.toThrow('The service ended before it was ready');
}

/** Pastes the README's commands, one after the other, as a newcomer would. */
async function followReadme({ url, serviceKey }: RunningService): Promise<void> {
  const readme = await readFile(new URL('../../README.md', import.meta.url), 'utf8');
  const commands = [...readme.matchAll(/```sh\n(curl [\s\S]*?)```/g)].map(([, command]) => command!);
  expect(commands).toHaveLength(3);
  const answers: string[] = [];
  for (const command of commands) {
    const environment = { env: { ...process.env, KEY: serviceKey } };
    const { stdout } = await promisify(execFile)(
      'sh',
      ['-c', command.replaceAll('http://localhost:4000', url)],
      environment,
    );
    answers.push(stdout);
  }
  const [uploaded, judged, next] = answers.map((answer) => JSON.parse(answer));
  expect(uploaded).toEqual({ id: expect.any(String) });
  expect(judged).toMatchObject({ data: { upsertUsers: { userErrors: [] }, submitFeedback: { userErrors: [] } } });
  expect(next.errors).toBeUndefined();
  const { recommendations, similarUsers } = next.data.user;
  expect(recommendations.nodes).toHaveLength(3);
  for (const { explanation } of recommendations.nodes) expect(explanation.influences).toHaveLength(2);
  expect(similarUsers.nodes).toHaveLength(3);
}
