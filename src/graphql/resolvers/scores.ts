/** Score, its logits and its explanation. */
import { tokenWeights } from '../../domain/explanations.ts';
import { checkFirst } from '../../domain/pages.ts';
import { basisOf } from '../../domain/scores.ts';
import type { Resolvers } from '../generated/resolvers.ts';
import { present } from '../loaders.ts';
import { toTokenAttention } from './similarity.ts';

export const scoreResolvers: Pick<Resolvers, 'Score' | 'ScoreExplanation' | 'Influence'> = {
  Score: {
    user: ({ reading }, _, { loaders }) => present(loaders.users.load(reading.userId)),
    image: ({ imageId }, _, { loaders }) => present(loaders.images.load(imageId)),
    logits: ({ like, dislike }) => ({ like, dislike }),
    basis: ({ reading }) => basisOf(reading),
    model: ({ reading }) => reading.model.row,
    asOf: ({ reading }) => reading.asOf,
    explanation: (score) => score,
  },
  ScoreExplanation: {
    async influences(score, { first }, { loaders }) {
      checkFirst(first);
      const { influences } = await loaders.explanations.load({ score, influences: true });
      // A later page of recommendations may rest on a judgement that has been taken back since.
      const standing = await Promise.all(influences.map(({ feedbackId }) => loaders.feedback.load(feedbackId)));
      return influences.filter((_, i) => standing[i]).slice(0, first);
    },
    async tokens(score, _, { loaders }) {
      const { attention } = await loaders.explanations.load({ score, influences: false });
      return toTokenAttention(score.reading.model.row, tokenWeights(attention));
    },
    async attention(score, _, { loaders }) {
      return (await loaders.explanations.load({ score, influences: false })).attention;
    },
  },
  Influence: {
    feedback: ({ feedbackId }, _, { loaders }) => present(loaders.feedback.load(feedbackId)),
  },
};
