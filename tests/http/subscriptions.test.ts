/**
 * `trainingProgress` over server-sent events, as the clients of graphql-sse read it: what is sent, on any replica; what is
 * refused; and that a stream ends with its credential, its client and the server, and leaves nothing behind.
 */

import { createClient } from 'graphql-sse';
import pg from 'pg';
import { pino } from 'pino';
import { serverOptions } from '../../src/commands/start/serverOptions.ts';
import { readConfig } from '../../src/config.ts';
import type { Prisma } from '../../src/database/client.ts';
import type { Listener } from '../../src/database/notifications.ts';
import { newId, toGlobalId } from '../../src/domain/ids.ts';
import type { Platform } from '../../src/domain/platform.ts';
import { PointBudget } from '../../src/domain/points.ts';
import { changeJob } from '../../src/domain/trainingChanges.ts';
import { startWatching, TrainingWatchers } from '../../src/domain/trainingProgress.ts';
import { createServer, stopServer } from '../../src/http/server.ts';
import { type GraphqlAnswer, type TestService, type TestTenant, testService, unknownId } from './service.ts';

const VERIFY_MS = 50;
const MOST = 4;
const subscriptions = { most: MOST, verifyMs: VERIFY_MS, keepAliveMs: 100 };

let service: TestService;
let tenant: TestTenant;
let ears: Listener;

beforeAll(async () => {
  service = await testService({ subscriptions });
  ears = await startWatching(service.platform.trainingWatchers, service.test.url, () => {});
  tenant = await service.tenant();
}, 60_000);
afterAll(async () => {
  await ears.close();
  await service.close();
});
afterEach(() => until(() => service.server.subscriptions.count === 0 && service.platform.trainingWatchers.count === 0));

const PROGRESS = 'subscription ($jobId: ID!) { trainingProgress(jobId: $jobId) { id status stage progress } }';

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

type Change = Prisma.TrainingJobUncheckedUpdateManyInput;

/** A training of the tenant's: its global id, and how it changes. */
async function newJob(of = tenant): Promise<{ jobId: string; change(...changes: Change[]): Promise<void> }> {
  const { database } = service.test;
  const id = newId();
  const row = { tenantId: of.id, id, stage: 'waiting', requestedBy: 'a key', seed: 1, promoteIfBetter: false };
  await of.run(() => database.trainingJob.create({ data: row }));
  return {
    jobId: toGlobalId('TrainingJob', id),
    /** Each in a transaction of its own, told as it commits. */
    async change(...changes) {
      for (const data of changes) {
        await of.run(() =>
          database.$transaction(async (transaction) => {
            await changeJob(transaction, { id }, data);
          }),
        );
      }
    },
  };
}

// biome-ignore lint/suspicious/noExplicitAny: a test reads what it has just asked for
type Event = Pick<GraphqlAnswer, 'errors'> & { data?: any; extensions?: any };

/** What a client of graphql-sse is told: its next event, or the end (null). */
interface Watching {
  next(): Promise<Event | null>;
  leave(): void;
}

function watch(jobId: string, { url = service.url, key = tenant.adminKey, query = PROGRESS } = {}): Watching {
  const client = createClient({
    url: `${url}/graphql/stream`,
    headers: { authorization: `Bearer ${key}` },
    retryAttempts: 0,
  });
  const events = client.iterate({ query, variables: { jobId } });
  return {
    async next() {
      const { value, done } = await events.next();
      return done ? null : (value as unknown as Event);
    },
    leave: () => client.dispose(),
  };
}

/** The rest of what a client is told. */
async function rest(watching: Watching): Promise<Event[]> {
  const events: Event[] = [];
  for (let event = await watching.next(); event; event = await watching.next()) events.push(event);
  return events;
}

const stageOf = (event: Event | null) => event?.data?.trainingProgress.stage;
const codesOf = (events: readonly (Event | null)[]) =>
  events.flatMap((event) => event?.errors?.map(({ extensions }) => extensions.code) ?? []);

