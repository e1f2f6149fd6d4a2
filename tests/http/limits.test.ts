/** What one request may ask for at most: its shape, its cost, its size; all refused before anything runs. */
import { getIntrospectionQuery } from 'graphql';
import { type TestService, type TestTenant, testService } from './service.ts';

let service: TestService;
let tenant: TestTenant;

beforeAll(async () => {
  service = await testService();
  tenant = await service.tenant();
});
afterAll(() => service.close());

/** Asks, and expects that nothing was answered: the status and the error. */
async function refused(query: string, variables: object = {}) {
  const { data, errors, status } = await tenant.ask(query, variables);
  expect(data ?? null).toBeNull();
  return { status, ...errors[0]! };
}

const post = (body: string) =>
  fetch(`${service.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${tenant.serviceKey}` },
    body,
  });

/** `users { nodes { similarUsers { nodes { user { … } } } } }`, so often: 5 fields a time, one at the end. */
const nested = (times: number) => {
  const open = 'similarUsers(first: 1) { nodes { user { ';
  return `{ user(by: { externalId: "a" }) { ${open.repeat(times)} id ${'} } } '.repeat(times)} } }`;
};

describe('depth', () => {
  it('of 15 fields is answered', async () => {
    const { errors } = await tenant.ask('{ viewer { role } }');
    expect(errors).toEqual([]);
    const { errors: deep } = await tenant.ask(nested(4)); // 1 + 4 × 3 + 1 = 14
    expect(deep.map(({ extensions }) => extensions.code)).toEqual([]);
  });

  it('of more is refused, with both figures', async () => {
    expect(await refused(nested(5))).toEqual({
      status: 400,
      message: 'This operation nests 17 fields deep and at most 15 are allowed: ask for less at once.',
      extensions: { code: 'QUERY_TOO_COSTLY', depth: 17, maxDepth: 15, requestId: expect.any(String) },
    });
  });

  it('counts the fields of fragments, named or not, and fragments themselves as nothing', async () => {
    const fragments = Array.from(
      { length: 6 },
      (_, i) =>
        `fragment f${i} on User { similarUsers(first: 1) { nodes { ... on SimilarUser { user { ${i === 5 ? 'id' : `...f${i + 1}`} } } } } }`,
    );
    const { message } = await refused(`{ user(by: { externalId: "a" }) { ...f0 } } ${fragments.join('\n')}`);
    expect(message).toMatch(/^This operation nests 20 fields deep and at most 15/);
  });

  it('of the operation that runs is what counts, not of another in the document', async () => {
    const document = `query shallow { viewer { role } } query deep ${nested(5)}`;
    const ask = async (operationName: string) =>
      (await post(JSON.stringify({ query: document, operationName }))).json() as Promise<object>;
    expect(await ask('shallow')).toMatchObject({ data: { viewer: { role: 'SERVICE' } } });
    expect(await ask('deep')).toMatchObject({ errors: [{ extensions: { code: 'QUERY_TOO_COSTLY' } }] });
  });

  it('is enough for what tools ask to know the schema', async () => {
    const { errors, data } = await tenant.ask(getIntrospectionQuery());
    expect(errors).toEqual([]);
    expect(data.__schema.types.length).toBeGreaterThan(20);
  });
});

describe('aliases', () => {
  const aliases = (count: number) => Array.from({ length: count }, (_, i) => `a${i}: role`).join(' ');

  it('up to 100 are answered, one more is refused', async () => {
    const { errors } = await tenant.ask(`{ viewer { ${aliases(100)} } }`);
    expect(errors).toEqual([]);
    expect(await refused(`{ viewer { ${aliases(101)} } }`)).toMatchObject({
      status: 400,
      message:
        'This operation has 101 aliases and at most 100 are allowed: use fields that take lists, such as nodes and rank.',
      extensions: { code: 'QUERY_TOO_COSTLY', aliases: 101, maxAliases: 100 },
    });
  });

  it('of a fragment count as often as it is spread', async () => {
    const { message } = await refused(
      `{ a: viewer { ...f } b: viewer { ...f } c: viewer { ...f } } fragment f on Viewer { ${aliases(40)} }`,
    );
    expect(message).toMatch(/^This operation has 123 aliases/);
  });

  it('10,000 of them are more than a document may have tokens', async () => {
    const { message } = await refused(`{ viewer { ${aliases(10_000)} } }`);
    expect(message).toBe('Syntax Error: Document contains more that 2000 tokens. Parsing aborted.');
  });
});

