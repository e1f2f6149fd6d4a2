/**
 * Tenants: made with the base model as their version 0 and their first keys, all in one transaction.
 */
import { currentTenant, type Database, type Queries, withTenant } from '../database/client.ts';
import type { Tenant } from '../database/generated/client.ts';
import { createApiKey } from './apiKeys.ts';
import { newId } from './ids.ts';
import { checkText } from './userErrors.ts';

/** The longest name of a tenant, in characters. */
const MAX_TENANT_NAME = 200;

/** What a tenant's row keeps of the model it begins with; a loaded preference model has all of it. */
export interface BaseModel {
  /** SHA-256 of the weights. */
  readonly sha256: string;
  /** Hash of the item tower. */
  readonly towerHash: string;
  /** SHA-256 of the encoders. */
  readonly imageEncoder: string;
  readonly textEncoder: string;
  readonly layers: number;
  readonly heads: number;
  readonly tokens: number;
}

export interface NewTenant {
  readonly tenant: Tenant;
  /** Shown this once. */
  readonly adminKey: string;
  readonly serviceKey: string;
}

/** Throws an ItemError where the name is empty or too long. */
export async function createTenant(database: Database, name: string, base: BaseModel): Promise<NewTenant> {
  checkText('name', name, MAX_TENANT_NAME, true);
  const tenantId = newId();
  return withTenant(tenantId, () =>
    database.$transaction(async (transaction) => {
      const tenant = await transaction.tenant.create({ data: { id: tenantId, name } });
      await transaction.model.create({
        data: {
          tenantId,
          id: newId(),
          version: 0,
          status: 'ACTIVE',
          sha256: base.sha256,
          tower: base.towerHash,
          imageEncoder: base.imageEncoder,
          textEncoder: base.textEncoder,
          layers: base.layers,
          heads: base.heads,
          tokens: base.tokens,
          promotedAt: tenant.createdAt,
        },
      });
      const admin = await createApiKey(transaction, { name: 'first admin', role: 'ADMIN' });
      const service = await createApiKey(transaction, { name: 'first service', role: 'SERVICE' });
      return { tenant, adminKey: admin.secret, serviceKey: service.secret };
    }),
  );
}

/** The tenant of the session; null where there is none, such as one that was deleted since. */
export function readTenant(queries: Queries): Promise<Tenant | null> {
  return queries.tenant.findFirst({ where: { id: currentTenant() } });
}
