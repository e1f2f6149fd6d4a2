/** Who asks. */
import { readTenant } from '../../domain/tenants.ts';
import type { Resolvers } from '../generated/resolvers.ts';
import { present } from '../loaders.ts';

export const viewerResolvers: Pick<Resolvers, 'Query' | 'Viewer'> = {
  Query: {
    viewer: (_, __, { caller }) => caller.credential,
  },
  Viewer: {
    tenant: ({ role }, _, { platform }) => (role === 'OPERATOR' ? null : readTenant(platform.database)),
    user: ({ userId }, _, { loaders }) => (userId === null ? null : present(loaders.users.load(userId))),
  },
};
