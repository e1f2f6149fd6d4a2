/** Trainings: asked for, taken back, and how they go. */
import { toGlobalId } from '../../domain/ids.ts';
import { cancelTraining, pageTrainingJobs, startTraining, trainingJobOf } from '../../domain/trainingJobs.ts';
import { orUserErrors } from '../../domain/userErrors.ts';
import type { Resolvers } from '../generated/resolvers.ts';

export const trainingResolvers: Pick<Resolvers, 'Query' | 'Mutation' | 'TrainingJob'> & {
  readonly Model: Pick<NonNullable<Resolvers['Model']>, 'trainedBy'>;
} = {
  Query: {
    trainingJob: (_, { id }, { platform }) => trainingJobOf(platform.database, id),
    trainingJobs: (_, args, { platform }) => pageTrainingJobs(platform.database, args),
  },
  Mutation: {
    startTraining: (_, { input }, { platform, caller }) =>
      orUserErrors({ job: null }, async () => ({ job: await startTraining(platform, caller, input) })),
    cancelTraining: (_, { input }, { platform, caller }) => cancelTraining(platform, caller, input.id),
  },
  TrainingJob: {
    id: ({ id }) => toGlobalId('TrainingJob', id),
    losses: ({ id }, args, { loaders }) => loaders.losses.load({ jobId: id, args }),
    model: async ({ modelId }, _, { loaders }) => (modelId === null ? null : loaders.models.load(modelId)),
  },
  Model: {
    trainedBy: ({ id }, _, { loaders }) => loaders.trainedBy.load(id),
  },
};
