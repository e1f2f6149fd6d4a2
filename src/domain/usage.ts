/** What a tenant uses at this moment, for its ADMIN. */
import type { ImageStatus, Tenant } from '../database/generated/client.ts';
import { countImages } from './images.ts';
import { activeModel } from './models.ts';
import type { Platform } from './platform.ts';

export interface TenantUsage {
  /** Points left until `resetsAt`; what other replicas have leased counts as spent. */
  readonly pointsLeft: number;
  readonly resetsAt: Date;
  /** Images waiting to be encoded. */
  readonly imagesPending: number;
  /** What runs the tenant's model: cpu, webgpu or cuda. */
  readonly executionProvider: string;
}

/** Throws NOT_READY where the active model's weights are not on this machine. In the tenant's session. */
export async function tenantUsage(platform: Platform, tenant: Tenant): Promise<TenantUsage> {
  const pending: ImageStatus = 'PENDING';
  const [{ remaining, resetsAt }, imagesPending, { network }] = await Promise.all([
    platform.points.tenantBalance(tenant),
    countImages(platform.database, { status: pending }),
    activeModel(platform),
  ]);
  return { pointsLeft: remaining, resetsAt, imagesPending, executionProvider: network.executionProvider };
}
