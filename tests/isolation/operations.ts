/**
 * Operations made from the schema: the way from the root to any field, with arguments filled in. It prefers a way that
 * the role may go, so that a refusal is of the field itself. It knows no tenant: values come from `Fill`.
 */
import {
  type GraphQLArgument,
  type GraphQLInputField,
  type GraphQLInputType,
  type GraphQLObjectType,
  type GraphQLSchema,
  getNamedType,
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isLeafType,
  isListType,
  isNonNullType,
  isObjectType,
  isRequiredArgument,
} from 'graphql';
import { mayRead, type Role } from './expected.ts';

/** One field on the way; `on` is the type that an interface is narrowed to. */
interface Step {
  readonly type: string;
  readonly field: string;
  readonly on: string | null;
}

export interface Operation {
  readonly query: string;
  readonly variables: Readonly<Record<string, unknown>>;
  /** Every `Type.field` that it reads. */
  readonly fields: readonly string[];
}

/** What an argument or an input field is given, by its coordinate (`Query.user(by)`, `UpdateImageItem.id`). */
export type Fill = (coordinate: string, on: string | null) => unknown;

/** What going over a field that a role may not read costs: more than any way around it. */
const DENIED = 1000;

export const objectTypes = (schema: GraphQLSchema): GraphQLObjectType[] =>
  Object.values(schema.getTypeMap()).filter((type) => isObjectType(type) && !type.name.startsWith('__')) as never;

/** Every `Type.field` of the schema. */
export const fieldsOf = (schema: GraphQLSchema): string[] =>
  objectTypes(schema).flatMap((type) => Object.keys(type.getFields()).map((field) => `${type.name}.${field}`));

/** The cheapest ways from the root to each type for one role. */
export function waysFor(schema: GraphQLSchema, role: Role): ReadonlyMap<string, readonly Step[]> {
  const ways = new Map<string, { steps: Step[]; cost: number }>();
  const roots = [schema.getQueryType(), schema.getMutationType(), schema.getSubscriptionType()];
  for (const root of roots) if (root) ways.set(root.name, { steps: [], cost: 0 });
  for (let found = true; found; ) {
    found = false;
    for (const [name, { steps, cost }] of [...ways]) {
      for (const field of Object.values((schema.getType(name) as GraphQLObjectType).getFields())) {
        const result = getNamedType(field.type);
        const reached = isInterfaceType(result)
          ? schema.getPossibleTypes(result)
          : isObjectType(result)
            ? [result]
            : [];
        const further = cost + 1 + (mayRead(role, `${name}.${field.name}`) ? 0 : DENIED);
        for (const { name: to } of reached) {
          if (further >= (ways.get(to)?.cost ?? Number.POSITIVE_INFINITY)) continue;
          const on = isInterfaceType(result) ? to : null;
          ways.set(to, { steps: [...steps, { type: name, field: field.name, on }], cost: further });
          found = true;
        }
      }
    }
  }
  return new Map([...ways].map(([name, { steps }]) => [name, steps]));
}

/** An operation that reads one field, as the role would best reach it, and of its answer what `select` says. */
export function operationFor(
  schema: GraphQLSchema,
  ways: ReadonlyMap<string, readonly Step[]>,
  target: string,
  fill: Fill,
  select: (type: GraphQLObjectType) => string,
): Operation {
  const [type = '', field = ''] = target.split('.');
  const way = ways.get(type);
  if (!way) throw new Error(`No operation reaches ${type}: nothing returns it.`);
  const variables: Record<string, unknown> = {};
  const declared: string[] = [];
  const fields: string[] = [];

  const write = ([step, ...rest]: readonly Step[]): string => {
    if (!step) return '';
    const definition = (schema.getType(step.type) as GraphQLObjectType).getFields()[step.field]!;
    fields.push(`${step.type}.${step.field}`);
    const args = definition.args.flatMap((arg) => {
      const value = filled(`${step.type}.${step.field}(${arg.name})`, arg, fill, step.on);
      if (value === undefined) return [];
      const name = `v${declared.length}`;
      declared.push(`$${name}: ${arg.type}`);
      variables[name] = value;
      return [`${arg.name}: $${name}`];
    });
    const inner = rest.length > 0 ? write(rest) : selected(definition.type, step.on);
    const within = step.on && inner ? `__typename ... on ${step.on} { ${inner} }` : inner;
    return `${step.field}${args.length > 0 ? `(${args.join(', ')})` : ''}${within ? ` { ${within} }` : ''}`;
  };
  const selected = (result: Parameters<typeof getNamedType>[0], on: string | null): string => {
    const named = on ? schema.getType(on) : getNamedType(result);
    if (isLeafType(named)) return '';
    return isObjectType(named) ? select(named) : '__typename id';
  };

  const text = write([...way, { type, field, on: null }]);
  const root = (way[0]?.type ?? type).toLowerCase(); // Query, Mutation, Subscription
  const head = declared.length > 0 ? `${root} (${declared.join(', ')})` : root;
  return { query: `${head} { ${text} }`, variables, fields };
}

