/**
 * The schema follows Relay's documents on connections and global ids, as graphql-eslint's rules read them. Pages go
 * forward only, by decision: `last` and `before` are asked for nowhere.
 */
import { readdir, readFile } from 'node:fs/promises';
import graphqlPlugin from '@graphql-eslint/eslint-plugin';
import { ESLint } from 'eslint';

const SCHEMA = new URL('../../src/graphql/schema/', import.meta.url);

/** Its rules' `docs` have more than ESLint's type of a plugin lets them. */
const plugin = graphqlPlugin as unknown as ESLint.Plugin;

/** What is said of this schema, as `rule: message`. */
async function complaints(schema: string): Promise<string[]> {
  const eslint = new ESLint({
    overrideConfigFile: true,
    overrideConfig: [
      {
        files: ['**/*.graphql'],
        plugins: { '@graphql-eslint': plugin },
        languageOptions: { parser: graphqlPlugin.parser, parserOptions: { graphQLConfig: { schema } } },
        rules: {
          '@graphql-eslint/relay-connection-types': 'error',
          // An edge's node may be a Score, which has no id; and similarImages is a list that nothing pages.
          '@graphql-eslint/relay-edge-types': [
            'error',
            { shouldImplementNode: false, listTypeCanWrapOnlyEdgeType: false },
          ],
          '@graphql-eslint/relay-page-info': 'error',
          '@graphql-eslint/relay-arguments': ['error', { includeBoth: false }],
        },
      },
    ],
  });
  const [result] = await eslint.lintText(schema, { filePath: 'schema.graphql' });
  return result!.messages.map(({ ruleId, message }) => `${ruleId}: ${message}`);
}

/** All files of the schema as one document. */
async function served(): Promise<string> {
  const files = (await readdir(SCHEMA)).filter((name) => name.endsWith('.graphql'));
  const texts = await Promise.all(files.map((name) => readFile(new URL(name, SCHEMA), 'utf8')));
  return texts.join('\n');
}

it('says nothing against the schema', async () => {
  expect(await complaints(await served())).toEqual([]);
});

const USERS = 'type UserConnection @allow(roles: [SERVICE]) {\n  edges: [UserEdge!]!';

/** What somebody might write one day, and the rule that must speak then. */
const mistakes: [mistake: string, rule: string, was: string, written: string][] = [
  ['a connection without edges', 'relay-connection-types', USERS, USERS.replace(/ {2}edges.*/, '  count: Int')],
  ['a connection without pageInfo', 'relay-connection-types', '  pageInfo: PageInfo!\n', ''],
  ['edges that are no list', 'relay-connection-types', 'edges: [UserEdge!]!', 'edges: UserEdge!'],
  ['an edge without a cursor', 'relay-edge-types', '  node: User!\n  cursor: String!', '  node: User!'],
  ['an edge whose node is a list', 'relay-edge-types', 'node: User!', 'node: [User!]!'],
  ['a hasNextPage that may be null', 'relay-page-info', 'hasNextPage: Boolean!', 'hasNextPage: Boolean'],
  ['a PageInfo without endCursor', 'relay-page-info', '  endCursor: String\n', ''],
  ['a connection without after', 'relay-arguments', 'users(first: Int = 20, after: String)', 'users(first: Int = 20)'],
  ['a first that is no Int', 'relay-arguments', 'users(first: Int = 20', 'users(first: String = "20"'],
];

it.each(mistakes)('would not pass over %s: %s', async (_, rule, was, written) => {
  const schema = await served();
  expect(schema).toContain(was);
  const said = await complaints(schema.replace(was, written));
  expect(said).toContainEqual(expect.stringMatching(`^@graphql-eslint/${rule}: `));
});