describe('fragments', () => {
  it('that spread themselves are refused', async () => {
    const { message, extensions } = await refused(
      '{ viewer { ...a } } fragment a on Viewer { ...b } fragment b on Viewer { ...a }',
    );
    expect(message).toBe('Cannot spread fragment "a" within itself via "b".');
    expect(extensions.code).toBe('GRAPHQL_VALIDATION_FAILED');
  });

  const doubling = (times: number) => {
    const fragments = Array.from({ length: times }, (_, i) => `fragment f${i} on Viewer { ...f${i + 1} ...f${i + 1} }`);
    return `{ viewer { ...f0 } } ${fragments.join(' ')} fragment f${times} on Viewer { role }`;
  };

  it('that double from one to the next are counted, not walked', async () => {
    expect(await refused(doubling(20))).toMatchObject({
      status: 400,
      message:
        'This operation has 3145728 fields and fragments, each fragment counted as often as it is spread, and at most 10000 are allowed.',
      extensions: { code: 'QUERY_TOO_COSTLY', maxSelections: 10_000 },
    });
    expect(await refused(doubling(60))).toMatchObject({
      message: 'Anonymous operation recursively requests too many selections.',
    });
    expect((await tenant.ask(doubling(8))).data).toEqual({ viewer: { role: 'SERVICE' } });
  });
});

describe('a page', () => {
  it.each([
    ['by variable', 'query ($n: Int!) { users(first: $n) { nodes { id } } }'],
    ['by default', 'query ($n: Int = 100000) { users(first: $n) { nodes { id } } }'],
    ['written out', '{ users(first: 100000) { nodes { id } } }'],
  ])('of 100,000 people costs too much, asked for %s', async (way, query) => {
    expect(await refused(query, way === 'by variable' ? { n: 100_000 } : {})).toMatchObject({
      status: 400,
      extensions: { code: 'QUERY_TOO_COSTLY', cost: 200_001, maxCost: 20_000 },
    });
  });
});

describe('a body', () => {
  it('that is a list of operations is refused', async () => {
    const response = await post('[{"query":"{ viewer { role } }"},{"query":"{ viewer { role } }"}]');
    expect([response.status, await response.json()]).toEqual([
      400,
      {
        errors: [
          {
            message: 'The body is a list of 2 operations: send one a request, an object with query and variables.',
            extensions: { code: 'BAD_USER_INPUT', requestId: expect.any(String) },
          },
        ],
      },
    ]);
  });

  it('of more than 5 MB is refused by its size', async () => {
    const response = await post(
      JSON.stringify({ query: '{ viewer { role } }', variables: { a: 'x'.repeat(5_000_000) } }),
    );
    expect([response.status, await response.json()]).toMatchObject([
      413,
      {
        errors: [
          {
            message: 'The body is larger than 5000000 bytes, the most that /graphql takes.',
            extensions: { code: 'TOO_LARGE' },
          },
        ],
      },
    ]);
  });
});

describe('cost', () => {
  it('of reading every prompt is charged where prompts are searched, by variable too', async () => {
    const ask = (query: string, variables: object = {}) =>
      fetch(`${service.url}/graphql`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${tenant.serviceKey}` },
        body: JSON.stringify({ query, variables }),
      }).then(
        async (response) =>
          ((await response.json()) as { extensions: { cost: { points: number } } }).extensions.cost.points,
      );
    expect(await ask('{ images(first: 1) { nodes { id } } }')).toBe(3);
    expect(await ask('{ images(first: 1, query: "fox") { nodes { id } } }')).toBe(102);
    const byVariable = 'query ($words: String) { images(first: 1, query: $words) { nodes { id } } }';
    expect(await ask(byVariable, { words: 'fox' })).toBe(102);
    expect(await ask(byVariable)).toBe(3);
  });
});
