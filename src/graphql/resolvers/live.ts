/** How models do in life: live accuracy, and a candidate beside the active model. */
import { agreementOf, findShadow, setShadow } from '../../domain/shadows.ts';
import { orUserErrors } from '../../domain/userErrors.ts';
import type { Resolvers } from '../generated/resolvers.ts';

/** The greatest of GraphQL's integers: what is counted beyond it is told as this. */
const MOST = 2_147_483_647;

export const liveResolvers: Pick<Resolvers, 'Mutation' | 'Model' | 'Shadow' | 'Tenant'> = {
  Mutation: {
    setShadow: (_, { input }, { platform, caller }) =>
      orUserErrors({ shadow: null }, async () => ({ shadow: await setShadow(platform, caller, input) })),
  },
  Model: {
    live: ({ id }, _, { loaders }) => loaders.live.load(id),
  },
  Tenant: {
    shadow: (_, __, { platform }) => findShadow(platform.database),
  },
  Shadow: {
    scored: ({ scored }) => Math.min(MOST, Number(scored)),
    agreement: (shadow) => agreementOf(shadow),
  },
};
