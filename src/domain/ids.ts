/**
 * Ids: UUIDv7 in the database, so that their order is the order of creation, and opaque ones outside that say what
 * they are of. What is no id, an id of another type, and an id of another tenant are all the same to who asks.
 */
import { v7 } from 'uuid';

export const NODE_TYPES = [
  ...(['User', 'Image', 'Feedback', 'Comparison'] as const),
  ...(['Model', 'Tenant', 'ApiKey', 'AuditEvent', 'TrainingJob'] as const),
] as const;
export type NodeType = (typeof NODE_TYPES)[number];

const GLOBAL_ID = /^([A-Za-z]+):([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})$/;
/** base64url of the longest type's name, a colon and a UUID is shorter by far. */
const MOST_CHARACTERS = 100;

/** A new id of the database. */
export function newId(): string {
  return v7();
}

/** base64url of `Type:uuid`. */
export function toGlobalId(type: NodeType, id: string): string {
  return Buffer.from(`${type}:${id}`).toString('base64url');
}

/** What a global id names, or null. Only the one spelling that `toGlobalId` writes is an id. */
export function fromGlobalId(globalId: string): { type: string; id: string } | null {
  if (globalId.length > MOST_CHARACTERS) return null;
  const match = GLOBAL_ID.exec(Buffer.from(globalId, 'base64url').toString());
  const [text, type, id] = match ?? [];
  if (text === undefined || type === undefined || id === undefined) return null;
  return Buffer.from(text).toString('base64url') === globalId ? { type, id } : null;
}

/** The database's id behind a global id of this type, or null. */
export function idOf(type: NodeType, globalId: string): string | null {
  const found = fromGlobalId(globalId);
  return found?.type === type ? found.id : null;
}
