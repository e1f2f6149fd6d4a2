/** Model versions. */
import { evaluationOf } from '../../domain/evaluations.ts';
import { toGlobalId } from '../../domain/ids.ts';
import type { Resolvers } from '../generated/resolvers.ts';
import { present } from '../loaders.ts';

export const modelResolvers: Pick<Resolvers, 'Model' | 'ModelComparison'> = {
  Model: {
    id: ({ id }) => toGlobalId('Model', id),
    encoder: ({ imageEncoder }) => imageEncoder,
    preferenceTokens: ({ id, tokens }) => Array.from({ length: tokens }, (_, index) => ({ modelId: id, index })),
    evaluation: (model) => evaluationOf(model),
  },
  ModelComparison: {
    model: ({ modelId }, _, { loaders }) => present(loaders.models.load(modelId)),
  },
};
