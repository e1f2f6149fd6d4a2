/**
 * Dropping from memory what was erased, on every replica: those of one database tell each other by NOTIFY, in the
 * transaction that erases. A replica that lost its connection may have missed a word, and drops everything.
 */
import type { Queries } from '../database/client.ts';
import { type Listener, listen, notify } from '../database/notifications.ts';
import type { Platform } from './platform.ts';

/** What is to be dropped; random ids only. */
export interface Forgotten {
  readonly tenantId: string;
  /** True where the whole tenant is gone. */
  readonly wholeTenant?: boolean;
  /** True where a key was revoked, or the tenant suspended or given other limits. */
  readonly keys?: boolean;
  /** People who were erased. */
  readonly userIds: readonly string[];
  readonly imageIds: readonly string[];
  /** People who stay, and of whom something else is known now. */
  readonly changedUserIds: readonly string[];
}

/** The memory that erased things may be in. */
export type Memory = Pick<
  Platform,
  'userStates' | 'candidates' | 'catalogues' | 'profiles' | 'quotas' | 'knownKeys' | 'networks' | 'shownScores'
>;

const CHANNEL = 'palate_forget';
/** Ids a message: PostgreSQL takes 8,000 bytes, an id has 39. */
const IDS_AT_ONCE = 150;

/** Tells every replica, this one too, if and when the transaction commits. */
export async function tellReplicas(transaction: Queries, forgotten: Forgotten): Promise<void> {
  const { tenantId, wholeTenant = false } = forgotten;
  if (wholeTenant) await notify(transaction, CHANNEL, JSON.stringify({ tenantId, wholeTenant }));
  for (const kind of ['userIds', 'imageIds', 'changedUserIds'] as const) {
    for (let start = 0; start < forgotten[kind].length; start += IDS_AT_ONCE) {
      const ids = forgotten[kind].slice(start, start + IDS_AT_ONCE);
      await notify(transaction, CHANNEL, JSON.stringify({ tenantId, [kind]: ids }));
    }
  }
}

/** Tells every replica to read the tenant's keys anew, and whether it is suspended, if and when the transaction commits. */
export async function tellOfKeys(transaction: Queries, tenantId: string): Promise<void> {
  await notify(transaction, CHANNEL, JSON.stringify({ tenantId, keys: true }));
}

/** Drops it from this process's memory. */
export function forget(memory: Memory, forgotten: Forgotten): void {
  const { userStates, candidates, catalogues, profiles, quotas, knownKeys, networks, shownScores } = memory;
  const { tenantId, wholeTenant, keys, userIds, imageIds, changedUserIds } = forgotten;
  if (keys || wholeTenant) knownKeys.forgetTenant(tenantId);
  quotas.forget(tenantId);
  const ofTenants = [userStates, candidates, catalogues, profiles, networks];
  if (wholeTenant) for (const memory of ofTenants) memory.forgetTenant(tenantId);
  userStates.forget(tenantId, userIds, changedUserIds);
  profiles.forget(tenantId, userIds, changedUserIds);
  candidates.forget(tenantId, imageIds);
  catalogues.forget(tenantId, imageIds);
  shownScores.forget(tenantId, wholeTenant ? undefined : userIds);
}

/** Drops everything. */
function forgetAll({ userStates, candidates, catalogues, profiles, knownKeys }: Memory): void {
  for (const memory of [userStates, candidates, catalogues, profiles, knownKeys]) memory.clear();
}

/**
 * Listens for what other replicas erase, until the listener is closed. Resolves once it hears.
 * @param onError told of a lost connection, which is being mended
 */
export function startForgetting(memory: Memory, url: string, onError: (error: Error) => void): Promise<Listener> {
  return listen(url, CHANNEL, {
    onMessage: (text) => forget(memory, readMessage(text)),
    onReconnect: () => forgetAll(memory),
    onError,
  });
}

function readMessage(text: string): Forgotten {
  return { userIds: [], imageIds: [], changedUserIds: [], ...(JSON.parse(text) as { tenantId: string }) };
}
