/**
 * The service as a client meets it: HTTP over loopback, real PostgreSQL, real encoders, a model whose parameters were
 * drawn and not trained. Encoding is done when a test asks for it, so that nothing is waited for.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import pg from 'pg';
import { pino } from 'pino';
import sharp from 'sharp';
import { serverOptions } from '../../src/commands/start/serverOptions.ts';
import { readConfig } from '../../src/config.ts';
import { withTenant } from '../../src/database/client.ts';
import { toGlobalId } from '../../src/domain/ids.ts';
import { Networks } from '../../src/domain/models.ts';
import { PictureLinks } from '../../src/domain/pictureLinks.ts';
import { createPlatform, type Platform } from '../../src/domain/platform.ts';
import { openFileStores } from '../../src/files/open.ts';
import { createServer, type ServerOptions, stopServer } from '../../src/http/server.ts';
import { encodeJobs } from '../../src/workers/encode.ts';
import { findExemplars } from '../../src/workers/exemplars.ts';
import { newTenant, type TestDatabase, testDatabase } from '../support/database.ts';
import { shippedEncoders } from '../support/encoders.ts';
import { untrainedModel } from '../support/model.ts';
import { newIssuer, signWithSecret, type TokenIssuer, tokenParts } from '../support/tokens.ts';

export interface GraphqlAnswer {
  status: number;
  // biome-ignore lint/suspicious/noExplicitAny: a test reads what it has just asked for
  data: any;
  errors: { message: string; path?: (string | number)[]; extensions: { code: string } & Record<string, unknown> }[];
}

export interface TestTenant {
  id: string;
  adminKey: string;
  serviceKey: string;
  /** Runs work in the tenant's session. */
  run<T>(work: () => Promise<T>): Promise<T>;
  /** Asks as SERVICE, or as the key given. */
  ask(query: string, variables?: object, key?: string): Promise<GraphqlAnswer>;
  /** Uploads a picture of one colour and answers its global id. */
  upload(colour: string, fields?: Record<string, string>): Promise<string>;
  /** Encodes everything that is PENDING. */
  encode(): Promise<void>;
  /** Has the worker find the exemplars. */
  findExemplars(): Promise<void>;
  /** Creates people and answers their global ids. */
  people(...externalIds: string[]): Promise<string[]>;
  judge(user: string, sentiment: 'LIKE' | 'DISLIKE' | 'SKIP', ...images: string[]): Promise<void>;
  /** A token of this person's for an hour, with other claims if given: what `ask` takes as a key. */
  personKey(externalId: string, claims?: Record<string, unknown>): Promise<string>;
}

export interface TestService {
  url: string;
  server: FastifyInstance;
  /** Where its pictures lie. */
  pictureFolder: string;
  /** Where the files of model versions lie. */
  modelFolder: string;
  test: TestDatabase;
  platform: Platform;
  /** Calls of the model's score so far. */
  scoreCalls(): number;
  /** Statements that the service has sent to the tables so far. */
  statements(): number;
  /** Every line that was logged. */
  logLines(): string[];
  tenant(): Promise<TestTenant>;
  close(): Promise<void>;
}

/** A PNG picture of one colour, 48 × 32 pixels unless told. */
export function picture(colour: string, width = 48, height = 32): Promise<Buffer> {
  return sharp({ create: { width, height, channels: 3, background: colour } })
    .png()
    .toBuffer();
}

const sent: string[] = [];
const send = pg.Client.prototype.query;
pg.Client.prototype.query = function (this: pg.Client, ...args: unknown[]) {
  const [query] = args as [string | { text?: string }];
  const text = typeof query === 'string' ? query : (query?.text ?? '');
  if (!/pgboss|^(BEGIN|COMMIT|ROLLBACK)|set_config/.test(text)) sent.push(text);
  return Reflect.apply(send, this, args);
} as typeof send;

/**
 * @param overrides of the server's options, which are those of a service without settings
 * @param environment settings of where files lie, a folder of the service's own by default, and of batches
 */
