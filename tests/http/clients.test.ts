/**
 * The API as the libraries speak it that people write their clients with: each asks, changes something, reads a list
 * page by page, and shows an error of each kind as its users will meet it. Nothing is configured but address and key.
 */
import { ApolloClient, CombinedGraphQLErrors, gql, HttpLink, InMemoryCache } from '@apollo/client';
import { Client, cacheExchange, fetchExchange } from '@urql/core';
import { ClientError, GraphQLClient } from 'graphql-request';
import { type TestService, type TestTenant, testService } from './service.ts';

const VIEWER = 'query Viewer { viewer { role tenant { id name } } }';
const COUNT = 'query Count { viewer { role tenant { id userCount } } }';
const NO_PAGE = 'query NoPage { users(first: 0) { nodes { id } } }';
const UPSERT = `mutation Upsert($input: UpsertUsersInput!) {
  upsertUsers(input: $input) { users { id externalId displayName } userErrors { field code message } }
}`;
const USERS = `query Users($first: Int!, $after: String) {
  users(first: $first, after: $after) { nodes { id externalId } pageInfo { hasNextPage endCursor } totalCount }
}`;

interface UsersPage {
  users: {
    nodes: { id: string; externalId: string }[];
    pageInfo: { hasNextPage: boolean; endCursor: string | null };
    totalCount: number;
  };
}

/** One library: what it answers with, and the errors as it shows them. */
interface Library {
  query<T>(document: string, variables?: Record<string, unknown>): Promise<T>;
  mutate<T>(document: string, variables: Record<string, unknown>): Promise<T>;
  /** The errors that a query met. */
  errors(document: string): Promise<ShownError[]>;
}

interface ShownError {
  message: string;
  code: unknown;
  path: readonly (string | number)[] | undefined;
}

type GivenError = {
  message: string;
  path?: readonly (string | number)[] | undefined;
  extensions?: Record<string, unknown> | undefined;
};

const shown = ({ message, path, extensions }: GivenError): ShownError => ({
  message,
  path,
  code: extensions?.['code'],
});

function apollo(url: string, key: string): Library {
  const client = new ApolloClient({
    link: new HttpLink({ uri: url, headers: { authorization: `Bearer ${key}` } }),
    cache: new InMemoryCache(),
  });
  return {
    query: async <T>(document: string, variables = {}) =>
      (await client.query({ query: gql(document), variables })).data as T,
    mutate: async <T>(document: string, variables: Record<string, unknown>) =>
      (await client.mutate({ mutation: gql(document), variables })).data as T,
    errors: async (document) => {
      const error = await client.query({ query: gql(document) }).catch((thrown: unknown) => thrown);
      if (!CombinedGraphQLErrors.is(error)) throw error;
      return error.errors.map(shown);
    },
  };
}

function urql(url: string, key: string): Library {
  const client = new Client({
    url,
    exchanges: [cacheExchange, fetchExchange],
    fetchOptions: { headers: { authorization: `Bearer ${key}` } },
    preferGetMethod: false,
  });
  const dataOf = <T>({ data, error }: { data?: T; error?: Error | undefined }): T => {
    if (error) throw error;
    return data!;
  };
  return {
    query: async <T>(document: string, variables = {}) => dataOf<T>(await client.query(document, variables)),
    mutate: async <T>(document: string, variables: Record<string, unknown>) =>
      dataOf<T>(await client.mutation(document, variables)),
    errors: async (document) => (await client.query(document, {})).error!.graphQLErrors.map(shown),
  };
}

function graphqlRequest(url: string, key: string): Library {
  const client = new GraphQLClient(url, { headers: { authorization: `Bearer ${key}` } });
  return {
    query: (document, variables = {}) => client.request(document, variables),
    mutate: (document, variables) => client.request(document, variables),
    errors: async (document) => {
      const error = await client.request(document).catch((thrown: unknown) => thrown);
      if (!(error instanceof ClientError)) throw error;
      return error.response.errors!.map(shown);
    },
  };
}

let service: TestService;
let tenant: TestTenant;

beforeAll(async () => {
  service = await testService();
});
beforeEach(async () => {
  tenant = await service.tenant();
});
afterAll(() => service.close());

describe.each([
  ['@apollo/client', apollo],
  ['@urql/core', urql],
  ['graphql-request', graphqlRequest],
])('%s', (_, library) => {
  const connect = (key = tenant.serviceKey) => library(`${service.url}/graphql`, key);

  it('asks', async () => {
    const { viewer } = await connect().query<{ viewer: object }>(VIEWER);
    expect(viewer).toMatchObject({ role: 'SERVICE', tenant: { name: 'a tenant' } });
  });

  it('changes something, and is told what of it could not be done', async () => {
    const items = [{ externalId: 'ada', displayName: 'Ada' }, { externalId: '' }];
    const { upsertUsers } = await connect().mutate<{ upsertUsers: object }>(UPSERT, { input: { items } });
    expect(upsertUsers).toMatchObject({
      users: [{ externalId: 'ada', displayName: 'Ada' }, null],
      userErrors: [{ field: ['items', '1', 'externalId'], code: 'INVALID', message: expect.any(String) }],
    });
    const { data } = await tenant.ask('{ users { nodes { externalId displayName } } }');
    expect(data.users.nodes).toEqual([{ externalId: 'ada', displayName: 'Ada' }]);
  });

  it('reads a list page by page, the newest first', async () => {
    const ids = await tenant.people('ada', 'ben', 'cleo');
    const client = connect();
    const { users: first } = await client.query<UsersPage>(USERS, { first: 2 });
    expect(first).toMatchObject({ totalCount: 3, pageInfo: { hasNextPage: true, endCursor: expect.any(String) } });
    const { users: second } = await client.query<UsersPage>(USERS, { first: 2, after: first.pageInfo.endCursor });
    expect(second.pageInfo.hasNextPage).toBe(false);
    expect([...first.nodes, ...second.nodes].map(({ id }) => id)).toEqual(ids.toReversed());
  });

  it('shows that a field is not for this key', async () => {
    const errors = await connect().errors(COUNT);
    expect(errors).toMatchObject([
      { code: 'FORBIDDEN', message: expect.stringContaining('Tenant.userCount is for OPERATOR, ADMIN') },
    ]);
    const { viewer } = await connect(tenant.adminKey).query<{ viewer: object }>(COUNT);
    expect(viewer).toMatchObject({ tenant: { userCount: 0 } });
  });

  it('shows what is wrong with an argument, and where', async () => {
    expect(await connect().errors(NO_PAGE)).toEqual([
      {
        code: 'BAD_USER_INPUT',
        message: 'first is 0; it must be a whole number from 1 to 100.',
        path: ['users'],
      },
    ]);
  });

  it('shows that the key is not known', async () => {
    const errors = await connect('plt_nonsense').errors(VIEWER);
    expect(errors).toMatchObject([{ code: 'UNAUTHENTICATED', message: expect.stringContaining('This is no API key') }]);
  });
});