/** As the program's ADMIN asks, by fetch. */
const post = (body: unknown, headers: Record<string, string> = {}) =>
  fetch(`${service.url}/graphql/stream`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${tenant.adminKey}`, ...headers },
    body: JSON.stringify(body),
  });

describe('what a watcher is sent', () => {
  it('is the job as it is, each change, and the end once it is over', async () => {
    const { jobId, change } = await newJob();
    const watching = watch(jobId);
    const first = await watching.next();
    expect(first?.data).toEqual({ trainingProgress: { id: jobId, status: 'QUEUED', stage: 'waiting', progress: 0 } });
    await change({ status: 'RUNNING', stage: 'training', progress: 0.5 });
    expect((await watching.next())?.data.trainingProgress).toMatchObject({ status: 'RUNNING', progress: 0.5 });
    await change({ status: 'SUCCEEDED', stage: 'done', progress: 1 });
    expect((await rest(watching)).map(stageOf)).toEqual(['done']);
  });

  it('of a job that is over is its state, and the end', async () => {
    const { jobId, change } = await newJob();
    await change({ status: 'CANCELLED', stage: 'cancelled' });
    expect((await rest(watch(jobId))).map(stageOf)).toEqual(['cancelled']);
  });

  it('is told on every replica, and to whoever comes back', async () => {
    const { jobId, change } = await newJob();
    const replica = await secondReplica();
    const [here, there] = [watch(jobId), watch(jobId, replica)];
    expect([await here.next(), await there.next()].map(stageOf)).toEqual(['waiting', 'waiting']);
    await change({ status: 'RUNNING', stage: 'training' });
    expect([await here.next(), await there.next()].map(stageOf)).toEqual(['training', 'training']);
    there.leave();
    await change({ stage: 'evaluating' });
    const again = watch(jobId, replica);
    expect([await here.next(), await again.next()].map(stageOf)).toEqual(['evaluating', 'evaluating']);
    await change({ status: 'FAILED', stage: 'failed' });
    for (const watching of [here, again]) expect((await rest(watching)).map(stageOf)).toEqual(['failed']);
    await replica.close();
  });

  it('is read anew after the connection that hears of changes was lost', async () => {
    const { jobId, change } = await newJob();
    const watching = watch(jobId);
    await watching.next();
    const owner = new pg.Client({ connectionString: service.test.ownerUrl });
    await owner.connect();
    // What is changed in the same transaction is told before anybody hears again.
    await owner.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'palate-listen' AND datname = current_database()`,
    );
    await change({ status: 'DECLINED', stage: 'declined' });
    await owner.end();
    expect((await rest(watching)).map(stageOf)).toEqual(['declined']);
  });

  it('begins with a comment where nothing happens for a while', async () => {
    const { jobId, change } = await newJob();
    const response = await post({ query: PROGRESS, variables: { jobId } });
    expect(response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
    let text = '';
    for await (const bytes of response.body!) {
      text += Buffer.from(bytes).toString();
      if (/\n:\n\n/.test(text)) await change({ status: 'CANCELLED' });
    }
    expect(text).toMatch(
      /^event: next\ndata: \{"data".*\}\n\n(:\n\n)+event: next\ndata: .*CANCELLED.*\n\n(:\n\n)*event: complete\ndata:\n\n$/,
    );
  });

  it('costs what the operation costs, each time', async () => {
    const { jobId, change } = await newJob();
    const watching = watch(jobId);
    const cost = (await watching.next())?.extensions.cost;
    expect(cost).toMatchObject({ points: 5 });
    await change({ status: 'CANCELLED' });
    const [event] = await rest(watching);
    expect(event?.extensions.cost).toMatchObject({ points: 5, remaining: cost.remaining - 5 });
  });
});

describe('a slow watcher', () => {
  it('is sent the newest state, however many there were', async () => {
    const { trainingProgress } = await import('../../src/domain/trainingProgress.ts');
    const { jobId, change } = await newJob();
    const { signal } = new AbortController();
    const states = trainingProgress(service.platform, jobId, signal);
    const next = () => tenant.run(async () => (await states.next()).value?.stage);
    expect(await next()).toBe('waiting');
    await change(...Array.from({ length: 20 }, (_, i) => ({ stage: `stage ${i}` })));
    expect(await next()).toBe('stage 19');
    await change({ status: 'CANCELLED', stage: 'cancelled' });
    expect([await next(), await next()]).toEqual(['cancelled', undefined]);
  });
});

