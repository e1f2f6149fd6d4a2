/** In production: no introspection, and errors that say nothing of the inside. */
import pg from 'pg';
import { pino } from 'pino';
import { serverOptions } from '../../src/commands/start/serverOptions.ts';
import { readConfig } from '../../src/config.ts';
import { picture, type TestService, type TestTenant, testService } from './service.ts';

const optionsOf = (environment: Record<string, string>) =>
  serverOptions(readConfig(environment), pino({ level: 'silent' }));

let service: TestService;
let tenant: TestTenant;

beforeAll(async () => {
  service = await testService({ api: optionsOf({ NODE_ENV: 'production' }).api });
  tenant = await service.tenant();
});
afterAll(() => service.close());

it.each([
  [{}, true],
  [{ NODE_ENV: 'test' }, true],
  [{ NODE_ENV: 'production' }, false],
  [{ NODE_ENV: 'production', PALATE_INTROSPECTION: 'on' }, true],
  [{ PALATE_INTROSPECTION: 'off' }, false],
])('with %j the schema may be asked for: %s', (environment, introspection) => {
  expect(optionsOf(environment as Record<string, string>).api.introspection).toBe(introspection);
});

it('does not tell the schema', async () => {
  for (const query of ['{ __schema { types { name } } }', '{ __type(name: "User") { fields { name } } }']) {
    const { data, errors } = await tenant.ask(query);
    expect(data).toBeUndefined();
    expect(errors[0]!.extensions.code).toBe('GRAPHQL_VALIDATION_FAILED');
    expect(errors[0]!.message).toContain('introspection');
  }
  expect((await tenant.ask('{ __typename viewer { __typename } }')).errors).toEqual([]);
});

it('does not suggest names that the schema has', async () => {
  const { errors } = await tenant.ask('{ viewe { role } }');
  expect(errors.map(({ message }) => message)).toEqual(['Cannot query field "viewe" on type "Query".']);
  const wrong = await tenant.ask('query ($s: ImageStatus) { images(status: $s) { totalCount } }', { s: 'READ' });
  expect(wrong.errors.map(({ message }) => message)).toEqual([
    'Variable "$s" got invalid value "READ"; Value "READ" does not exist in "ImageStatus" enum.',
  ]);
  const item = await tenant.ask(
    'mutation ($items: [UpsertUserItem!]!) { upsertUsers(input: { items: $items }) { users { id } } }',
    { items: [{ externalI: 'a' }] },
  );
  expect(item.errors[0]!.extensions.code).toBe('BAD_USER_INPUT');
  expect(JSON.stringify(item.errors)).not.toContain('Did you mean');
});

const MASKED = 'The service failed to answer this; its log tells why, under the x-request-id of this response.';

/** What must be in no answer: names of files, packages, tables, statements, addresses. */
const INSIDE = /\.ts|node_modules|prisma|pg_|SELECT|relation|column|constraint|postgres|ECONN|stack|hunter2|at /i;

it('says nothing of a resolver that fails', async () => {
  const { user } = service.test.database;
  const findMany = user.findMany;
  Object.defineProperty(user, 'findMany', {
    configurable: true,
    value: () => Promise.reject(new TypeError("Cannot read properties of undefined (reading 'hunter2')")),
  });
  const { errors } = await tenant.ask('{ users { nodes { id } } }');
  Object.defineProperty(user, 'findMany', { configurable: true, value: findMany });
  expect(errors).toEqual([
    {
      message: MASKED,
      path: ['users'],
      locations: expect.anything(),
      extensions: { code: 'INTERNAL_SERVER_ERROR', requestId: expect.any(String) },
    },
  ]);
});

it('says nothing of a database that fails', async () => {
  const owner = new pg.Client({ connectionString: service.test.ownerUrl });
  await owner.connect();
  await owner.query('ALTER TABLE users RENAME TO users_gone');
  const { errors } = await tenant.ask('{ users { nodes { id } } }');
  const upload = await fetch(`${service.url}/images`, {
    method: 'POST',
    headers: { authorization: `Bearer ${tenant.serviceKey}` },
    body: await withOwner(),
  });
  const body = (await upload.json()) as object;
  await owner.query('ALTER TABLE users_gone RENAME TO users');
  await owner.end();
  expect(errors.map(({ message }) => message)).toEqual([MASKED]);
  expect([upload.status, body]).toEqual([
    500,
    { error: { code: 'INTERNAL_SERVER_ERROR', message: MASKED, requestId: expect.any(String) } },
  ]);
  const line = service
    .logLines()
    .find(
      (text) => text.includes((body as { error: { requestId: string } }).error.requestId) && text.includes('failed'),
    );
  expect(line).toMatch(/users/);
});

async function withOwner(): Promise<FormData> {
  const form = new FormData();
  form.set('file', new Blob([await picture('red')]), 'red.png');
  form.set('owner', 'ada');
  return form;
}

it.each([
  ['a number for a name', 'query ($e: String!) { user(by: { externalId: $e }) { id } }', { e: 7 }],
  ['nothing where something must be', 'query ($e: String!) { user(by: { externalId: $e }) { id } }', {}],
  ['a text for a number', 'query ($n: Int!) { users(first: $n) { nodes { id } } }', { n: 'many' }],
  ['a list for an object', 'query ($u: UserRef!) { user(by: $u) { id } }', { u: [[[[]]]] }],
  ['a prototype', 'query ($u: UserRef!) { user(by: $u) { id } }', JSON.parse('{"u":{"constructor":{"a":1}}}')],
])('says of %s what is wrong with it and nothing of the inside', async (_, query, variables) => {
  const { errors } = await tenant.ask(query, variables);
  expect(errors.length).toBeGreaterThan(0);
  for (const { message, extensions } of errors) {
    expect(['BAD_USER_INPUT', 'GRAPHQL_VALIDATION_FAILED']).toContain(extensions.code);
    expect(Object.keys(extensions).sort()).toEqual(['code', 'requestId']);
    expect(message).not.toMatch(INSIDE);
  }
});
