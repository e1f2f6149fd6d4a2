/** Ids that name nothing of who sends them: another's, forged ones, and what is no id at all. */
import { type NodeType, newId, toGlobalId } from '../../src/domain/ids.ts';
import { unknownId } from '../http/service.ts';
import { mayRead, type Role } from './expected.ts';
import type { Side } from './world.ts';

export const NODE_TYPES = [
  'User',
  'Image',
  'Feedback',
  'Comparison',
  'Model',
  'Tenant',
  'ApiKey',
  'AuditEvent',
  'TrainingJob',
] as const satisfies readonly NodeType[];

/** Where many types are taken, ids of so many are forged: an id is read before it matters whose it is. */
const FORGED_TYPES = 2;
/** An id in another spelling is dangerous where the right one names something: of theirs, so many are tried. */
const FORGED_THEIRS = 3;
/** As much text as no id is: it must not cost more than being refused. */
const HUGE = 'x'.repeat(200_000);

/** What it is, and the id. */
export type Hostile = readonly [what: string, id: string];

const base64 = (text: string) => Buffer.from(text).toString('base64url');

/** An id of the type that never was: what every hostile one must be answered like. */
export const neverWas = (types: readonly NodeType[] | 'any') => unknownId(types === 'any' ? 'User' : types[0]!);

/** Every hostile id that a role may send where an id of these types is taken. */
export function hostileIds(types: readonly NodeType[] | 'any', role: Role, ours: Side, theirs: Side): Hostile[] {
  const taken: readonly NodeType[] = types === 'any' ? NODE_TYPES : types;
  const othersIds = (side: Side): Record<NodeType, string> => ({ ...side.bob, ...side.own });
  const hostile: Hostile[] = [];
  for (const type of taken) {
    const theirsOf = othersIds(theirs)[type];
    if (taken.indexOf(type) < FORGED_TYPES) {
      hostile.push(
        ...forged(type, theirsOf, 'theirs').slice(0, FORGED_THEIRS),
        ...forged(type, { ...ours.ada, ...ours.own }[type], 'our own'),
      );
    }
    // Which tenants there are is an operator's to know.
    if (role !== 'OPERATOR' || type !== 'Tenant') hostile.push([`their ${type}`, theirsOf]);
    if (role === 'USER' && type in ours.bob) hostile.push([`another person's ${type}`, othersIds(ours)[type]]);
    if (types === 'any' && !mayRead(role, `${type}.id`)) {
      hostile.push([`our ${type}, which ${role} may not read`, { ...ours.ada, ...ours.own }[type]]);
    }
  }
  for (const other of NODE_TYPES.filter((type) => !taken.includes(type))) {
    hostile.push([`our ${other}, which is none of ${taken.join(', ')}`, { ...ours.ada, ...ours.own }[other]]);
  }
  return [...hostile, ...nonsense(taken[0]!)];
}

/** Ids that only look like this one. */
function forged(type: NodeType, id: string, whose: string): Hostile[] {
  const uuid = Buffer.from(id, 'base64url')
    .toString()
    .slice(type.length + 1);
  return [
    [`the uuid of ${whose}`, uuid],
    [`${whose}, its type in lower case`, base64(`${type.toLowerCase()}:${uuid}`)],
    [`${whose}, its uuid in upper case`, base64(`${type}:${uuid.toUpperCase()}`)],
    [`${whose}, its uuid without hyphens`, base64(`${type}:${uuid.replaceAll('-', '')}`)],
    [`${whose}, with a line after it`, base64(`${type}:${uuid}\n`)],
    [`${whose}, of a type that there is not`, base64(`Row:${uuid}`)],
    [`${whose}, of a type that every object has`, base64(`constructor:${uuid}`)],
    [`${whose}, padded`, `${id}=`],
    [`${whose}, a space before it`, ` ${id}`],
    [`${whose}, cut short`, id.slice(0, -3)],
    [`${whose}, twice`, id + id],
  ];
}

function nonsense(type: NodeType): Hostile[] {
  return [
    ['another that never was', toGlobalId(type, newId())],
    ['SQL', "' OR '1'='1'; DROP TABLE users; --"],
    ['SQL within an id', base64(`${type}:' OR true --`)],
    ['a NUL', `${base64(`${type}:`)}\0`],
    ['nothing', ''],
    ['200 kB', HUGE],
    ['200 kB within an id', base64(`${type}:${HUGE}`)],
  ];
}
