/**
 * The audit log: who did what, when and from where. It is added to in the transaction of what was done, and the
 * service's database role may change nothing in it. People stand in it by a random id; addresses go after 30 days.
 */
import { currentTenant, type Queries } from '../database/client.ts';
import type { AuditEvent as AuditEventRow } from '../database/generated/client.ts';
import type { Caller, Credential } from './credentials.ts';
import { newId } from './ids.ts';
import { checkFirst, fromCursor, type Page, type PageArgs, toCursor, toPage, UUID_PATTERN } from './pages.ts';

/** How long it is kept where an event came from. */
const ADDRESS_KEPT_MS = 30 * 24 * 60 * 60 * 1000;

export interface AuditEvent extends AuditEventRow {
  readonly address: string | null;
}

/** As much of a caller as is written down. */
export type Doer = Pick<Caller, 'address' | 'requestId'> & { readonly credential: Pick<Credential, 'actor'> };

/** Writes down what the caller did: the mutation's name, and the global id of what it was done to. */
export async function recordEvent(
  transaction: Queries,
  { credential, address, requestId }: Doer,
  at: Date,
  { action, subject }: { action: string; subject: string | null },
): Promise<void> {
  const tenantId = currentTenant();
  const event = { tenantId, id: newId(), at, actor: credential.actor, action, subject, requestId };
  await transaction.auditEvent.create({ data: event });
  if (address === null) return;
  await transaction.auditAddress.create({ data: { tenantId, eventId: event.id, address, at } });
}

export interface AuditArgs extends PageArgs {
  /** Only what happened then or later. */
  readonly since?: Date | null | undefined;
}

/** The tenant's events, newest first. Throws BAD_USER_INPUT for a bad `first` or cursor. */
export async function pageAuditEvents(queries: Queries, { since, ...page }: AuditArgs): Promise<Page<AuditEvent>> {
  checkFirst(page.first);
  const [, before] = fromCursor(page.after, [/^auditLog$/, UUID_PATTERN]) ?? [];
  const rows = await queries.auditEvent.findMany({
    where: { ...(before ? { id: { lt: before } } : {}), ...(since ? { at: { gte: since } } : {}) },
    include: { address: true },
    orderBy: { id: 'desc' },
    take: page.first + 1,
  });
  return toPage(rows.map(toEvent), page, ({ id }) => toCursor('auditLog', id));
}

/** Events by id; ids that are none of the tenant's are left out. */
export async function auditEventsByIds(queries: Queries, ids: readonly string[]): Promise<Map<string, AuditEvent>> {
  const rows = await queries.auditEvent.findMany({ where: { id: { in: [...ids] } }, include: { address: true } });
  return new Map(rows.map((row) => [row.id, toEvent(row)]));
}

function toEvent(row: AuditEventRow & { address: { address: string } | null }): AuditEvent {
  return { ...row, address: row.address?.address ?? null };
}

/** Forgets where events of more than 30 days ago came from. Index: audit_addresses_tenant_id_at_idx. */
export async function dropOldAddresses(queries: Queries, now: Date): Promise<number> {
  const { count } = await queries.auditAddress.deleteMany({
    where: { at: { lt: new Date(now.getTime() - ADDRESS_KEPT_MS) } },
  });
  return count;
}
