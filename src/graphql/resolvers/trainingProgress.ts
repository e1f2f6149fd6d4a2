/** The first subscription: a training, as it goes. */
import { trainingProgress } from '../../domain/trainingProgress.ts';
import type { Resolvers } from '../generated/resolvers.ts';
import type { TrainingJobSource } from '../sources.ts';
import { streamOf } from '../subscriptions.ts';

export const trainingProgressResolvers: Pick<Resolvers, 'Subscription'> = {
  Subscription: {
    trainingProgress: {
      subscribe: (_, { jobId }, context) => trainingProgress(context.platform, jobId, streamOf(context).signal),
      resolve: (job: TrainingJobSource) => job,
    },
  },
};
