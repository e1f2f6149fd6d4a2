/** Model versions, and promoteModel. */
import { evaluationOf } from '../../domain/evaluations.ts';
import { toGlobalId } from '../../domain/ids.ts';
import { pageModels } from '../../domain/models.ts';
import { promoteModel } from '../../domain/registry.ts';
import { orUserErrors } from '../../domain/userErrors.ts';
import type { Resolvers } from '../generated/resolvers.ts';
import { present } from '../loaders.ts';

export const modelResolvers: Pick<Resolvers, 'Query' | 'Mutation' | 'Model' | 'ModelComparison'> = {
  Query: {
    models: (_, page, { platform }) => pageModels(platform.database, page),
  },
  Mutation: {
    promoteModel: (_, { input }, { platform, caller }) =>
      orUserErrors({ model: null, retired: null }, () => promoteModel(platform, caller, input.id)),
  },
  Model: {
    id: ({ id }) => toGlobalId('Model', id),
    encoder: ({ imageEncoder }) => imageEncoder,
    preferenceTokens: ({ id, tokens }) => Array.from({ length: tokens }, (_, index) => ({ modelId: id, index })),
    readiness: ({ id }, _, { loaders }) => present(loaders.readiness.load(id)),
    parent: ({ parentId }, _, { loaders }) => (parentId === null ? null : present(loaders.models.load(parentId))),
    evaluation: (model) => evaluationOf(model),
  },
  ModelComparison: {
    model: ({ modelId }, _, { loaders }) => present(loaders.models.load(modelId)),
  },
};
