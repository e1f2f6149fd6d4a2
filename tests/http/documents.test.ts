/** Documents by their hash: trusted ones, those that a client has registered, and a service that takes no others. */
import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestService, type TestTenant, testService } from './service.ts';

const TRUSTED = 'query Role { viewer { role } }';
const OTHER = '{ viewer { tenant { name } } }';
const NOT_TRUSTED =
  'This service answers trusted documents only, and this is none of them: send one of its manifest, or its hash in extensions.persistedQuery.sha256Hash.';
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

let folder: string;
let open: TestService;
let strict: TestService;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'palate-documents-'));
  const manifest = join(folder, 'manifest.json');
  await writeFile(manifest, JSON.stringify({ [sha256(TRUSTED)]: TRUSTED }));
  const api = { introspection: false, hideSchema: true, trustedDocuments: manifest };
  open = await testService({ api: { ...api, onlyTrustedDocuments: false } });
  strict = await testService({ api: { ...api, onlyTrustedDocuments: true } });
});
afterAll(async () => {
  await Promise.all([open.close(), strict.close()]);
  await rm(folder, { recursive: true, force: true });
});

interface Answer {
  status: number;
  data?: object;
  codes: string[];
  messages: string[];
}

async function send(service: TestService, tenant: TestTenant, body: object): Promise<Answer> {
  const response = await fetch(`${service.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${tenant.serviceKey}` },
    body: JSON.stringify(body),
  });
  const { data, errors = [] } = (await response.json()) as {
    data?: object;
    errors?: { message: string; extensions: { code: string } }[];
  };
  return {
    status: response.status,
    ...(data ? { data } : {}),
    codes: errors.map(({ extensions }) => extensions.code),
    messages: errors.map(({ message }) => message),
  };
}

const byHash = (text: string) => ({ extensions: { persistedQuery: { version: 1, sha256Hash: sha256(text) } } });
const ROLE = { status: 200, data: { viewer: { role: 'SERVICE' } }, codes: [], messages: [] };

describe('a trusted document', () => {
  it('is answered by its hash alone, by POST and by GET', async () => {
    const tenant = await open.tenant();
    expect(await send(open, tenant, byHash(TRUSTED))).toEqual(ROLE);
    const search = new URLSearchParams({ extensions: JSON.stringify(byHash(TRUSTED).extensions) });
    const response = await fetch(`${open.url}/graphql?${search}`, {
      headers: { authorization: `Bearer ${tenant.serviceKey}`, 'apollo-require-preflight': '1' },
    });
    expect(await response.json()).toMatchObject({ data: ROLE.data });
  });
});

describe('any other document', () => {
  it('is registered by who sends text and hash, and then asked for by its hash', async () => {
    const tenant = await open.tenant();
    expect(await send(open, tenant, byHash(OTHER))).toMatchObject({
      status: 200,
      codes: ['PERSISTED_QUERY_NOT_FOUND'],
      messages: ['PersistedQueryNotFound'],
    });
    const named = { status: 200, data: { viewer: { tenant: { name: 'a tenant' } } }, codes: [] };
    expect(await send(open, tenant, { query: OTHER, ...byHash(OTHER) })).toMatchObject(named);
    expect(await send(open, tenant, byHash(OTHER))).toMatchObject(named);
  });

  it('that another tenant has registered is not known', async () => {
    const [one, two] = [await open.tenant(), await open.tenant()];
    await send(open, one, { query: OTHER, ...byHash(OTHER) });
    expect(await send(open, one, byHash(OTHER))).toMatchObject({ codes: [] });
    expect(await send(open, two, byHash(OTHER))).toMatchObject({ codes: ['PERSISTED_QUERY_NOT_FOUND'] });
  });

  it.each([
    ['the hash of another', { query: OTHER, ...byHash(TRUSTED) }, 'provided sha does not match query'],
    [
      'another version of the protocol',
      { query: OTHER, extensions: { persistedQuery: { version: 2, sha256Hash: sha256(OTHER) } } },
      'Unsupported persisted query version',
    ],
    ['words for an object', { extensions: { persistedQuery: 'yes' } }, 'Unsupported persisted query version'],
  ])('is refused with %s', async (_, body, message) => {
    expect(await send(open, await open.tenant(), body)).toMatchObject({
      codes: ['BAD_USER_INPUT'],
      messages: [message],
    });
  });

  it('is not registered where it costs too much', async () => {
    const tenant = await open.tenant();
    const costly = '{ users(first: 100000) { nodes { id } } }';
    expect(await send(open, tenant, { query: costly, ...byHash(costly) })).toMatchObject({
      codes: ['QUERY_TOO_COSTLY'],
    });
    expect(await send(open, tenant, byHash(costly))).toMatchObject({ codes: ['PERSISTED_QUERY_NOT_FOUND'] });
  });
});

describe('a service that takes trusted documents only', () => {
  it('answers them, by hash and by text', async () => {
    const tenant = await strict.tenant();
    expect(await send(strict, tenant, byHash(TRUSTED))).toEqual(ROLE);
    expect(await send(strict, tenant, { query: TRUSTED })).toEqual(ROLE);
  });

  it('refuses all others, registered or not, before anything of them runs', async () => {
    const tenant = await strict.tenant();
    const refusal = { status: 403, codes: ['FORBIDDEN'], messages: [NOT_TRUSTED] };
    const mutation = 'mutation { upsertUsers(input: {items: [{externalId: "ada"}]}) { users { id } } }';
    expect(await send(strict, tenant, { query: mutation })).toEqual(refusal);
    expect(await send(strict, tenant, { query: OTHER, ...byHash(OTHER) })).toEqual(refusal);
    expect(await send(strict, tenant, byHash(OTHER))).toMatchObject({ codes: ['PERSISTED_QUERY_NOT_FOUND'] });
    const { user } = strict.test.database;
    expect(await tenant.run(async () => user.count())).toBe(0);
  });
});
