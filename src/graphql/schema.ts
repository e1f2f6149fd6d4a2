/**
 * The executable schema: every file of schema/, the resolvers, and a rule of `@allow` for each field. The SDL is the
 * public contract; this file only joins it to what answers it.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { makeExecutableSchema } from '@graphql-tools/schema';
import type { GraphQLSchema } from 'graphql';
import { accessRules } from './allow.ts';
import type { Context } from './context.ts';
import { resolvers } from './resolvers/index.ts';

const SCHEMA_DIRECTORY = new URL('./schema/', import.meta.url);

/** The schema's text, one string a file, in the order of the files' names. */
export function readTypeDefinitions(): string[] {
  return readdirSync(SCHEMA_DIRECTORY)
    .filter((file) => file.endsWith('.graphql'))
    .sort()
    .map((file) => readFileSync(new URL(file, SCHEMA_DIRECTORY), 'utf8'));
}

/** Builds the schema that serves. Throws where a resolver names no field, or a field carries no rule. */
export function buildSchema(): GraphQLSchema {
  const schema = makeExecutableSchema<Context>({
    typeDefs: readTypeDefinitions(),
    resolvers,
    resolverValidationOptions: { requireResolversToMatchSchema: 'error' },
  });
  accessRules(schema);
  return schema;
}
