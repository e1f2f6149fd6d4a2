/** Tenants: what they are, hold and may hold, and the mutations of operators and of a tenant's ADMIN. */
import { toGlobalId } from '../../domain/ids.ts';
import { activeModel } from '../../domain/models.ts';
import { deleteTenant } from '../../domain/tenantDeletion.ts';
import { createTenant, pageTenants, tenantCounts, updateTenant, updateTenantSettings } from '../../domain/tenants.ts';
import { tokenAudience } from '../../domain/tokenClaims.ts';
import { tenantUsage } from '../../domain/usage.ts';
import { orUserErrors } from '../../domain/userErrors.ts';
import type { Resolvers } from '../generated/resolvers.ts';

export const tenantResolvers: Pick<Resolvers, 'Query' | 'Mutation' | 'Tenant' | 'TenantSettings'> = {
  Query: {
    tenants: (_, page, { platform }) => pageTenants(platform.database, page),
  },
  Mutation: {
    createTenant: (_, { input }, { platform, caller }) =>
      orUserErrors({ tenant: null, adminSecret: null }, async () => {
        const { tenant, adminKey } = await createTenant(platform, caller, input.name);
        return { tenant, adminSecret: adminKey };
      }),
    updateTenant: (_, { input: { id, ...change } }, { platform, caller }) =>
      orUserErrors({ tenant: null }, async () => ({ tenant: await updateTenant(platform, caller, id, change) })),
    deleteTenant: (_, { input }, { platform, caller }) =>
      orUserErrors({ deletedId: null }, () => deleteTenant(platform, caller, input.id, input.confirmName)),
    updateTenantSettings: (_, { input }, { platform, caller }) =>
      orUserErrors({ tenant: null }, async () => ({ tenant: await updateTenantSettings(platform, caller, input) })),
  },
  Tenant: {
    id: ({ id }) => toGlobalId('Tenant', id),
    activeModel: async (_, __, { platform }) => (await activeModel(platform)).row,
    userCount: ({ id }, _, { platform }) => tenantCounts.users(platform.database, id),
    imageCount: ({ id }, _, { platform }) => tenantCounts.images(platform.database, id),
    feedbackCount: ({ id }, _, { platform }) => tenantCounts.feedback(platform.database, id),
    limits: (tenant) => tenant,
    usage: (tenant, _, { platform }) => tenantUsage(platform, tenant),
    settings: (tenant) => tenant,
  },
  TenantSettings: {
    tokenSecretSet: ({ tokenSecret }) => tokenSecret !== null,
    tokenAudience: ({ id }) => tokenAudience(id),
  },
};
