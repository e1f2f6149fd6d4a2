/**
 * `@allow(roles)`: who may read a field or call a mutation, held for every field of the schema. A field's rule stands
 * in place of its type's; a field with neither stops the service from starting. It knows no resolver.
 */
import { getDirective, MapperKind, mapSchema } from '@graphql-tools/utils';
import { defaultFieldResolver, type GraphQLObjectType, type GraphQLSchema } from 'graphql';
import { PalateError } from '../errors.ts';

/** A role as it acts: ADMIN may do what SERVICE may. */
function admits(rule: ReadonlySet<string>, role: string): boolean {
  return rule.has(role) || (role === 'ADMIN' && rule.has('SERVICE'));
}

/**
 * Wraps each field's resolver in the rule that holds for it. A rule that every role passes needs no wrapper, so the
 * common field costs nothing. Throws INTERNAL_SERVER_ERROR naming each field that carries no rule.
 *
 * @param roleOf the caller's role, read from the request's context value.
 */
export function enforceAllow<Context>(schema: GraphQLSchema, roleOf: (context: Context) => string): GraphQLSchema {
  const everyRole = (schema.getType('Role') as { getValues?(): { name: string }[] } | undefined)?.getValues?.() ?? [];
  const unruled: string[] = [];

  const enforced = mapSchema(schema, {
    [MapperKind.OBJECT_FIELD]: (field, fieldName, typeName) => {
      const type = schema.getType(typeName) as GraphQLObjectType;
      const directive = getDirective(schema, field, 'allow')?.[0] ?? getDirective(schema, type, 'allow')?.[0];
      if (!directive) {
        unruled.push(`${typeName}.${fieldName}`);
        return field;
      }
      const rule = new Set(directive['roles'] as string[]);
      if (everyRole.every(({ name }) => admits(rule, name))) return field;

      const { resolve = defaultFieldResolver } = field;
      const readers = [...rule].join(', ');
      field.resolve = (source, args, context: Context, info) => {
        const role = roleOf(context);
        if (!admits(rule, role)) {
          throw new PalateError('FORBIDDEN', `${typeName}.${fieldName} is for ${readers}; this key's role is ${role}.`);
        }
        return resolve(source, args, context, info);
      };
      return field;
    },
  });

  if (unruled.length > 0) {
    throw new PalateError(
      'INTERNAL_SERVER_ERROR',
      `No @allow rule covers ${unruled.join(', ')}: give the field or its type one in src/graphql/schema.`,
    );
  }
  return enforced;
}
