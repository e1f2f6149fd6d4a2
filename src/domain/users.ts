/**
 * Users: the people whose taste is learned, known to the tenant by its own key for them.
 */
import { currentTenant, type Database, Prisma, type Queries } from '../database/client.ts';
import type { User } from '../database/generated/client.ts';
import { SharedReads } from '../database/sharedReads.ts';
import { idOf, newId } from './ids.ts';
import { checkFirst, fromCursor, type Page, type PageArgs, toCursor, toPage, UUID_PATTERN } from './pages.ts';
import type { Quotas } from './quotas.ts';
import { attempt, canBeKept, checkText, MAX_NAME, tooMany, type UserError } from './userErrors.ts';

/** One of the two ways to name a user: a global id, or the tenant's own key. */
export interface UserRef {
  readonly id?: string | null | undefined;
  readonly externalId?: string | null | undefined;
}

export interface UserItem {
  readonly externalId: string;
  /** Left out, it stays as it is; null takes it away. */
  readonly displayName?: string | null | undefined;
}

/** Creates users or updates them by externalId, at most 500. Of an externalId given twice, the later place counts. */
export async function upsertUsers(
  { database, quotas }: { readonly database: Database; readonly quotas: Quotas },
  items: readonly UserItem[],
): Promise<{ users: (User | null)[]; userErrors: UserError[] }> {
  const many = tooMany('items', items);
  if (many) return { users: items.map(() => null), userErrors: [many] };
  const userErrors: UserError[] = [];
  const right = items.map((item, i) =>
    attempt(userErrors, ['items', String(i)], () => {
      checkText('externalId', item.externalId, MAX_NAME, true);
      checkText('displayName', item.displayName, MAX_NAME);
      return item;
    }),
  );
  const merged = new Map<string, UserItem>();
  for (const item of right) {
    if (!item) continue;
    const displayName = item.displayName === undefined ? merged.get(item.externalId)?.displayName : item.displayName;
    merged.set(item.externalId, { externalId: item.externalId, displayName });
  }
  // Always in the same order, so that two requests about the same people wait for each other and not in a circle.
  const sorted = [...merged.values()].sort((a, b) => (a.externalId < b.externalId ? -1 : 1));
  const rows = await database.$transaction(async (transaction) => {
    const known = await usersByExternalIds(transaction, [...merged.keys()]);
    const strangers = sorted.filter(({ externalId }) => !known.has(externalId));
    const room = await quotas.roomFor(transaction, 'users', strangers.length);
    const refused = new Set(strangers.slice(room));
    return writeUsers(
      transaction,
      sorted.filter((item) => !refused.has(item)),
    );
  });
  const users = right.map((item, i) => {
    const row = (item && rows.get(item.externalId)) ?? null;
    if (item && !row) userErrors.push(noRoom(['items', String(i)]));
    return row;
  });
  return { users, userErrors };
}

function noRoom(field: readonly string[]): UserError {
  const message = 'The tenant has as many users as it may have (Tenant.limits.maxUsers): no more are made.';
  return { field, code: 'LIMIT_REACHED', message };
}

async function writeUsers(transaction: Queries, items: readonly UserItem[]): Promise<Map<string, User>> {
  const externalIds = items.map(({ externalId }) => externalId);
  const named = items.filter(({ displayName }) => displayName !== undefined);
  await transaction.$executeRaw`
    INSERT INTO users (tenant_id, id, external_id)
    SELECT ${currentTenant()}::uuid, id, external_id
    FROM unnest(${externalIds.map(newId)}::uuid[], ${externalIds}::text[]) AS item (id, external_id)
    ON CONFLICT (tenant_id, external_id) DO NOTHING`;
  await transaction.$executeRaw`
    UPDATE users SET display_name = item.display_name
    FROM unnest(
      ${named.map(({ externalId }) => externalId)}::text[],
      ${named.map(({ displayName }) => displayName ?? null)}::text[]
    ) AS item (external_id, display_name)
    WHERE users.external_id = item.external_id AND users.display_name IS DISTINCT FROM item.display_name`;
  return usersByExternalIds(transaction, externalIds);
}

