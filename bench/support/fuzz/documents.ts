/** GraphQL documents: random ones that the schema allows, the same with broken tokens, and those that only cost. */
import {
  type GraphQLField,
  type GraphQLInputType,
  type GraphQLObjectType,
  getNamedType,
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isLeafType,
  isListType,
  isNonNullType,
  isObjectType,
} from 'graphql';
import type { Random } from '../../../src/random.ts';
import { type FuzzRequest, type FuzzTarget, type Generator, graphqlPost, someKey } from './target.ts';
import { forgedId, hostileText } from './values.ts';

const MOST_FIELDS = 5;
const MOST_LEVELS = 5;
/** Mutations that would take from the target what later requests aim at: they are given ids of nothing. */
const DESTRUCTIVE = /^(delete|revoke|update(Tenant|ApiKey))/;

const post = (random: Random, target: FuzzTarget, query: string, variables?: object): FuzzRequest =>
  graphqlPost(someKey(random, target), JSON.stringify({ query, ...(variables ? { variables } : {}) }));

/** An operation that is valid but for some of its values. */
export function randomDocument(random: Random, target: FuzzTarget): string {
  const mutation = random.uniform() < 0.3;
  const root = (mutation ? target.schema.getMutationType() : target.schema.getQueryType())!;
  const fields = random.choose(Object.values(root.getFields()), 1 + random.int(2));
  return `${mutation ? 'mutation' : 'query'} { ${fields.map((field) => fieldText(random, target, field, 0)).join(' ')} }`;
}

function fieldText(random: Random, target: FuzzTarget, field: GraphQLField<unknown, unknown>, level: number): string {
  const given = field.args.filter(({ type }) => isNonNullType(type) || random.uniform() < 0.4);
  const ids = DESTRUCTIVE.test(field.name) ? [] : target.ids;
  const args = given.map(({ name, type }) => `${name}: ${literal(random, target, type, name, ids)}`).join(', ');
  const alias = random.uniform() < 0.1 ? `a${random.int(3)}: ` : '';
  const type = getNamedType(field.type);
  const selection = isLeafType(type)
    ? ''
    : isObjectType(type)
      ? ` { ${selectionText(random, target, type, level + 1)} }`
      : isInterfaceType(type)
        ? ` { id __typename ${target.schema
            .getPossibleTypes(type)
            .filter(() => random.uniform() < 0.4)
            .map((possible) => `... on ${possible.name} { ${selectionText(random, target, possible, level + 1)} }`)
            .join(' ')} }`
        : ' { __typename }';
  return `${alias}${field.name}${args ? `(${args})` : ''}${selection}`;
}

function selectionText(random: Random, target: FuzzTarget, type: GraphQLObjectType, level: number): string {
  const fields = Object.values(type.getFields()).filter(
    ({ type: of }) => level < MOST_LEVELS || isLeafType(getNamedType(of)),
  );
  if (fields.length === 0) return '__typename';
  const some = random.choose(fields, Math.min(fields.length, 1 + random.int(MOST_FIELDS)));
  return some.map((field) => fieldText(random, target, field, level)).join(' ');
}

function literal(
  random: Random,
  target: FuzzTarget,
  type: GraphQLInputType,
  name: string,
  ids: readonly string[],
): string {
  if (random.uniform() < 0.03)
    return random.pick(['null', '{}', '[]', '1e400', '"""\\"""', 'NaN', '-', '$none', 'LIKE']);
  if (isNonNullType(type)) return literal(random, target, type.ofType, name, ids);
  if (isListType(type)) {
    const items = Array.from({ length: random.int(5) }, () => literal(random, target, type.ofType, name, ids));
    return `[${items.join(', ')}]`;
  }
  if (isInputObjectType(type)) {
    const fields = Object.values(type.getFields());
    const given = type.isOneOf
      ? [random.pick(fields)]
      : fields.filter((f) => isNonNullType(f.type) || random.uniform() < 0.6);
    return `{${given.map((f) => `${f.name}: ${literal(random, target, f.type, f.name, ids)}`).join(', ')}}`;
  }
  if (isEnumType(type)) return random.pick(type.getValues()).name;
  if (type.name === 'Int') return String(random.pick([1, 2, 5, 20, 100, 0, -1, 101, 2147483647]));
  if (type.name === 'Float') return String(random.pick([0.5, 1, 10, 0, -1, 1e300]));
  if (type.name === 'Boolean') return random.pick(['true', 'false']);
  if (type.name === 'ID' && ids.length > 0 && random.uniform() < 0.7) return JSON.stringify(random.pick(ids));
  if (type.name === 'ID') return JSON.stringify(forgedId(random, target));
  if (type.name === 'DateTime') return random.pick(['"2026-01-31T12:00:00Z"', '"1969-12-31T23:59:59Z"', '"now"', '7']);
  if (name === 'externalId' && random.uniform() < 0.6) return JSON.stringify(random.pick(target.externalIds));
  return JSON.stringify(random.uniform() < 0.5 ? 'a fox' : hostileText(random).slice(0, 3_000));
}

