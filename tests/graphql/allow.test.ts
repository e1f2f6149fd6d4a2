/** `@allow`: each field's rule holds, a type's rule where the field has none, and a field without either cannot be served. */
import { makeExecutableSchema } from '@graphql-tools/schema';
import { graphql } from 'graphql';
import { enforceAllow } from '../../src/graphql/allow.ts';
import { buildSchema } from '../../src/graphql/schema.ts';

const build = (types: string) =>
  enforceAllow<{ role: string }>(
    makeExecutableSchema({
      typeDefs: `
        directive @allow(roles: [Role!]!) on OBJECT | FIELD_DEFINITION
        enum Role { ADMIN SERVICE USER }
        ${types}`,
    }),
    ({ role }) => role,
  );

const THING = `
  type Query { thing: Thing @allow(roles: [ADMIN, SERVICE, USER]) }
  type Thing @allow(roles: [SERVICE]) { common: String own: String @allow(roles: [USER]) }`;

const ask = async (role: string, field: string) => {
  const source = `{ thing { ${field} } }`;
  const rootValue = { thing: { common: 'common', own: 'own' } };
  const { data, errors } = await graphql({ schema: build(THING), source, rootValue, contextValue: { role } });
  return errors ? errors[0]?.message : (data as { thing: Record<string, string> }).thing[field];
};

it("a type's rule holds for its fields; ADMIN may do what SERVICE may", async () => {
  expect(await ask('SERVICE', 'common')).toBe('common');
  expect(await ask('ADMIN', 'common')).toBe('common');
  expect(await ask('USER', 'common')).toBe("Thing.common is for SERVICE; this key's role is USER.");
});

it("a field's rule stands in place of its type's", async () => {
  expect(await ask('USER', 'own')).toBe('own');
  expect(await ask('SERVICE', 'own')).toBe("Thing.own is for USER; this key's role is SERVICE.");
  expect(await ask('ADMIN', 'own')).toBe("Thing.own is for USER; this key's role is ADMIN.");
});

it('a schema with a field that no rule covers is not served', () => {
  expect(() => build('type Query { open: String, ruled: String @allow(roles: [ADMIN]) }')).toThrow(
    'No @allow rule covers Query.open: give the field or its type one in src/graphql/schema.',
  );
});

it('every field of the schema that serves is covered', () => {
  expect(() => buildSchema()).not.toThrow();
});
