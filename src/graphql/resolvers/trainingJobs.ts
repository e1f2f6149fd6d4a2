/** Trainings of a tenant's model. */
import { toGlobalId } from '../../domain/ids.ts';
import type { Resolvers } from '../generated/resolvers.ts';

export const trainingJobResolvers: Pick<Resolvers, 'TrainingJob'> = {
  TrainingJob: {
    id: ({ id }) => toGlobalId('TrainingJob', id),
  },
};
