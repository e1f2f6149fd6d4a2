/**
 * Every id, name and cursor that the API takes, from every role: what is another tenant's, another person's, or forged,
 * is answered like what never was, in the same words; nothing that anybody is answered holds what is not theirs; and the
 * rows of the other tenant stay as they were, byte for byte.
 */
import { jest } from '@jest/globals';
import type { GraphQLInterfaceType } from 'graphql';
import { buildSchema } from '../../src/graphql/schema.ts';
import type { GraphqlAnswer } from '../http/service.ts';
import { allRows, canariesOf, leaksIn, textsOf } from './canaries.ts';
import { hostileCursors, twinOf } from './cursors.ts';
import { mayRead, ROLES, type Role } from './expected.ts';
import { hostileIds, NODE_TYPES, neverWas } from './hostileIds.ts';
import { inParallel } from './inParallel.ts';
import { everythingOf, fieldsOf, operationFor, placing, waysFor } from './operations.ts';
import { leavesOf, TAKERS } from './takers.ts';
import { CROWD, fillWith, makeWorld, type Side, type World } from './world.ts';

const schema = buildSchema();
const leaves = leavesOf(schema);
const ways = new Map(ROLES.map((role) => [role, waysFor(schema, role)]));
const leavesOfKind = (kind: string) => leaves.filter((leaf) => TAKERS[leaf] === kind);
const fieldOf = (leaf: string) => leaf.slice(0, leaf.indexOf('('));
/** One role's cases take some ten seconds; a machine that does much else besides takes many times as long. */
const SLOWEST_MS = 300_000;
const report = (line: string) => process.stdout.write(`${line}\n`);

jest.setTimeout(SLOWEST_MS);

/** What is sent where the API takes an id or a text, and what it must be answered like. */
interface Case {
  readonly leaf: string;
  readonly what: string;
  readonly value: string;
  readonly like: string;
}

let world: World;
/** What each role must never be shown. */
let canaries: Record<Role, ReadonlySet<string>>;

beforeAll(async () => {
  world = await makeWorld();
  canaries = await hiddenFrom(world);
});
afterAll(() => world.close());

/** Rows that mention a person of a side other than the one whose token asks, or a thing of theirs. */
function othersRows({ ada, bob }: Side, rows: Record<string, string[]>): { others: string[]; rest: string[] } {
  const uuidOf = (id: string) => Buffer.from(id, 'base64url').toString().split(':')[1]!;
  const users = rows['users']!.flatMap((row) => JSON.parse(row).id as string).filter((id) => id !== uuidOf(ada.User));
  const theirs = [...users, ...Object.values(bob).map(uuidOf)];
  const isOthers = (row: string) => theirs.some((id) => row.includes(id));
  return { others: allRows(rows).filter(isOthers), rest: allRows(rows).filter((row) => !isOthers(row)) };
}

async function hiddenFrom({ rowsOf, ours, theirs }: World): Promise<Record<Role, ReadonlySet<string>>> {
  const [own, foreign] = [await rowsOf(ours), await rowsOf(theirs)];
  const { others, rest } = othersRows(ours, own);
  const tenant = canariesOf(allRows(foreign), allRows(own));
  const person = new Set([...canariesOf(allRows(foreign), allRows(own)), ...canariesOf(others, rest)]);
  // An operator sees which tenants there are, and nothing of what is in them.
  const tenants = [...own['tenants']!, ...foreign['tenants']!, JSON.stringify([ours.own.Tenant, theirs.own.Tenant])];
  const operator = canariesOf([...allRows(own), ...allRows(foreign)], tenants);
  return { OPERATOR: operator, ADMIN: tenant, SERVICE: tenant, USER: person };
}

/** Asks a field of the API as a role, with one id or text in its place. */
async function ask(
  role: Role,
  leaf: string,
  value: unknown,
  side = world.ours,
  fillSide = side,
): Promise<GraphqlAnswer> {
  const fill = placing(schema, leaf, value, fillWith(fillSide));
  const operation = operationFor(schema, ways.get(role)!, fieldOf(leaf), fill, (type) => everythingOf(type, role, 1));
  return world.ask(role, operation.query, operation.variables, side);
}

/** The answer as any other text in the same place would have it: what was sent is masked where it is said again. */
function masked({ status, data, errors }: GraphqlAnswer, sent: string): unknown {
  const told = errors.map(({ message, path, extensions }) => ({ message, path, code: extensions.code }));
  const mask = (text: string) => {
    if (sent === '') return text === '' ? '<sent>' : text.replace('""', '"<sent>"');
    return text.replaceAll(sent, '<sent>').replaceAll(`${sent.slice(0, 60)}…`, '<sent>');
  };
  return JSON.parse(JSON.stringify({ status, data, errors: told }), (_, value) =>
    typeof value === 'string' ? mask(value) : value,
  );
}