/** Users by id; ids that are none of the tenant's are left out. */
export async function usersByIds(queries: Queries, ids: readonly string[]): Promise<Map<string, User>> {
  const rows = await queries.user.findMany({ where: { id: { in: [...new Set(ids)] } } });
  return new Map(rows.map((row) => [row.id, row]));
}

/** Users by the tenant's own keys for them. */
export async function usersByExternalIds(queries: Queries, externalIds: readonly string[]): Promise<Map<string, User>> {
  const rows = await queries.user.findMany({
    where: { externalId: { in: [...new Set(externalIds)].filter(canBeKept) } },
  });
  return new Map(rows.map((row) => [row.externalId, row]));
}

/** Users by the tenant's own keys for them. */
export type NamedUsers = SharedReads<string, User>;

/** Reads the session's users, for all requests that ask at once. */
export const namedUsers = (database: Database): NamedUsers =>
  new SharedReads((externalIds) => usersByExternalIds(database, externalIds));

/** The user that a reference names, or null. */
export async function findUser(
  { database, namedUsers }: { readonly database: Database; readonly namedUsers: NamedUsers },
  ref: UserRef,
): Promise<User | null> {
  const { id, externalId } = ref;
  if (id || !externalId) return (await resolveUsers(database, [ref]))[0] ?? null;
  return (await namedUsers.read([externalId])).get(externalId) ?? null;
}

/** The users that the references name, in their order, in at most two queries; null for what names none. */
export async function resolveUsers(queries: Queries, refs: readonly UserRef[]): Promise<(User | null)[]> {
  const ids = refs.map(({ id }) => (id ? idOf('User', id) : null));
  const wanted = ids.filter((id) => id !== null);
  const externalIds = refs.flatMap(({ externalId }) => externalId ?? []);
  const byId = wanted.length > 0 ? await usersByIds(queries, wanted) : new Map<string, User>();
  const byExternalId =
    externalIds.length > 0 ? await usersByExternalIds(queries, externalIds) : new Map<string, User>();
  return refs.map(({ externalId }, i) => {
    const id = ids[i];
    if (id) return byId.get(id) ?? null;
    return (externalId && byExternalId.get(externalId)) || null;
  });
}

/** The tenant's users, newest first. Throws BAD_USER_INPUT for a bad `first` or cursor. */
export async function pageUsers(queries: Queries, page: PageArgs): Promise<Page<User>> {
  checkFirst(page.first);
  const [, before] = fromCursor(page.after, [/^users$/, UUID_PATTERN]) ?? [];
  const rows = await queries.user.findMany({
    where: before ? { id: { lt: before } } : {},
    orderBy: { id: 'desc' },
    take: page.first + 1,
  });
  return toPage(rows, page, ({ id }) => toCursor('users', id));
}

export function countUsers(queries: Queries): Promise<number> {
  return queries.user.count();
}

/**
 * Locks users against each other's changes of their feedback, always in the same order, so that two requests about
 * the same people wait for each other and not in a circle. Only within a transaction. Returns who is still there, and
 * stays until it ends.
 */
export async function lockUsers(transaction: Queries, ids: readonly string[]): Promise<Set<string>> {
  const rows = await transaction.$queryRaw<{ id: string }[]>`
    SELECT id FROM users WHERE id = ANY(${[...new Set(ids)]}::uuid[]) ORDER BY id FOR NO KEY UPDATE`;
  return new Set(rows.map(({ id }) => id));
}

/** Keeps users from being erased until the transaction ends. Returns who is still there. */
export async function holdUsers(transaction: Queries, ids: readonly string[]): Promise<Set<string>> {
  const rows = await transaction.$queryRaw<{ id: string }[]>`
    SELECT id FROM users WHERE id = ANY(${[...new Set(ids)]}::uuid[]) ORDER BY id FOR KEY SHARE`;
  return new Set(rows.map(({ id }) => id));
}

/** Makes stale what was computed from these users' feedback. Lock them before. */
export async function raiseFeedbackVersions(transaction: Queries, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return;
  await transaction.$executeRaw(
    Prisma.sql`UPDATE users SET feedback_version = feedback_version + 1 WHERE id = ANY(${[...new Set(ids)]}::uuid[])`,
  );
}
