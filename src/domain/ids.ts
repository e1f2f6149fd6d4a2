/**
 * Ids: UUIDv7 in the database, so that their order is the order of creation, and opaque ones outside that say what
 * they are of. What is no id, an id of another type, and an id of another tenant are all the same to who asks.
 */
import { randomFillSync } from 'node:crypto';
import { v7 } from 'uuid';

export const NODE_TYPES = [
  ...(['User', 'Image', 'Feedback', 'Comparison'] as const),
  ...(['Model', 'Tenant', 'ApiKey', 'AuditEvent', 'TrainingJob'] as const),
] as const;
export type NodeType = (typeof NODE_TYPES)[number];

const GLOBAL_ID = /^([A-Za-z]+):([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})$/;
/** base64url of the longest type's name, a colon and a UUID is shorter by far. */
const MOST_CHARACTERS = 100;

/** Random bytes are drawn for many ids at once: a call for each would cost more than all else about an id. */
const RANDOM_BYTES = 16;
const drawn = Buffer.alloc(256 * RANDOM_BYTES);
let used = drawn.length;
/** Of the newest id: its millisecond, and how it counts within it, from a random number up. */
let millisecond = 0;
let count = 0;

/** A new id of the database: UUIDv7, later than all that this process made before. */
export function newId(): string {
  if (used === drawn.length) {
    randomFillSync(drawn);
    used = 0;
  }
  const random = drawn.subarray(used, used + RANDOM_BYTES);
  used += RANDOM_BYTES;
  const now = Date.now();
  if (now > millisecond) {
    millisecond = now;
    count = random.readUInt32BE() >>> 1; // as far from the 2 ** 32 where it would begin again
  } else count++;
  return v7({ random, msecs: millisecond, seq: count });
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