/** What was wrong with it, and where there is something: texts differ from one made thing to the next. */
const shapeOf = (answer: unknown): unknown =>
  JSON.parse(JSON.stringify(answer), (key, value) =>
    typeof value === 'string' && !['code', 'message', 'field'].includes(key) ? '<text>' : value,
  );

describe('the suite', () => {
  it('knows what every id and text that the API takes may name', () => {
    for (const leaf of leaves) {
      if (leaf in TAKERS) continue;
      throw new Error(`Nobody has said what ${leaf} may name: add its line to TAKERS in tests/isolation/takers.ts.`);
    }
    expect(Object.keys(TAKERS).filter((leaf) => !leaves.includes(leaf))).toEqual([]);
  });

  it('has an id of every type that there is', () => {
    const types = schema.getPossibleTypes(schema.getType('Node') as GraphQLInterfaceType).map(({ name }) => name);
    expect([...NODE_TYPES].sort()).toEqual(types.sort());
  });

  it('has a canary in every row of the other tenant, and a row in every table', async () => {
    for (const [table, rows] of Object.entries(await world.rowsOf(world.theirs))) {
      expect([table, rows.length > 0]).toEqual([table, true]);
      for (const row of rows)
        expect([row, textsOf(row).some((text) => canaries.SERVICE.has(text))]).toEqual([row, true]);
    }
    for (const role of ROLES) expect(canaries[role].size).toBeGreaterThan(100);
  });
});

describe('everything that can be read', () => {
  it.each(ROLES)('by %s holds nothing that is not theirs', async (role) => {
    const way = (field: string) => ways.get(role)!.get(field.split('.')[0]!)?.[0]?.type ?? field.split('.')[0];
    const readable = fieldsOf(schema).filter((field) => mayRead(role, field) && way(field) === 'Query');
    let seen = '';
    await inParallel(readable, async (field) => {
      for (let depth = 2; depth >= 0; depth--) {
        const select = (type: Parameters<typeof everythingOf>[0]) => everythingOf(type, role, depth);
        const operation = operationFor(schema, ways.get(role)!, field, fillWith(world.ours), select);
        const answer = await world.ask(role, operation.query, operation.variables);
        if (['QUERY_TOO_COSTLY', 'GRAPHQL_PARSE_FAILED'].includes(answer.errors[0]?.extensions.code ?? '')) continue;
        expect([field, answer.errors]).toEqual([field, []]);
        expect([field, leaksIn(answer, canaries[role])]).toEqual([field, []]);
        seen += JSON.stringify(answer.data);
        return;
      }
      throw new Error(`${field} costs too much at any depth.`);
    });
    if (role !== 'OPERATOR') expect(seen).toContain(`${world.ours.word}-ada`); // so that not finding means something
    report(`ids: ${role} read ${readable.length} fields and their surroundings (${seen.length} characters), no canary`);
  });
});

it.each(['ADMIN', 'SERVICE', 'USER'] as const)('an export of a person by %s holds nothing of others', async (role) => {
  const headers = { authorization: `Bearer ${await world.key(role)}` };
  const response = await fetch(`${world.service.url}/users/${world.ours.ada.User}/export`, { headers });
  const held = await response.text();
  expect(held).toContain(`${world.ours.word}-ada commented`);
  expect(leaksIn(held, canaries.USER)).toEqual([]);
});

it('counts are of what is theirs', async () => {
  const people = 2 + CROWD;
  const counted = `{ users { totalCount } images { totalCount nodes { id } } }`;
  const { data } = await world.ask('SERVICE', counted, {});
  expect([data.users.totalCount, data.images.totalCount, data.images.nodes.length]).toEqual([people, 3, 3]);
  const admin = await world.ask('ADMIN', '{ viewer { tenant { userCount imageCount feedbackCount } } }', {});
  expect(admin.data.viewer.tenant).toEqual({ userCount: people, imageCount: 3, feedbackCount: people });
  const person = await world.ask('USER', '{ images { nodes { id } } viewer { user { feedback { totalCount } } } }', {});
  const [{ ada, shared }, seen] = [world.ours, person.data];
  expect(seen.images.nodes.map(({ id }: { id: string }) => id)).toEqual([ada.Image, shared]);
  expect(seen.viewer.user.feedback.totalCount).toBe(1);
});

