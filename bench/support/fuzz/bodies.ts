/** Bodies of /graphql: JSON that is none or says something else, types that do not fit, lists of requests, variables. */
import type { Random } from '../../../src/random.ts';
import { randomDocument } from './documents.ts';
import { type FuzzTarget, type Generator, graphqlPost, randomBytes, someKey } from './target.ts';
import { forgedId, hostileNumber, hostileText, hostileValue, toHostileJson } from './values.ts';

const SMALL = '{"query":"{ viewer { role } }"}';

/** A JSON body with something cut off, added, put in or deeply nested. */
export const malformedJson: Generator = (random, target) => {
  const body = JSON.stringify({ query: randomDocument(random, target), variables: {}, operationName: null });
  const at = random.int(body.length);
  const levels = random.pick([100, 5_000, 100_000]);
  const text = random.pick([
    () => body.slice(0, at),
    () => body.slice(0, at) + random.pick(['"', '{', '}', ',', '\\', '\0', 'NaN', '\u2028', "'"]) + body.slice(at),
    () => `${body}${body}`,
    () => `)]}',\n${body}`,
    () => '['.repeat(levels),
    () => '{"query":'.repeat(levels),
    () => `{"query":"{ viewer { role } }","variables":${'['.repeat(levels)}${']'.repeat(levels)}}`,
    () => `{"query":"{ viewer { role } }","variables":${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}}`,
    () => `{"__proto__":{"query":"{ viewer { role } }"},"constructor":{"prototype":{}}}`,
    () => `{"query":"{ viewer { role } }","query":7}`,
    () => random.pick(['', 'null', 'true', '7', '"text"', '[]', '{}', '\ufeff{}', 'undefined', '{query}']),
    () =>
      toHostileJson({
        query: random.uniform() < 0.5 ? '{ viewer { role } }' : hostileValue(random, target),
        variables: hostileValue(random, target),
        operationName: hostileValue(random, target),
        extensions: hostileValue(random, target),
      }),
  ])();
  return graphqlPost(someKey(random, target), text);
};

const CONTENT_TYPES = [
  ...['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', 'multipart/form-data', ''],
  ...[
    'application/graphql',
    'application/xml',
    'application/json; charset=utf-16',
    'application/json;;;',
    'json',
    '*/*',
  ],
  ...[
    'application/octet-stream',
    'image/png',
    'application/json, text/html',
    'a/b; c="',
    `application/${'x'.repeat(5_000)}`,
  ],
];
const ACCEPTED = ['*/*', 'text/html', 'application/graphql-response+json', 'application/json;q=0', ';', 'a/b;q=2', ''];
const ENCODINGS = ['gzip', 'deflate', 'br', 'identity', 'chunked', 'x', 'gzip, gzip'];

/** A good body that is called something else, or other bytes that are called JSON. */
export const wrongType: Generator = (random, target) => {
  const headers: Record<string, string> = { 'content-type': random.pick(CONTENT_TYPES) };
  if (random.uniform() < 0.4) headers['accept'] = random.pick(ACCEPTED);
  if (random.uniform() < 0.3) headers['content-encoding'] = random.pick(ENCODINGS);
  if (random.uniform() < 0.3) headers['content-type'] = 'application/json';
  const body = random.pick([SMALL, 'query={viewer{role}}', '{ viewer { role } }', randomBytes(random, 200), '']);
  return graphqlPost(someKey(random, target), body, headers);
};

/** A list of requests where one is asked for. */
export const batch: Generator = (random, target) => {
  const count = random.pick([0, 1, 2, 10, 1_000]);
  const one = random.pick([SMALL, 'null', '[]', JSON.stringify({ query: randomDocument(random, target) })]);
  return graphqlPost(someKey(random, target), `[${Array.from({ length: count }, () => one).join(',')}]`);
};

const imageRef = (random: Random, target: FuzzTarget): object =>
  random.uniform() < 0.5 ? { id: random.pick(target.ids) } : { externalId: 'fox' };

