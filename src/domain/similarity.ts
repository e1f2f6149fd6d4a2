/**
 * Who has similar taste. Similarity is 1 − √(1 − ⟨p, q⟩), one less the Hellinger distance of two users' attention over
 * the preference tokens: it rises with the inner product, so the nearest are found by inner product (docs/model.md).
 */
import { currentPerson, currentTenant, withTenant } from '../database/client.ts';
import { activeModel } from './models.ts';
import { fromCursor, type Page, type PageArgs, toCursor, toPage, UUID_PATTERN } from './pages.ts';
import type { Platform } from './platform.ts';
import { readProfiles } from './profiles.ts';
import { readTenant } from './tenants.ts';

/** How deep a list of similar users goes. */
export const MAX_SIMILAR_USERS = 200;

/** How deep the list of a person who asks for themself goes: enough to feel company, too little to map a crowd. */
const MAX_ANONYMOUS = 50;
/** With fewer people, somebody who knows them could tell who is who. */
const LEAST_PEOPLE = 20;

export interface SimilarUser {
  /** Null where a person asks: how near others are, and not who. */
  userId: string | null;
  /** 1 is the same taste, 0 none in common. */
  similarity: number;
}

/**
 * 1 − √(1 − ⟨p, q⟩) of vectors of unit length and no negative number, as 1 − |p − q| / √2: rounding the product would
 * tell the same vectors apart by 0.0003, their difference is 0.
 */
export function similarityOf(p: ArrayLike<number>, q: ArrayLike<number>): number {
  let squares = 0;
  for (let i = 0; i < p.length; i++) squares += (p[i]! - q[i]!) ** 2;
  return Math.max(0, 1 - Math.sqrt(squares / 2));
}

/**
 * The nearest users of each of these, nearest first, at most 200, themselves left out. One whose taste is not known
 * has none near, and is near to nobody.
 */
export async function similarUsers(
  platform: Platform,
  userIds: readonly string[],
): Promise<Map<string, SimilarUser[]>> {
  const person = currentPerson();
  if (person === null) return nearestUsers(platform, userIds);
  // Who is near is reckoned over everybody's profiles, which a person's own session does not see.
  return withTenant(currentTenant(), async () => {
    const tenant = await readTenant(platform.database);
    if (!tenant?.anonymousSimilarity || !userIds.includes(person)) return new Map();
    return anonymous(platform, person);
  });
}

async function anonymous(platform: Platform, person: string): Promise<Map<string, SimilarUser[]>> {
  const others = (await nearestUsers(platform, [person])).get(person) ?? [];
  if (others.length + 1 < LEAST_PEOPLE) return new Map();
  const nearest = others.slice(0, MAX_ANONYMOUS);
  return new Map([
    [person, nearest.map(({ similarity }) => ({ userId: null, similarity: Math.round(100 * similarity) / 100 }))],
  ]);
}

async function nearestUsers(
  platform: Platform,
  userIds: readonly string[],
): Promise<Map<string, { userId: string; similarity: number }[]>> {
  const model = await activeModel(platform);
  const index = await platform.profiles.holding(platform, model);
  const own = [...(await readProfiles(platform, userIds)).values()];
  const vectors = own.map(({ vector }) => vector);
  for (;;) {
    const nearest = await index.vectors.nearest(vectors, MAX_SIMILAR_USERS + 1);
    const found = new Set(nearest.flatMap((ofOne) => ofOne.map(({ id }) => id)));
    if (!(await index.confirm(platform.database, model, [...found]))) continue; // somebody was deleted meanwhile
    return new Map(
      own.map(({ userId, vector }, i) => [
        userId,
        nearest[i]!.filter(({ id }) => id !== userId)
          .slice(0, MAX_SIMILAR_USERS)
          .flatMap(({ id }) => {
            const other = index.vectors.get(id);
            return other ? [{ userId: id, similarity: similarityOf(vector, other) }] : [];
          })
          .sort(nearestFirst),
      ]),
    );
  }
}

/** The order of a list and of its cursors: rounded products differ where similarities do not. */
function nearestFirst(a: { userId: string; similarity: number }, b: { userId: string; similarity: number }): number {
  return b.similarity - a.similarity || (a.userId < b.userId ? -1 : 1);
}

/** What no cursor is: the list that a person gets ends with its first page. */
const NO_CURSOR = { test: () => false };

/** A page of a list of `similarUsers`, an anonymous one's only. Throws BAD_USER_INPUT for a cursor of another list. */
export function similarUserPage(list: readonly SimilarUser[], page: PageArgs): Page<SimilarUser> {
  if (currentPerson() !== null) {
    fromCursor(page.after, [NO_CURSOR]);
    let position = 0;
    return toPage(list.slice(0, page.first), page, () => toCursor('anonymous', String(position++)));
  }
  const place = fromCursor(page.after, [/^\d(\.\d+)?(e-\d+)?$/, UUID_PATTERN]);
  const [similarity, userId] = [Number(place?.[0]), place?.[1] ?? ''];
  const isAfter = (user: SimilarUser) =>
    user.similarity < similarity || (user.similarity === similarity && user.userId! > userId);
  return toPage(place ? list.filter(isAfter) : list, page, (user) => toCursor(String(user.similarity), user.userId!));
}