describe('what is not theirs', () => {
  let before: Record<string, string[]>;
  let cursors: Record<string, string[]>;

  beforeAll(async () => {
    cursors = await foreignCursors();
    before = await world.rowsOf(world.theirs);
  });

  /** Cursors of every list of the other tenant; and, as a person's, of the other person's. */
  async function foreignCursors(): Promise<Record<string, string[]>> {
    const found: Record<string, string[]> = {};
    for (const leaf of leavesOfKind('cursor')) {
      for (const role of ROLES.filter((each) => mayRead(each, fieldOf(leaf)))) {
        const bob = { ...world.ours, ada: world.ours.bob };
        found[`${leaf} ${role}`] = role === 'OPERATOR' ? [] : await cursorsOf(role, leaf, world.theirs);
        if (role === 'USER') found[`${leaf} ${role}`]!.push(...(await cursorsOf('SERVICE', leaf, world.ours, bob)));
      }
    }
    return found;
  }

  async function cursorsOf(role: Role, leaf: string, side: Side, fillSide = side): Promise<string[]> {
    const operation = operationFor(
      schema,
      ways.get(role)!,
      fieldOf(leaf),
      fillWith(fillSide),
      () => 'edges { cursor }',
    );
    const { data, errors } = await world.ask(role, operation.query, operation.variables, side);
    expect(errors).toEqual([]);
    const list: string[] = [...JSON.stringify(data).matchAll(/"cursor":"([^"]+)"/g)].map(([, cursor]) => cursor!);
    // Of images the list is everybody's; it begins with the other person's, the newest.
    return list.slice(0, leaf === 'Query.images(after)' && fillSide !== side ? 1 : 3);
  }

  /** Sends each value where its leaf takes one, and holds the answer against the one to what never was. */
  async function compare(
    role: Role,
    cases: readonly Case[],
    shape: (answer: unknown) => unknown = (answer) => answer,
    given: readonly string[] = [],
  ): Promise<void> {
    const known = new Map<string, Promise<unknown>>();
    const answerTo = async (leaf: string, value: string) => masked(await ask(role, leaf, value), value);
    await inParallel(cases, async ({ leaf, what, value, like }) => {
      const key = `${leaf} ${like}`;
      if (!known.has(key)) known.set(key, answerTo(leaf, like).then(shape));
      const expected = await known.get(key);
      const answer = await answerTo(leaf, value);
      expect([leaf, what, shape(answer)]).toEqual([leaf, what, expected]);
      const leaks = leaksIn(answer, canaries[role]).filter((leak) => !given.includes(leak));
      expect([leaf, what, leaks]).toEqual([leaf, what, []]);
    });
  }

  it.each(ROLES)('by id is to %s as if it never was', async (role) => {
    const cases = leaves.flatMap((leaf): Case[] => {
      const taken = TAKERS[leaf]!;
      if (typeof taken === 'string' && taken !== 'any') return [];
      const ids = hostileIds(taken, role, world.ours, world.theirs);
      return ids.map(([what, value]) => ({ leaf, what, value, like: neverWas(taken) }));
    });
    await compare(role, cases);
    report(`ids: ${role} sent ${cases.length} ids`);
  });

  it.each(ROLES)('by cursor begins no page for %s', async (role) => {
    const cases = leavesOfKind('cursor').flatMap((leaf): Case[] => {
      const foreign = cursors[`${leaf} ${role}`] ?? [];
      if (mayRead(role, fieldOf(leaf)) && role !== 'OPERATOR') expect([leaf, foreign.length > 0]).toEqual([leaf, true]);
      return [
        ...foreign.map((value, i) => ({ leaf, what: `their cursor ${i}`, value, like: twinOf(value) })),
        ...hostileCursors().map(([what, value]) => ({ leaf, what, value, like: 'nonsense' })),
      ];
    });
    await compare(role, cases);
    report(`ids: ${role} sent ${cases.length} cursors`);
  });

  it('is what it was, byte for byte', async () => {
    expect(await world.rowsOf(world.theirs)).toEqual(before);
  });

  /** What the other tenant's rows are named by; and to a person, what the other person's are. */
  function foreignNames(role: Role): string[] {
    const ofBob = (word: string) => [
      ...[`${word}-bob`, `${word}-bob-image`, `${word}-bobprompt`, `${word}-bob-collection`, `${word}-bob-key`],
    ];
    const { word } = world.theirs;
    const names = [...ofBob(word), `${word}-ada`, `${word}-image`, `${word}-collection`, `${word}prompt`];
    return role === 'USER' ? [...names, ...ofBob(world.ours.word)] : names;
  }

  const named = (role: Role, kind: 'reference' | 'name'): Case[] =>
    leavesOfKind(kind).flatMap((leaf) =>
      foreignNames(role).map((value) => ({ leaf, what: value, value, like: 'a name that never was' })),
    );

  it.each(ROLES)('by name is to %s as if it never was', async (role) => {
    const cases = named(role, 'reference');
    await compare(role, cases);
    report(`ids: ${role} referred to ${cases.length} names`);
  });

  it.each(ROLES)('has names that are to %s as free as any other', async (role) => {
    const cases = named(role, 'name');
    await compare(role, cases, shapeOf, foreignNames('USER')); // our own rows bear these names by now
    report(`ids: ${role} gave ${cases.length} names`);
  });

  it('is still what it was', async () => {
    expect(await world.rowsOf(world.theirs)).toEqual(before);
  });
});