/** What is given for an argument or an input field; undefined where it can be left out and nothing is said of it. */
function filled(
  coordinate: string,
  input: GraphQLArgument | GraphQLInputField,
  fill: Fill,
  on: string | null,
): unknown {
  const given = fill(coordinate, on);
  if (given !== undefined) return given;
  const needed = isNonNullType(input.type) && input.defaultValue === undefined;
  return needed ? sampleOf(input.type, fill, on) : undefined;
}

/** A value of a type: required fields only, the first of an enum. */
function sampleOf(type: GraphQLInputType, fill: Fill, on: string | null): unknown {
  if (isNonNullType(type)) return sampleOf(type.ofType, fill, on);
  if (isListType(type)) return [sampleOf(type.ofType, fill, on)];
  const given = fill(type.name, on);
  if (given !== undefined) return given;
  if (isEnumType(type)) return type.getValues()[0]!.name;
  if (isInputObjectType(type)) {
    const fields = Object.values(type.getFields()).map(
      (field) => [field.name, filled(`${type.name}.${field.name}`, field, fill, on)] as const,
    );
    return Object.fromEntries(fields.filter(([, value]) => value !== undefined));
  }
  throw new Error(`tests/isolation/world.ts says no value for the scalar ${type.name}: add one to \`fill\`.`);
}

/**
 * What `fill` gives, but for one id or text: `value` where `leaf` (`Type.field(argument.field.field)`) says, and around
 * it what is needed for it to be heeded.
 */
export function placing(schema: GraphQLSchema, leaf: string, value: unknown, fill: Fill): Fill {
  const [, type = '', field = '', way = ''] = /^(\w+)\.(\w+)\((.*)\)$/.exec(leaf) ?? [];
  const [name = '', ...path] = way.split('.');
  const { args } = (schema.getType(type) as GraphQLObjectType).getFields()[field]!;
  const arg = args.find((each) => each.name === name)!;
  const place = (input: GraphQLInputType, [next, ...rest]: readonly string[]): unknown => {
    if (isNonNullType(input)) return place(input.ofType, next === undefined ? [] : [next, ...rest]);
    if (isListType(input)) return [place(input.ofType, next === undefined ? [] : [next, ...rest])];
    if (next === undefined || !isInputObjectType(input)) return value;
    const placed = { [next]: place(input.getFields()[next]!.type, rest) };
    return input.isOneOf ? placed : { ...(sampleOf(input, fill, null) as object), ...placed };
  };
  const whole = place(arg.type, path);
  return (coordinate, on) => (coordinate === `${type}.${field}(${name})` ? whole : fill(coordinate, on));
}

/**
 * Everything of a type that a role may read without an argument, so many types deep. An object that is asked for no
 * deeper answers its type alone.
 */
export function everythingOf(type: GraphQLObjectType, role: Role, depth: number): string {
  const fields = Object.values(type.getFields()).flatMap((field) => {
    if (!mayRead(role, `${type.name}.${field.name}`) || field.args.some(isRequiredArgument)) return [];
    const result = getNamedType(field.type);
    if (isLeafType(result)) return [field.name];
    if (!isObjectType(result) || depth === 0) return [];
    return [`${field.name} { ${everythingOf(result, role, depth - 1)} }`];
  });
  return fields.length > 0 ? fields.join(' ') : '__typename';
}
