/**
 * Variables are coerced once for all: what an operation costs is reckoned from the same values that it runs with.
 * graphql-js coerces whatever it is asked about anew, with a path and several objects for every value of a list, which
 * for 500 judgements is more work than taking them in. Here each type is made a function of, once; where a value does not
 * fit, graphql-js says why. It knows no limit and no field.
 */
import {
  type DocumentNode,
  type GraphQLInputObjectType,
  type GraphQLInputType,
  GraphQLScalarType,
  type GraphQLSchema,
  getVariableValues,
  isInputObjectType,
  isInputType,
  isListType,
  isNonNullType,
  Kind,
  type OperationDefinitionNode,
  typeFromAST,
  valueFromAST,
} from 'graphql';

export type Variables = Readonly<Record<string, unknown>>;

/** What a value of one type becomes; throws where it does not fit, or where that is for graphql-js to say. */
type Coerce = (value: unknown) => unknown;

/**
 * An operation's variables as its fields are given them. Throws a GraphQLError for the first that does not fit its type:
 * for one alone, since an error carries a stack, and a body holds a million values.
 */
export function coerceVariables(
  schema: GraphQLSchema,
  operation: OperationDefinitionNode,
  given: Variables,
): Variables {
  try {
    return coercionOf(schema, operation)(given);
  } catch {
    const { coerced, errors } = getVariableValues(schema, operation.variableDefinitions ?? [], given, { maxErrors: 1 });
    if (errors) throw errors[0]!;
    return coerced;
  }
}

const coercions = new WeakMap<OperationDefinitionNode, (given: Variables) => Variables>();

function coercionOf(schema: GraphQLSchema, operation: OperationDefinitionNode): (given: Variables) => Variables {
  const known = coercions.get(operation);
  if (known) return known;
  const variables = (operation.variableDefinitions ?? []).map(({ variable, type: typeNode, defaultValue }) => {
    const type = typeFromAST(schema, typeNode as never);
    if (!isInputType(type)) throw misfit();
    const otherwise = defaultValue && valueFromAST(defaultValue, type);
    return { name: variable.name.value, coerce: coerceTo(type), needed: isNonNullType(type), otherwise };
  });
  const coercion = (given: Variables): Variables => {
    const coerced: Record<string, unknown> = Object.create(null); // a variable may be called __proto__
    for (const { name, coerce, needed, otherwise } of variables) {
      if (Object.hasOwn(given, name)) coerced[name] = coerce(given[name]);
      else if (otherwise !== undefined) coerced[name] = otherwise;
      else if (needed) throw misfit();
    }
    return coerced;
  };
  coercions.set(operation, coercion);
  return coercion;
}

/** Never told: graphql-js is asked for words. */
const misfit = () => new TypeError('A value does not fit its type.');

const byType = new WeakMap<GraphQLInputType, Coerce>();

function coerceTo(type: GraphQLInputType): Coerce {
  const known = byType.get(type);
  if (known) return known;
  const made = makeCoerce(type);
  byType.set(type, made);
  return made;
}

function makeCoerce(type: GraphQLInputType): Coerce {
  if (isNonNullType(type)) {
    const coerce = coerceTo(type.ofType);
    return (value) => {
      if (value === null || value === undefined) throw misfit();
      return coerce(value);
    };
  }
  const coerce = isListType(type)
    ? coerceToList(coerceTo(type.ofType))
    : isInputObjectType(type)
      ? coerceToObject(type)
      : coerceToLeaf(type);
  return (value) => (value === null || value === undefined ? null : coerce(value));
}

function coerceToLeaf(type: { parseValue(value: unknown): unknown }): Coerce {
  return (value) => {
    const parsed = type.parseValue(value);
    if (parsed === undefined) throw misfit();
    return parsed;
  };
}

function coerceToList(coerce: Coerce): Coerce {
  return (value) => {
    if (!Array.isArray(value)) throw misfit(); // maybe a list of one
    return value.map((item) => coerce(item));
  };
}

function coerceToObject(type: GraphQLInputObjectType): Coerce {
  const known = type.getFields();
  const fields = Object.values(known).map(({ name, type: fieldType, defaultValue }) => {
    let coerce: Coerce | undefined;
    return {
      ...{ name, defaultValue, needed: isNonNullType(fieldType) },
      coerce: (value: unknown) => {
        coerce ??= coerceTo(fieldType); // not before it is needed: a type may hold itself
        return coerce(value);
      },
    };
  });
  return (value) => {
    if (typeof value !== 'object' || Array.isArray(value)) throw misfit();
    const given = value as Variables;
    const coerced: Record<string, unknown> = {};
    for (const { name, coerce, defaultValue, needed } of fields) {
      const field = given[name];
      if (field !== undefined) coerced[name] = coerce(field);
      else if (defaultValue !== undefined) coerced[name] = defaultValue;
      else if (needed) throw misfit();
    }
    for (const name in given) if (!known[name]) throw misfit();
    if (type.isOneOf) checkOneOf(coerced);
    return coerced;
  };
}

function checkOneOf(coerced: Variables): void {
  const given = Object.values(coerced);
  if (given.length !== 1 || given[0] === null) throw misfit();
}

/** A type that any value fits as it is. No client can use it: nothing takes a value of this type. */
const COERCED = new GraphQLScalarType({ name: '__Coerced' });

const running = new WeakMap<OperationDefinitionNode, DocumentNode>();

/** The document in which the operation takes its variables as `coerceVariables` has left them, to be run. */
export function takingCoerced(
  schema: GraphQLSchema,
  document: DocumentNode,
  operation: OperationDefinitionNode,
): DocumentNode {
  if (!operation.variableDefinitions?.length) return document;
  const known = running.get(operation);
  if (known) return known;
  const types = schema.getTypeMap();
  // Not enumerable: the schema, asked for its types, does not name it.
  if (!types[COERCED.name]) Object.defineProperty(types, COERCED.name, { value: COERCED });
  const type = { kind: Kind.NAMED_TYPE, name: { kind: Kind.NAME, value: COERCED.name } } as const;
  const variableDefinitions = operation.variableDefinitions.map(({ kind, variable }) => ({ kind, variable, type }));
  const made: DocumentNode = {
    ...document,
    definitions: document.definitions.map((definition) =>
      definition === operation ? { ...operation, variableDefinitions } : definition,
    ),
  };
  running.set(operation, made);
  return made;
}