/** Another server on the same database, with ears of its own. */
async function secondReplica(): Promise<{ url: string; close(): Promise<void> }> {
  const { database, now, url } = service.test;
  const platform: Platform = {
    ...service.platform,
    trainingWatchers: new TrainingWatchers(),
    points: new PointBudget({ database, now }),
  };
  const listener = await startWatching(platform.trainingWatchers, url, () => {});
  const options = serverOptions(readConfig({}), pino({ level: 'silent' }));
  const server = await createServer(platform, { ...options, subscriptions });
  return {
    url: await server.listen({ host: '127.0.0.1', port: 0 }),
    async close() {
      await stopServer(server, 5);
      expect([server.subscriptions.count, platform.trainingWatchers.count]).toEqual([0, 0]);
      await listener.close();
    },
  };
}

describe('what is refused', () => {
  const only = async (jobId: string, options: Parameters<typeof watch>[1] = {}) =>
    codesOf(await rest(watch(jobId, options)));

  it('is a job of another tenant, and one that never was, in the same words', async () => {
    const { jobId } = await newJob(await service.tenant());
    const [theirs] = await rest(watch(jobId));
    const [never] = await rest(watch(unknownId('TrainingJob')));
    expect(theirs?.errors).toEqual([
      {
        message: 'There is no training job with this id.',
        extensions: { code: 'NOT_FOUND', requestId: expect.any(String) },
      },
    ]);
    expect(never?.errors[0]?.message).toBe(theirs?.errors[0]?.message);
    expect(await only(unknownId('User'))).toEqual(['NOT_FOUND']);
  });

  it('is whoever is not ADMIN', async () => {
    const { jobId } = await newJob();
    expect(await only(jobId, { key: tenant.serviceKey })).toEqual(['FORBIDDEN']);
    expect(await only(jobId, { key: await tenant.personKey('ada') })).toEqual(['FORBIDDEN']);
    expect((await post({ query: PROGRESS }, { authorization: 'Bearer nonsense' })).status).toBe(401);
  });

  it('is what /graphql refuses: documents too deep or too costly, bodies that are none, points that are spent', async () => {
    const { jobId } = await newJob();
    const aliases = Array.from({ length: 101 }, (_, i) => `a${i}: id`).join(' ');
    const query = (selected: string) =>
      `subscription ($jobId: ID!) { trainingProgress(jobId: $jobId) { ${selected} } }`;
    expect(await only(jobId, { query: query(aliases) })).toEqual(['QUERY_TOO_COSTLY']);
    expect(await only(jobId, { query: query('nothing') })).toEqual(['GRAPHQL_VALIDATION_FAILED']);
    expect(await only(jobId, { query: 'subscription {' })).toEqual(['GRAPHQL_PARSE_FAILED']);
    expect((await post([{ query: PROGRESS }])).status).toBe(400);
    expect(await (await post({ query: 1 })).text()).toContain('"code":"BAD_REQUEST"');
    expect((await post({}, { 'content-type': 'application/xml' })).status).toBe(415);

    const poor = await service.tenant();
    await poor.run(() => service.test.database.tenant.updateMany({ data: { pointsPerMinute: 7 } }));
    service.platform.knownKeys.clear();
    const of = await newJob(poor);
    await of.change({ status: 'CANCELLED' });
    expect(await only(of.jobId, { key: poor.adminKey })).toEqual([]); // 5 of 7
    expect(await only(of.jobId, { key: poor.adminKey })).toEqual(['RATE_LIMITED']);
  });

  it('is a query or a mutation here, and a subscription at /graphql', async () => {
    expect(await only('', { query: '{ viewer { role } }' })).toEqual(['BAD_USER_INPUT']);
    const { data, errors } = await (async () => {
      const response = await fetch(`${service.url}/graphql`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${tenant.adminKey}` },
        body: JSON.stringify({ query: PROGRESS, variables: { jobId: unknownId('TrainingJob') } }),
      });
      return (await response.json()) as GraphqlAnswer;
    })();
    expect([data, errors[0]?.message]).toEqual([
      undefined,
      'This is a subscription: send it to /graphql/stream, which answers with a stream of events.',
    ]);
  });

  it('is more of them than one tenant may hold, and than the service holds', async () => {
    const other = await service.tenant();
    const [job, theirs] = [await newJob(), await newJob(other)];
    const held = [watch(job.jobId), watch(job.jobId)];
    for (const watching of held) await watching.next();
    const refused = await post({ query: PROGRESS, variables: { jobId: job.jobId } });
    expect([refused.status, refused.headers.get('retry-after'), await refused.json()]).toMatchObject([
      503,
      '1',
      {
        errors: [
          {
            message: expect.stringContaining('This tenant has 2 subscriptions open'),
            extensions: { code: 'OVERLOADED' },
          },
        ],
      },
    ]);
    const more = [watch(theirs.jobId, { key: other.adminKey }), watch(theirs.jobId, { key: other.adminKey })];
    for (const watching of more) await watching.next();
    const third = await service.tenant();
    const full = await post(
      { query: PROGRESS, variables: { jobId: 'any' } },
      { authorization: `Bearer ${third.adminKey}` },
    );
    expect([full.status, await full.text()]).toEqual([
      503,
      expect.stringContaining('The service has 4 subscriptions open'),
    ]);
    expect(service.server.inFlight.count).toBe(0); // open ones are not in flight
    for (const watching of [...held, ...more]) watching.leave();
  });
});

describe('a stream ends', () => {
  const key = async (expiresAt: Date | null = null) => {
    const { data } = await tenant.ask(
      'mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { secret apiKey { id } } }',
      { input: { name: 'watching', role: 'ADMIN', expiresAt } },
      tenant.adminKey,
    );
    return data.createApiKey as { secret: string; apiKey: { id: string } };
  };

  it('with its key, when that is revoked', async () => {
    const { secret, apiKey } = await key();
    const { jobId } = await newJob();
    const watching = watch(jobId, { key: secret });
    await watching.next();
    await tenant.ask(
      'mutation ($id: ID!) { revokeApiKey(input: { id: $id }) { apiKey { id } } }',
      { id: apiKey.id },
      tenant.adminKey,
    );
    expect(codesOf(await rest(watching))).toEqual(['UNAUTHENTICATED']);
  });

  it('with its key, when that expires', async () => {
    const { test } = service;
    const { secret } = await key(new Date(test.time.getTime() + 1_000));
    const { jobId } = await newJob();
    const watching = watch(jobId, { key: secret });
    await watching.next();
    test.time = new Date(test.time.getTime() + 1_000);
    expect(codesOf(await rest(watching))).toEqual(['UNAUTHENTICATED']);
  });

  it('with its tenant, when that is suspended', async () => {
    const suspended = await service.tenant();
    const { jobId } = await newJob(suspended);
    const watching = watch(jobId, { key: suspended.adminKey });
    await watching.next();
    await suspended.run(() => service.test.database.tenant.updateMany({ data: { suspendedAt: service.test.time } }));
    service.platform.knownKeys.forgetTenant(suspended.id);
    expect(codesOf(await rest(watching))).toEqual(['FORBIDDEN']);
  });

  it('with an event that would be sent for a key that was revoked meanwhile, and without it', async () => {
    const { secret, apiKey } = await key();
    const { jobId, change } = await newJob();
    const watching = watch(jobId, { key: secret });
    await watching.next();
    await tenant.ask(
      'mutation ($id: ID!) { revokeApiKey(input: { id: $id }) { apiKey { id } } }',
      { id: apiKey.id },
      tenant.adminKey,
    );
    await change({ status: 'SUCCEEDED', stage: 'secret' });
    const events = await rest(watching);
    expect([codesOf(events), events.map(stageOf)]).toEqual([['UNAUTHENTICATED'], [undefined]]);
  });

  it('when its client is gone, and leaves nothing behind', async () => {
    const { jobId, change } = await newJob();
    const watching = watch(jobId);
    await watching.next();
    expect([service.server.subscriptions.count, service.platform.trainingWatchers.count]).toEqual([1, 1]);
    watching.leave();
    await until(() => service.server.subscriptions.count === 0);
    await until(() => service.platform.trainingWatchers.count === 0);
    await change({ status: 'CANCELLED' });
  });

  it('when the server stops, and says so', async () => {
    const { jobId } = await newJob();
    const replica = await secondReplica();
    const watching = watch(jobId, replica);
    await watching.next();
    const [events] = await Promise.all([rest(watching), replica.close()]);
    expect(codesOf(events)).toEqual(['NOT_READY']);
  });
});
