/** Variables are coerced as graphql-js would, once, and run as they then are. */
import {
  buildSchema,
  execute,
  type GraphQLScalarType,
  getIntrospectionQuery,
  getVariableValues,
  graphqlSync,
  type OperationDefinitionNode,
  parse,
} from 'graphql';
import { coerceVariables, takingCoerced, type Variables } from '../../src/graphql/variables.ts';

const schema = buildSchema(`
  scalar Doubled
  enum Colour { RED BLUE }
  input Ref @oneOf { id: ID externalId: String }
  input Item { ref: Ref! colour: Colour = BLUE weight: Float tags: [String!] doubled: Doubled within: [Item] }
  input Items { items: [Item!]! first: Int! = 7 }
  type Query { echo(input: Items, ids: [ID!], count: Int = 3, on: Boolean, doubled: Doubled): String }
`);
const parsed: unknown[] = [];
(schema.getType('Doubled') as GraphQLScalarType).parseValue = (value) => {
  parsed.push(value);
  if (typeof value !== 'number') throw new TypeError('not a number');
  return 2 * value;
};
const document = parse(`query (
  $input: Items, $ids: [ID!], $count: Int = 5, $on: Boolean!, $doubled: Doubled, $__proto__: [Int]
) { echo(input: $input, ids: $ids, count: $count, on: $on, doubled: $doubled) }`);
const operation = document.definitions[0] as OperationDefinitionNode;

const item = { ref: { id: 'a' } };
const input = (...items: unknown[]) => ({ input: { items } });
const fitting: Variables[] = [
  {},
  { input: null, ids: null, count: null, doubled: null },
  { ids: [1, 'b'], count: 2, doubled: 4 },
  { ids: 'alone' },
  JSON.parse('{ "__proto__": [1, null] }'),
  input(),
  input(item, { ref: { externalId: 'x' }, colour: 'RED', weight: 1, tags: ['t'], doubled: 1 }),
  { input: { items: item, first: 1 } },
  input({ ...item, colour: null, tags: 'one', within: [null, { ...item, within: [item] }] }),
];
const unfit: Variables[] = [
  { ids: [null] },
  { ids: {} },
  { count: '2' },
  { count: 2 ** 40 },
  { doubled: 'x' },
  { input: [] },
  { input: 'x' },
  { input: {} },
  { input: { items: [], first: null } },
  { input: { items: [item, { ref: {} }], first: 1 } },
  input({}),
  input(null),
  input({ ref: { id: 'a', externalId: 'b' } }),
  input({ ref: { id: null } }),
  input({ ...item, colour: 'GREEN' }),
  input({ ...item, colour: 1 }),
  input({ ...item, more: 1 }),
  input({ ...item, constructor: 1 }),
  input({ ...item, within: [{ ...item, doubled: 'x' }] }),
];

it.each(fitting)('coerces %j as graphql-js does', (given) => {
  const all = { on: true, ...given };
  const { coerced } = getVariableValues(schema, operation.variableDefinitions ?? [], all);
  expect({ ...coerceVariables(schema, operation, all) }).toEqual(coerced);
  expect(coerced).toBeDefined();
});

it.each([...unfit.map((given) => ({ on: true, ...given })), {}, { on: null }])(
  'says of %j what graphql-js says first',
  (given) => {
    const { errors } = getVariableValues(schema, operation.variableDefinitions ?? [], given);
    expect(() => coerceVariables(schema, operation, given)).toThrow(errors![0]!);
  },
);

it('runs an operation with the values as they are, coerced once', () => {
  parsed.length = 0;
  const given = { on: true, doubled: 21, ids: [1], input: { items: [{ ...item, colour: 'RED', doubled: 4 }] } };
  const variableValues = coerceVariables(schema, operation, given);
  const rootValue = { echo: (args: object) => JSON.stringify(args) };
  const { data, errors } = execute({
    ...{ schema, document: takingCoerced(schema, document, operation), rootValue, variableValues },
  }) as { data?: { echo: string }; errors?: unknown };
  expect(errors).toBeUndefined();
  expect(JSON.parse(data!.echo)).toEqual({
    ...{ on: true, count: 5, doubled: 42, ids: ['1'] },
    input: { first: 7, items: [{ ...item, colour: 'RED', doubled: 8 }] },
  });
  expect(parsed).toEqual([4, 21]);
});

it('leaves an operation without variables as it is, and makes one document of every other', () => {
  const plain = parse('{ echo }');
  expect(takingCoerced(schema, plain, plain.definitions[0] as OperationDefinitionNode)).toBe(plain);
  expect(takingCoerced(schema, document, operation)).toBe(takingCoerced(schema, document, operation));
});

it('shows nothing of it in the schema', () => {
  takingCoerced(schema, document, operation);
  const shown = JSON.stringify(graphqlSync({ schema, source: getIntrospectionQuery() }));
  expect(shown).toContain('Doubled');
  expect(shown).not.toContain('__Coerced');
});
