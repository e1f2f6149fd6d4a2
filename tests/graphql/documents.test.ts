/** A manifest of trusted documents is checked whole before the service starts; its errors name the entry. */
import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildSchema, parse } from 'graphql';
import { withTenant } from '../../src/database/client.ts';
import { startApolloServer } from '../../src/graphql/apolloServer.ts';
import { documentsByHash, parsedDocuments, readTrustedDocuments } from '../../src/graphql/documents.ts';

const schema = buildSchema('type Query { role: String }');
const GOOD = '{ role }';
const GOOD_HASH = sha256(GOOD);
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'palate-documents-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

async function read(manifest: unknown) {
  const path = join(folder, 'manifest.json');
  await writeFile(path, typeof manifest === 'string' ? manifest : JSON.stringify(manifest));
  return readTrustedDocuments(path, schema);
}

const apollo = (...operations: object[]) => ({ format: 'apollo-persisted-query-manifest', version: 1, operations });

it('is read as graphql-codegen and Relay write it, and as Apollo does, with ids of any kind', async () => {
  const plain = await read({ [GOOD_HASH]: GOOD });
  const ofApollo = await read(apollo({ id: 'role-1', name: 'Role', type: 'query', body: GOOD }));
  expect([plain.get(GOOD_HASH), ofApollo.get('role-1')]).toEqual([GOOD, GOOD]);
  for (const documents of [plain, ofApollo]) {
    expect([documents.has(GOOD), documents.has('{role}')]).toEqual([true, false]);
  }
});

const UNKNOWN = '{ nothing }';
const OPEN = '{ role';
it.each([
  [
    'a hash of another document',
    { ['0'.repeat(64)]: GOOD },
    `The entry ${'0'.repeat(64)} is the hash of another document; this one's is ${GOOD_HASH}.`,
  ],
  [
    'a document that does not fit the schema',
    { [sha256(UNKNOWN)]: UNKNOWN },
    `The document of the entry ${sha256(UNKNOWN)} cannot be served: Cannot query field "nothing" on type "Query".`,
  ],
  [
    'a document that does not parse',
    { [sha256(OPEN)]: OPEN },
    `The document of the entry ${sha256(OPEN)} cannot be served: Syntax Error: Expected Name, found <EOF>.`,
  ],
  ['an entry twice', apollo({ id: 'a', body: GOOD }, { id: 'a', body: GOOD }), 'The entry a is there twice.'],
  ['what is no JSON', '{', / is no JSON: /],
  ['another version of the format', { ...apollo(), version: 2 }, / is no manifest: it reads \{"<SHA-256 in hex>"/],
  ['a list', [GOOD], / is no manifest: /],
])('is refused for %s', async (_, manifest, message) => {
  await expect(read(manifest)).rejects.toMatchObject({
    code: 'BAD_USER_INPUT',
    message: typeof message === 'string' ? `PALATE_TRUSTED_DOCUMENTS: ${message}` : expect.stringMatching(message),
  });
});

it('is refused where it is not there', async () => {
  const path = join(folder, 'missing.json');
  await expect(readTrustedDocuments(path, schema)).rejects.toThrow(
    `PALATE_TRUSTED_DOCUMENTS: "${path}" cannot be read (ENOENT).`,
  );
});

it('what clients register is dropped, oldest first, when it is more than memory is given', async () => {
  const documents = documentsByHash(null);
  await withTenant('00000000-0000-0000-0000-000000000001', async () => {
    const megabyte = 'x'.repeat(1_000_000); // 2 MB as it is kept
    for (let i = 0; i < 20; i++) await documents.set(`apq:${i}`, megabyte);
    expect(await documents.get('apq:0')).toBeUndefined();
    expect(await documents.get('apq:19')).toBe(megabyte);
  });
});

it('that is missing where nothing else is taken stops the start', async () => {
  const limits = { maxQueryCost: 100, maxQueryTokens: 100, maxQueryDepth: 5, maxQueryAliases: 5 };
  const options = { introspection: true, hideSchema: false, trustedDocuments: null, onlyTrustedDocuments: true };
  await expect(startApolloServer(limits, options)).rejects.toThrow(
    'PALATE_ONLY_TRUSTED_DOCUMENTS: "on" refuses every document there is: set PALATE_TRUSTED_DOCUMENTS too.',
  );
});

it('keeps parsed documents in bounded memory, those that were asked last', async () => {
  const store = parsedDocuments(1_000);
  const documents = ['a', 'b', 'c'].map((name) => parse(`{ ${name} ${'# so many characters '.repeat(5)}\n }`));
  for (const [i, document] of documents.entries()) await store.set(String(i), document);
  expect(await store.get('0')).toBeUndefined();
  expect(await store.get('2')).toBe(documents[2]);
});