export async function testService(
  overrides: Partial<ServerOptions> = {},
  environment: Readonly<Record<string, string>> = {},
): Promise<TestService> {
  const test = await testDatabase();
  const directory = await mkdtemp(join(tmpdir(), 'palate-http-'));
  const pictureFolder = join(directory, 'pictures');
  const { imageEncoder, textEncoder } = await shippedEncoders();
  const model = await untrainedModel({ image: imageEncoder.sha256, text: textEncoder.sha256 });
  let scoreCalls = 0;
  const score = model.score.bind(model);
  model.score = ((...call: Parameters<typeof score>) => {
    scoreCalls++;
    return score(...call);
  }) as typeof score;

  let url = '';
  const logLines: string[] = [];
  const log = pino({ level: 'info' }, { write: (line: string) => void logLines.push(line) });
  const config = readConfig({ PALATE_DATA_DIR: directory, ...environment });
  const files = await openFileStores(config, log);
  const { pictures, weights } = files;
  const platform = createPlatform(
    {
      database: test.database,
      queue: test.queue,
      pictures,
      pictureLimits: { maxBytes: 200_000, maxPixels: 1_000_000 },
      maxPendingImages: 1_000,
      weights,
      networks: new Networks({
        ...{ base: model, files: weights, maxBytes: 100_000_000, log },
        batches: { waitMs: config.batchWaitMs, maxQueuedTargets: config.maxQueuedScores },
      }),
      baseModel: model,
      links: new PictureLinks('a key for tests, of 32 characters', () => url),
      now: test.now,
      ...tokenParts(test.now, log),
    },
    { userStates: 50_000_000, itemVectors: 50_000_000, vectorIndexes: 50_000_000 },
  );
  const server = await createServer(platform, { ...serverOptions(readConfig({}), log), ...overrides });
  url = await server.listen({ host: '127.0.0.1', port: 0 });

  const ask = async (query: string, variables: object, key: string): Promise<GraphqlAnswer> => {
    if (query.startsWith('subscription')) return firstEvent(url, query, variables, key);
    const response = await fetch(`${url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
      body: JSON.stringify({ query, variables }),
    });
    const { data, errors = [] } = (await response.json()) as GraphqlAnswer;
    return { status: response.status, data, errors };
  };

  return {
    url,
    server,
    pictureFolder,
    modelFolder: join(directory, 'models'),
    test,
    platform,
    scoreCalls: () => scoreCalls,
    statements: () => sent.length,
    logLines: () => logLines,
    async tenant() {
      const made = await newTenant(test.database, model);
      let shared: Promise<TokenIssuer> | null = null;
      const self: TestTenant = {
        ...made,
        ask: (query, variables = {}, key = made.serviceKey) => ask(query, variables, key),
        async upload(colour, fields = {}) {
          const form = new FormData();
          form.set('file', new Blob([await picture(colour)]), 'picture.png');
          for (const [name, value] of Object.entries(fields)) form.set(name, value);
          const headers = { authorization: `Bearer ${made.serviceKey}` };
          const response = await fetch(`${url}/images`, { method: 'POST', headers, body: form });
          const body = (await response.json()) as { id: string };
          if (!response.ok) throw new Error(JSON.stringify(body));
          return body.id;
        },
        encode: () =>
          withTenant(made.id, async () => {
            const rows = await test.database.image.findMany({ where: { status: 'PENDING' }, select: { id: true } });
            const data = { tenantId: made.id, imageIds: rows.map(({ id }) => id) };
            await encodeJobs({ ...platform, imageEncoder, textEncoder }, [{ data, lastAttempt: true }], made.id);
          }),
        findExemplars: () => withTenant(made.id, () => findExemplars(platform, [])),
        async people(...externalIds) {
          const { data } = await self.ask(
            `mutation ($items: [UpsertUserItem!]!) { upsertUsers(input: { items: $items }) { users { id } } }`,
            { items: externalIds.map((externalId) => ({ externalId })) },
          );
          return data.upsertUsers.users.map(({ id }: { id: string }) => id);
        },
        async judge(user, sentiment, ...images) {
          const { data } = await self.ask(
            `mutation ($items: [FeedbackItem!]!) { submitFeedback(input: { items: $items }) { userErrors { message } } }`,
            { items: images.map((image) => ({ user: { id: user }, image: { id: image }, sentiment })) },
          );
          expect(data.submitFeedback.userErrors).toEqual([]);
        },
        async personKey(externalId, claims) {
          shared ??= shareSecret(self);
          return signWithSecret(await shared, { sub: externalId, ...claims }, test.now());
        },
      };
      return self;
    },
    async close() {
      await stopServer(server, 5);
      await platform.networks.close();
      await Promise.all([model, imageEncoder, textEncoder].map((network) => network.close()));
      await test.close();
      files.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** The first event of a subscription, which is left then. */
async function firstEvent(url: string, query: string, variables: object, key: string): Promise<GraphqlAnswer> {
  const response = await fetch(`${url}/graphql/stream`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'text/event-stream', authorization: `Bearer ${key}` },
    body: JSON.stringify({ query, variables }),
  });
  let text = '';
  for await (const bytes of response.body!) {
    text += Buffer.from(bytes).toString();
    const [, event] = /^event: next\ndata: (.*)\n\n/m.exec(text) ?? [];
    if (event === undefined) continue;
    const { data, errors = [] } = JSON.parse(event) as GraphqlAnswer;
    return { status: response.status, data, errors }; // which lets go of the stream
  }
  throw new Error(`A subscription ended without an event: ${text}`);
}

/** Lets a tenant take tokens that are signed with a secret, as its ADMIN does. */
async function shareSecret({ id, ask, adminKey }: TestTenant): Promise<TokenIssuer> {
  const made = newIssuer(id);
  const { data } = await ask(
    'mutation ($input: UpdateTenantSettingsInput!) { updateTenantSettings(input: $input) { userErrors { message } } }',
    { input: { tokenIssuer: made.issuer, tokenSecret: made.secret } },
    adminKey,
  );
  expect(data.updateTenantSettings.userErrors).toEqual([]);
  return made;
}

/** A well-formed id of this type that names nothing. */
export function unknownId(type: Parameters<typeof toGlobalId>[0]): string {
  return toGlobalId(type, '01890000-0000-7000-8000-000000000000');
}
