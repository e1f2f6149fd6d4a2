/**
 * `@allow(roles)`: who may read a field or call a mutation. A field's rule stands in place of its type's; a field with
 * neither stops the service from starting. The whole operation is checked before any of it runs. It knows no resolver.
 */
import type { ApolloServerPlugin } from '@apollo/server';
import { getDirective } from '@graphql-tools/utils';
import {
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  GraphQLError,
  type GraphQLNamedType,
  type GraphQLSchema,
  getNamedType,
  isInterfaceType,
  isObjectType,
  Kind,
  type OperationDefinitionNode,
  type SelectionSetNode,
} from 'graphql';
import type { Role } from '../domain/credentials.ts';
import { PalateError } from '../errors.ts';
import type { Context } from './context.ts';

/** The most fields that one refusal names: the first is what a reader mends first. */
const MOST_NAMED = 5;

/** Who may read what, of one schema. */
export class AccessRules {
  readonly #readers = new Map<string, ReadonlySet<string>>();

  /** Throws INTERNAL_SERVER_ERROR naming each field that carries no rule. */
  constructor(schema: GraphQLSchema) {
    const unruled: string[] = [];
    for (const type of Object.values(schema.getTypeMap())) {
      if (!isObjectType(type) || type.name.startsWith('__')) continue;
      for (const field of Object.values(type.getFields())) {
        const rule = getDirective(schema, field, 'allow')?.[0] ?? getDirective(schema, type, 'allow')?.[0];
        if (rule) this.#readers.set(`${type.name}.${field.name}`, new Set(rule['roles'] as string[]));
        else unruled.push(`${type.name}.${field.name}`);
      }
    }
    if (unruled.length > 0) {
      throw new PalateError(
        'INTERNAL_SERVER_ERROR',
        `No @allow rule covers ${unruled.join(', ')}: give the field or its type one in src/graphql/schema.`,
      );
    }
  }

  /** ADMIN may do what SERVICE may. What the schema does not have is for nobody. */
  allows(role: Role, type: string, field: string): boolean {
    const readers = this.readersOf(type, field);
    return readers.has(role) || (role === 'ADMIN' && readers.has('SERVICE'));
  }

  readersOf(type: string, field: string): ReadonlySet<string> {
    return this.#readers.get(`${type}.${field}`) ?? new Set();
  }
}

const rules = new WeakMap<GraphQLSchema, AccessRules>();

/** The rules of a schema, read once. */
export function accessRules(schema: GraphQLSchema): AccessRules {
  const known = rules.get(schema) ?? new AccessRules(schema);
  rules.set(schema, known);
  return known;
}

/** Refuses an operation, FORBIDDEN and whole, that has a field in it which the caller's role may not read. */
export const checkAccess: ApolloServerPlugin<Context> = {
  async requestDidStart() {
    return {
      async didResolveOperation({ schema, document, operation, contextValue }) {
        const { role } = contextValue.caller.credential;
        const denied = [...deniedFields(schema, document, operation!, role)];
        if (denied.length === 0) return;
        const message = denied
          .slice(0, MOST_NAMED)
          .map(({ path, readers }) => `${path} is for ${readers.join(', ')}; this credential's role is ${role}.`);
        throw new GraphQLError(message.join(' '), {
          nodes: denied.map(({ node }) => node),
          extensions: { code: 'FORBIDDEN', http: { status: 403 } },
        });
      },
    };
  },
};

/** A field that a role may not read, and who may. */
interface Denied {
  readonly path: string;
  readonly readers: readonly string[];
  readonly node: FieldNode;
}

/**
 * The fields of an operation that the role may not read, each once, those under @skip and @include too. A field of an
 * interface is not among them: whoever resolves the interface checks the type (`readNode`).
 */
export function deniedFields(
  schema: GraphQLSchema,
  document: DocumentNode,
  operation: OperationDefinitionNode,
  role: Role,
): Iterable<Denied> {
  const access = accessRules(schema);
  const fragments = new Map<string, FragmentDefinitionNode>();
  for (const definition of document.definitions) {
    if (definition.kind === Kind.FRAGMENT_DEFINITION) fragments.set(definition.name.value, definition);
  }
  const denied = new Map<string, Denied>();

  function visit(parent: GraphQLNamedType | undefined, { selections }: SelectionSetNode): void {
    for (const selection of selections) {
      if (selection.kind === Kind.FRAGMENT_SPREAD) {
        const fragment = fragments.get(selection.name.value);
        fragments.delete(selection.name.value); // what it selects is the same wherever it stands
        if (fragment) visit(schema.getType(fragment.typeCondition.name.value), fragment.selectionSet);
      } else if (selection.kind === Kind.INLINE_FRAGMENT) {
        const { typeCondition, selectionSet } = selection;
        visit(typeCondition ? schema.getType(typeCondition.name.value) : parent, selectionSet);
      } else if (isObjectType(parent) || isInterfaceType(parent)) {
        visitField(parent.name, parent.getFields()[selection.name.value], selection, isObjectType(parent));
      }
    }
  }

  function visitField(
    parent: string,
    field: { type: Parameters<typeof getNamedType>[0] } | undefined,
    node: FieldNode,
    ruled: boolean,
  ): void {
    if (!field) return; // __typename, and what introspection reads
    const path = `${parent}.${node.name.value}`;
    if (ruled && !access.allows(role, parent, node.name.value)) {
      denied.set(path, { path, readers: [...access.readersOf(parent, node.name.value)], node });
    }
    if (node.selectionSet) visit(getNamedType(field.type) ?? undefined, node.selectionSet);
  }

  visit(schema.getRootType(operation.operation) ?? undefined, operation.selectionSet);
  return denied.values();
}
