/** Judgements and comparisons, and the mutations that take them in and back. */
import { submitComparison } from '../../domain/comparisons.ts';
import { toGlobalId } from '../../domain/ids.ts';
import { retractFeedback, submitFeedback } from '../../domain/submitFeedback.ts';
import type { Resolvers } from '../generated/resolvers.ts';
import { present } from '../loaders.ts';

export const feedbackResolvers: Pick<Resolvers, 'Mutation' | 'Feedback' | 'Comparison' | 'FeedbackConnection'> = {
  Mutation: {
    submitFeedback: (_, { input }, { platform }) => submitFeedback(platform, input),
    submitComparison: (_, { input }, { platform }) => submitComparison(platform, input),
    retractFeedback: (_, { input }, { platform }) => retractFeedback(platform, input.ids),
  },
  FeedbackConnection: {
    totalCount: (page) => page.totalCount(),
  },
  Feedback: {
    id: ({ id }) => toGlobalId('Feedback', id),
    user: ({ userId }, _, { loaders }) => present(loaders.users.load(userId)),
    image: ({ imageId }, _, { loaders }) => present(loaders.images.load(imageId)),
  },
  Comparison: {
    id: ({ id }) => toGlobalId('Comparison', id),
    user: ({ userId }, _, { loaders }) => present(loaders.users.load(userId)),
    chosen: ({ chosenId }, _, { loaders }) => present(loaders.images.load(chosenId)),
    others: ({ otherIds }, _, { loaders }) => Promise.all(otherIds.map((id) => present(loaders.images.load(id)))),
  },
};