/** Valid documents, each with the name of its variable. */
const DOCUMENTS: readonly [
  document: string,
  variable: string,
  good: (random: Random, target: FuzzTarget) => unknown,
][] = [
  ['query ($v: UserRef!) { user(by: $v) { id externalId } }', 'v', (r, t) => ({ externalId: r.pick(t.externalIds) })],
  ['query ($v: ImageRef!) { image(by: $v) { id url(maxSize: 256) } }', 'v', imageRef],
  ['query ($v: [ID!]!) { nodes(ids: $v) { id __typename } }', 'v', (_, t) => t.ids.slice(0, 20)],
  ['query ($v: ID!) { node(id: $v) { id } }', 'v', (r, t) => r.pick(t.ids)],
  ['query ($v: Int) { images(first: $v) { nodes { id } } }', 'v', () => 5],
  ['query ($v: String) { images(after: $v, query: $v, collection: $v) { totalCount } }', 'v', () => 'x'],
  [
    'query ($v: String) { users(first: 2, after: $v) { nodes { feedback(after: $v) { totalCount } } } }',
    'v',
    () => null,
  ],
  [
    'query ($v: [ID!]!) { users(first: 1) { nodes { rank(imageIds: $v) { notScored { code } scores { value } } } } }',
    'v',
    (_, t) => t.ids,
  ],
  [
    'query ($v: Int) { images(first: 1) { nodes { url(maxSize: $v) similarImages(first: $v) { id } } } }',
    'v',
    () => 256,
  ],
  [
    'mutation ($v: SubmitFeedbackInput!) { submitFeedback(input: $v) { userErrors { field code message } } }',
    'v',
    (r, t) => ({
      items: [
        {
          user: { externalId: r.pick(t.externalIds) },
          image: imageRef(r, t),
          sentiment: 'LIKE',
          weight: 1,
          comment: 'a',
          judgedAt: '2026-01-31T12:00:00Z',
        },
      ],
      idempotencyKey: 'a',
    }),
  ],
  [
    'mutation ($v: SubmitComparisonInput!) { submitComparison(input: $v) { userErrors { field code message } } }',
    'v',
    (r, t) => ({
      user: { externalId: r.pick(t.externalIds) },
      chosen: imageRef(r, t),
      others: [imageRef(r, t)],
      idempotencyKey: 'a',
    }),
  ],
  [
    'mutation ($v: UpsertUsersInput!) { upsertUsers(input: $v) { userErrors { code } } }',
    'v',
    (r, t) => ({ items: [{ externalId: r.pick(t.externalIds), displayName: 'A' }] }),
  ],
  [
    'mutation ($v: UpdateImagesInput!) { updateImages(input: $v) { userErrors { code } } }',
    'v',
    (r, t) => ({
      items: [{ id: r.pick(t.ids), prompt: 'a fox', collection: 'c', owner: { externalId: r.pick(t.externalIds) } }],
    }),
  ],
  [
    'mutation ($v: RetractFeedbackInput!) { retractFeedback(input: $v) { userErrors { code } } }',
    'v',
    () => ({ ids: ['x'] }),
  ],
  [
    'mutation ($v: CreateApiKeyInput!) { createApiKey(input: $v) { userErrors { code } } }',
    'v',
    () => ({ name: 'k', role: 'SERVICE' }),
  ],
];

/** A valid document whose variable is good but for one place in it, or altogether something else. */
export const hostileVariables: Generator = (random, target) => {
  const [query, name, good] = random.pick(DOCUMENTS);
  const value =
    random.uniform() < 0.15 ? hostileValue(random, target) : withOneHostile(random, target, good(random, target));
  return graphqlPost(someKey(random, target), toHostileJson({ query, variables: { [name]: value } }));
};

/** The value with one place in it, at any depth, taken by a hostile one; at times a list grown to 10,000. */
function withOneHostile(random: Random, target: FuzzTarget, value: unknown): unknown {
  if (Array.isArray(value) && value.length > 0 && random.uniform() < 0.9) {
    if (random.uniform() < 0.05) return Array.from({ length: 10_000 }, () => value[0]);
    const at = random.int(value.length);
    return value.map((item, i) => (i === at ? withOneHostile(random, target, item) : item));
  }
  if (value !== null && typeof value === 'object' && !Array.isArray(value) && random.uniform() < 0.9) {
    const chosen = random.pick(Object.keys(value));
    return Object.fromEntries(
      Object.entries(value).map(([key, field]) => [
        key,
        key === chosen ? withOneHostile(random, target, field) : field,
      ]),
    );
  }
  return sameType(random, target, value);
}

/** Mostly of the type that was there: what is of another is refused before any code of ours sees it. */
function sameType(random: Random, target: FuzzTarget, value: unknown): unknown {
  if (random.uniform() < 0.25) return hostileValue(random, target);
  if (typeof value === 'number') return hostileNumber(random);
  if (typeof value === 'string') return random.uniform() < 0.4 ? forgedId(random, target) : hostileText(random);
  return hostileValue(random, target);
}
