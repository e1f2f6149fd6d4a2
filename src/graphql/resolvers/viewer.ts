/** Who asks, and their tenant. */
import { toGlobalId } from '../../domain/ids.ts';
import { countImages } from '../../domain/images.ts';
import { activeModel } from '../../domain/models.ts';
import { readTenant } from '../../domain/tenants.ts';
import { countUsers } from '../../domain/users.ts';
import type { Resolvers } from '../generated/resolvers.ts';

export const viewerResolvers: Pick<Resolvers, 'Query' | 'Viewer' | 'Tenant'> = {
  Query: {
    viewer: (_, __, { credential }) => credential,
  },
  Viewer: {
    tenant: (_, __, { platform }) => readTenant(platform.database),
  },
  Tenant: {
    id: ({ id }) => toGlobalId('Tenant', id),
    activeModel: async (_, __, { platform }) => (await activeModel(platform)).row,
    userCount: (_, __, { platform }) => countUsers(platform.database),
    imageCount: (_, __, { platform }) => countImages(platform.database, {}),
    feedbackCount: (_, __, { platform }) => platform.database.feedback.count(),
  },
};