const BROKEN = [
  ...[
    '{',
    '}',
    '(',
    ')',
    '[',
    ']',
    '!',
    ':',
    '$',
    '@',
    '...',
    '|',
    '&',
    '=',
    '"',
    '"""',
    '#',
    '\0',
    '\ufeff',
    '\\u{110000}',
  ],
  ...[
    'on',
    'fragment',
    'query',
    'subscription',
    'mutation',
    'null',
    '$a',
    '@skip(if: true)',
    '@include(if: 1)',
    '@defer',
  ],
  ...['-0', '00', '1.', '1e', '.5', '0xF', '__typename', '__schema { types { name } }', '... on Node { id }', '💥'],
];

/** A random operation, some of whose tokens are lost, doubled, out of place or strange. */
export const brokenDocument: Generator = (random, target) => {
  const tokens = randomDocument(random, target).match(/"(?:\\.|[^"\\])*"|[\w$@]+|\S/g) ?? [];
  for (let i = 1 + random.int(4); i > 0; i--) {
    const at = random.int(tokens.length + 1);
    const change = random.int(4);
    if (change === 0) tokens.splice(at, 1);
    else if (change === 1) tokens.splice(at, 0, random.pick(BROKEN));
    else if (change === 2) tokens.splice(at, 1, random.pick(BROKEN));
    else tokens.splice(at, 0, ...tokens.slice(at, at + random.int(8)));
  }
  return post(random, target, tokens.join(' '));
};

export const grammar: Generator = (random, target) => post(random, target, randomDocument(random, target));

const times = (count: number, text: (i: number) => string) =>
  Array.from({ length: count }, (_, i) => text(i)).join(' ');

/** Documents that are small to write and large to run. */
export const costly: Generator = (random, target) => {
  const many = random.pick([20, 200, 400, 2_000]);
  const user = `user(by: { externalId: ${JSON.stringify(random.pick(target.externalIds))} })`;
  const document = random.pick([
    () => `{ ${times(many, (i) => `a${i}: viewer { role }`)} }`,
    () => `{ ${times(many, (i) => `a${i}: ${user} { recommendations(first: 100) { nodes { value } } }`)} }`,
    () => `{ ${times(many, () => 'viewer { role }')} }`,
    () =>
      `{ users(first: 100) { nodes { feedback(first: 100) { nodes { user { feedback(first: 100) { totalCount } } } } } } }`,
    () => `{ ${user} { ${'similarUsers(first: 50) { nodes { user { '.repeat(8)} id ${'} } } '.repeat(8)} } }`,
    () => `{ ${user} { ${'feedback { nodes { user { '.repeat(many)} id ${'} } } '.repeat(many)} } }`,
    () => `{ ${'viewer { '.repeat(many)} role ${'} '.repeat(many)} }`,
    () => `query { ...A } fragment A on Query { ...B } fragment B on Query { ...A }`,
    () =>
      `query { ...F0 } ${times(many, (i) => `fragment F${i} on Query { ...F${i + 1} ...F${i + 1} }`)} fragment F${many} on Query { viewer { role } }`,
    () => `query { viewer { ...A } } fragment A on Viewer { ...A role }`,
    () => `{ viewer ${times(many, (i) => `@include(if: true) @a${i}`)} { role } }`,
    () => `query (${times(many, (i) => `$v${i}: Int = ${i}`)}) { viewer { role } }`,
    () => `{ __schema { types { fields { type { fields { type { fields { type { name } } } } } } } } }`,
    () => `{ __schema { ${'types { fields { args { type { ofType { '.repeat(5)} name ${'} } } } } '.repeat(5)} } }`,
    () => `{ viewer { role(a: ${'['.repeat(many)}${']'.repeat(many)}) } }`,
    () => `{ viewer { role(a: ${'{a: '.repeat(many)}1${'}'.repeat(many)}) } }`,
    () => `{ viewer { role } } ${times(many, (i) => `query Q${i} { viewer { role } }`)}`,
    () => `# ${'x'.repeat(500_000)}\n{ viewer { role } }`,
    () => `{ viewer { ${'r'.repeat(100_000)} } }`,
    () => `${' ,\n'.repeat(300_000)}{ viewer { role } }`,
  ])();
  return post(random, target, document);
};
