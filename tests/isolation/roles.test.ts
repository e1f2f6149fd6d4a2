/**
 * Which role may read which field: the schema's rules are those of expected.ts, each rule changed by a single role would
 * be found out, and over HTTP every role is refused exactly what the table says.
 */
import { buildASTSchema, type ConstDirectiveNode, type DocumentNode, Kind, parse, visit } from 'graphql';
import { AccessRules } from '../../src/graphql/allow.ts';
import { buildSchema, readTypeDefinitions } from '../../src/graphql/schema.ts';
import { mayRead, READERS, ROLES, type Role } from './expected.ts';
import { inParallel } from './inParallel.ts';
import { everythingOf, fieldsOf, operationFor, waysFor } from './operations.ts';
import { fillWith, makeWorld, type World } from './world.ts';

const schema = buildSchema();
const fields = fieldsOf(schema);
const access = new AccessRules(schema);
const report = (line: string) => process.stdout.write(`${line}\n`);

/** The rule of a field, in the letters of the table. */
function lettersOf(rules: AccessRules, field: string): string {
  const [type = '', name = ''] = field.split('.');
  const readers = rules.readersOf(type, name);
  const letter = (role: Role) =>
    readers.has(role) ? role[0] : role === 'ADMIN' && readers.has('SERVICE') ? 'a' : null;
  return ROLES.flatMap((role) => letter(role) ?? []).join(' ');
}

const ruled = (rules: AccessRules) => Object.fromEntries(fields.map((field) => [field, lettersOf(rules, field)]));

describe('expected.ts', () => {
  it('has a line for every field of the schema, and none besides', () => {
    for (const field of fields) {
      if (field in READERS) continue;
      throw new Error(`Nobody has said who may read ${field}: add its line to READERS in tests/isolation/expected.ts.`);
    }
    for (const field of Object.keys(READERS)) {
      if (fields.includes(field)) continue;
      throw new Error(`There is no ${field} any more: take its line out of READERS in tests/isolation/expected.ts.`);
    }
  });

  it('says what the rules say, of every field and role', () => {
    expect(ruled(access)).toEqual(READERS);
    for (const field of fields) {
      const [type = '', name = ''] = field.split('.');
      for (const role of ROLES) {
        expect([field, role, access.allows(role, type, name)]).toEqual([field, role, mayRead(role, field)]);
      }
    }
    report(`roles: ${fields.length} fields × ${ROLES.length} roles are ruled as the table says`);
  });
});

describe('a rule that is changed by one role', () => {
  const document = parse(readTypeDefinitions().join('\n'));

  /** The schema's text with its nth `@allow` put through `change`; null where there are not so many. */
  function changed(
    nth: number,
    change: (directive: ConstDirectiveNode) => ConstDirectiveNode | null,
  ): DocumentNode | null {
    let seen = 0;
    const made: DocumentNode = visit(document, {
      Directive: (node) =>
        node.name.value === 'allow' && seen++ === nth ? change(node as ConstDirectiveNode) : undefined,
    });
    return seen > nth ? made : null;
  }

  /** With the role where it is missing, without it where it stands. */
  function toggled(directive: ConstDirectiveNode, role: Role): ConstDirectiveNode {
    return visit(directive, {
      ListValue: (list) => {
        const rest = list.values.filter((value) => value.kind !== Kind.ENUM || value.value !== role);
        const added = rest.length < list.values.length ? [] : [{ kind: Kind.ENUM, value: role } as const];
        return { ...list, values: [...rest, ...added] };
      },
    });
  }

  /** True where the suite would notice: the rules are not the table's, or cannot be read at all. */
  function isFound(made: DocumentNode): boolean {
    try {
      const rules = ruled(new AccessRules(buildASTSchema(made, { assumeValid: true })));
      return fields.some((field) => rules[field] !== READERS[field]);
    } catch {
      return true;
    }
  }

  it('is found, wherever it stands, and so is one that is taken away', () => {
    let mutants = 0;
    let nth = 0;
    for (; changed(nth, () => null); nth++) {
      for (const role of ROLES) {
        mutants++;
        const made = changed(nth, (directive) => toggled(directive, role))!;
        if (!isFound(made)) throw new Error(`@allow number ${nth}, ${role} toggled, is not found out by expected.ts.`);
      }
      mutants++;
      if (!isFound(changed(nth, () => null)!)) throw new Error(`@allow number ${nth} taken away is not found out.`);
    }
    expect(nth).toBeGreaterThan(60);
    report(`roles: ${mutants} mutants of ${nth} rules are found out`);
  });

  it('is not found where nothing is changed, so that the above means something', () => {
    expect(isFound(document)).toBe(false);
  });
});

describe('over HTTP', () => {
  let world: World;
  beforeAll(async () => {
    world = await makeWorld();
  });
  afterAll(() => world.close());

  it.each(ROLES)('%s is refused exactly what the table says', async (role) => {
    const ways = waysFor(schema, role);
    const fill = fillWith(world.ours);
    const key = await world.key(role);
    const counts = { allowed: 0, refused: 0 };
    await inParallel(fields, async (field) => {
      const operation = operationFor(schema, ways, field, fill, (type) => everythingOf(type, role, 0) || '__typename');
      const denied = operation.fields.filter((each) => !mayRead(role, each));
      const { status, data, errors } = await world.ours.tenant.ask(operation.query, operation.variables, key);
      const forbidden = errors.filter(({ extensions }) => extensions.code === 'FORBIDDEN');
      const named = forbidden.flatMap(({ message }) =>
        [...message.matchAll(/(\w+\.\w+) is for/g)].map(([, name]) => name),
      );
      const told = { operation: operation.query, named, status: forbidden.length > 0 ? status : 200 };
      const refused = operation.query.startsWith('subscription') ? 200 : 403; // a stream has begun, and ends with it
      expect(told).toEqual({ operation: operation.query, named: denied, status: denied.length > 0 ? refused : 200 });
      if (denied.length > 0) {
        expect(data).toBeUndefined();
        counts.refused++;
      } else {
        expect({ operation: operation.query, errors }).toEqual({ operation: operation.query, errors: [] });
        counts.allowed++;
      }
      // Whoever may read a field must be able to come to it, and who may not is refused for that field.
      expect([field, denied.includes(field)]).toEqual([field, !mayRead(role, field)]);
    });
    report(
      `roles: ${role} asked for ${fields.length} fields, was answered ${counts.allowed} and refused ${counts.refused}`,
    );
  });
});
