/** `@allow`: each field's rule holds, a type's rule where the field has none, and a field without either cannot be served. */
import { makeExecutableSchema } from '@graphql-tools/schema';
import { type OperationDefinitionNode, parse } from 'graphql';
import type { Role } from '../../src/domain/credentials.ts';
import { AccessRules, deniedFields } from '../../src/graphql/allow.ts';
import { buildSchema } from '../../src/graphql/schema.ts';

const schemaOf = (types: string) =>
  makeExecutableSchema({
    typeDefs: `
      directive @allow(roles: [Role!]!) on OBJECT | FIELD_DEFINITION
      enum Role { OPERATOR ADMIN SERVICE USER }
      ${types}`,
  });

const schema = schemaOf(`
  type Query { thing: Thing @allow(roles: [ADMIN, SERVICE, USER]) node: Node @allow(roles: [SERVICE, USER]) }
  interface Node { id: ID }
  type Thing implements Node @allow(roles: [SERVICE]) {
    id: ID
    common: String
    own: String @allow(roles: [USER])
    other: Thing
  }`);

function denied(role: Role, source: string): string[] {
  const document = parse(source);
  return [...deniedFields(schema, document, document.definitions[0] as OperationDefinitionNode, role)].map(
    ({ path }) => path,
  );
}

it("a type's rule holds for its fields; ADMIN may do what SERVICE may", () => {
  expect(denied('SERVICE', '{ thing { common } }')).toEqual([]);
  expect(denied('ADMIN', '{ thing { common } }')).toEqual([]);
  expect(denied('USER', '{ thing { common } }')).toEqual(['Thing.common']);
  expect(denied('OPERATOR', '{ thing { common } }')).toEqual(['Query.thing', 'Thing.common']);
});

it("a field's rule stands in place of its type's", () => {
  expect(denied('USER', '{ thing { own } }')).toEqual([]);
  expect(denied('SERVICE', '{ thing { own } }')).toEqual(['Thing.own']);
  expect(denied('ADMIN', '{ thing { own } }')).toEqual(['Thing.own']);
});

it.each([
  ['an alias', '{ thing { id: common } }'],
  ['a directive that leaves it out', '{ thing { common @skip(if: true) } }'],
  ['a fragment', '{ thing { ...f } } fragment f on Thing { common }'],
  ['a fragment within a fragment', '{ thing { ...f } } fragment f on Thing { ...g } fragment g on Thing { common }'],
  ['an inline fragment', '{ thing { ... { ... on Thing { common } } } }'],
  ['an interface', '{ node { id ... on Thing { common } } }'],
])('a field is found behind %s', (_, source) => {
  expect(denied('USER', source)).toEqual(['Thing.common']);
});

it('a field that is not asked for denies nothing', () => {
  const other = 'query { thing { own } } query other { thing { common } }';
  expect(denied('USER', other)).toEqual([]);
});

it('a schema with a field that no rule covers is not served', () => {
  const open = schemaOf('type Query { open: String, ruled: String @allow(roles: [ADMIN]) }');
  expect(() => new AccessRules(open)).toThrow(
    'No @allow rule covers Query.open: give the field or its type one in src/graphql/schema.',
  );
});

it('every field of the schema that serves is covered', () => {
  expect(() => buildSchema()).not.toThrow();
});
