/**
 * Who asks, and the session that they are answered in. Where a credential is carried is src/http's; what a key is,
 * apiKeys.ts.
 */
import { withOperator, withPerson, withTenant } from '../database/client.ts';
import type { Tenant } from '../database/generated/client.ts';

export type Role = 'OPERATOR' | 'ADMIN' | 'SERVICE' | 'USER';

/** What a tenant's row says of what its callers may do. */
export type TenantRules = Pick<Tenant, 'id' | 'pointsPerMinute'>;

/** Who a request is made by, found out from what it carried. */
export interface Credential {
  readonly role: Role;
  /** An operator has none, and the id of no tenant here. */
  readonly tenant: TenantRules;
  /** The key, or the person: what its own points are counted under. */
  readonly id: string;
  /** What the audit log names them by: a key's name, or a person's random id. */
  readonly actor: string;
  /** The person, where one asks for themself. */
  readonly userId: string | null;
  /** Cost points a minute of its own; null for as many as the tenant has. */
  readonly pointsPerMinute: number | null;
  /** From when on it is no good any more; null for never. */
  readonly expiresAt: Date | null;
}

/** One request: who asks, and what the audit log keeps of it. */
export interface Caller {
  readonly credential: Credential;
  /** The network address that it came from. */
  readonly address: string | null;
  readonly requestId: string;
}

/** Runs `work` in the session that the credential is good for: an operator's, a person's, or its tenant's. */
export function runAs<T>({ role, tenant, userId }: Credential, work: () => Promise<T>): Promise<T> {
  if (role === 'OPERATOR') return withOperator(work);
  return userId === null ? withTenant(tenant.id, work) : withPerson(tenant.id, userId, work);
}
