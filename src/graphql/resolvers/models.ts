/** Model versions. */
import { toGlobalId } from '../../domain/ids.ts';
import type { Resolvers } from '../generated/resolvers.ts';

export const modelResolvers: Pick<Resolvers, 'Model'> = {
  Model: {
    id: ({ id }) => toGlobalId('Model', id),
    encoder: ({ imageEncoder }) => imageEncoder,
    preferenceTokens: ({ id, tokens }) => Array.from({ length: tokens }, (_, index) => ({ modelId: id, index })),
  },
};
