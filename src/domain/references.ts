/**
 * Whom and what many judgements name at once: the ids of users and images behind references, in one query and without
 * the rest of their rows. It doesn't know what they are named for.
 */
import type { Queries } from '../database/client.ts';
import { textList } from '../database/textLists.ts';
import { idOf, type NodeType } from './ids.ts';
import type { ImageRef } from './images.ts';
import { canBeKept } from './userErrors.ts';
import type { UserRef } from './users.ts';

/** What a reference names. */
export interface Referent {
  readonly id: string;
  /** Of an image: the user whose own it is. */
  readonly ownerId: string | null;
}

interface ReferentRow extends Referent {
  readonly type: NodeType;
  readonly externalId: string | null;
}

/** What the references name, in their order; null for what names none. */
export async function resolveReferences(
  queries: Queries,
  userRefs: readonly UserRef[],
  imageRefs: readonly ImageRef[],
): Promise<{ users: (Referent | null)[]; images: (Referent | null)[] }> {
  const users = new References('User', userRefs);
  const images = new References('Image', imageRefs);
  const rows = await queries.$queryRaw<ReferentRow[]>`
    SELECT 'User' AS type, id, external_id AS "externalId", NULL::uuid AS "ownerId" FROM users
    WHERE id = ANY(${textList('uuid', users.ids())})
    UNION ALL
    SELECT 'User', id, external_id, NULL FROM users WHERE external_id = ANY(${users.externalIds()}::text[])
    UNION ALL
    SELECT 'Image', id, external_id, owner_id FROM images WHERE id = ANY(${textList('uuid', images.ids())})
    UNION ALL
    SELECT 'Image', id, external_id, owner_id FROM images WHERE external_id = ANY(${images.externalIds()}::text[])`;
  return { users: users.resolve(rows), images: images.resolve(rows) };
}

/** References of one type, many of which name the same. */
class References {
  readonly #type: NodeType;
  readonly #refs: readonly (UserRef | ImageRef)[];
  /** By global id, that of the database; null for what is none. */
  readonly #ids = new Map<string, string | null>();
  readonly #externalIds = new Set<string>();

  constructor(type: NodeType, refs: readonly (UserRef | ImageRef)[]) {
    this.#type = type;
    this.#refs = refs;
    for (const { id, externalId } of refs) {
      if (id && !this.#ids.has(id)) this.#ids.set(id, idOf(type, id));
      if (externalId) this.#externalIds.add(externalId);
    }
  }

  ids(): string[] {
    return [...this.#ids.values()].filter((id) => id !== null);
  }

  externalIds(): string[] {
    return [...this.#externalIds].filter(canBeKept);
  }

  resolve(rows: readonly ReferentRow[]): (Referent | null)[] {
    const byId = new Map<string, Referent>();
    const byExternalId = new Map<string, Referent>();
    for (const row of rows) {
      if (row.type !== this.#type) continue;
      byId.set(row.id, row);
      if (row.externalId !== null) byExternalId.set(row.externalId, row);
    }
    return this.#refs.map(({ id: globalId, externalId }) => {
      const id = globalId && this.#ids.get(globalId);
      if (id) return byId.get(id) ?? null;
      return (externalId && byExternalId.get(externalId)) || null;
    });
  }
}
