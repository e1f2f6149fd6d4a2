/** Users: their own fields, their lists and their scores; upsertUsers, deleteUser. */
import { deleteUser } from '../../domain/erasure.ts';
import { idOf, newId, toGlobalId } from '../../domain/ids.ts';
import { checkCollection } from '../../domain/images.ts';
import { checkFirst } from '../../domain/pages.ts';
import { checkQuestions } from '../../domain/questions.ts';
import { checkCandidates } from '../../domain/scores.ts';
import { similarUserPage } from '../../domain/similarity.ts';
import { orUserErrors } from '../../domain/userErrors.ts';
import { countUsers, findUser, pageUsers, upsertUsers } from '../../domain/users.ts';
import { PalateError } from '../../errors.ts';
import type { Resolvers } from '../generated/resolvers.ts';

/** The image's id in the database. What is no image's id becomes one that never was, so that both are told alike. */
function imageIdOf(globalId: string): string {
  return idOf('Image', globalId) ?? newId();
}

export const userResolvers: Pick<Resolvers, 'Query' | 'Mutation' | 'User' | 'UserConnection'> = {
  Query: {
    user: (_, { by }, { platform }) => findUser(platform, by),
    users: async (_, page, { platform }) => ({
      ...(await pageUsers(platform.database, page)),
      totalCount: () => countUsers(platform.database),
    }),
  },
  Mutation: {
    upsertUsers: (_, { input }, { platform }) => upsertUsers(platform, input.items),
    deleteUser: (_, { input }, { platform, caller }) =>
      orUserErrors({ deletedId: null, feedbackDeleted: 0, modelsTrainedOnUser: [] }, () =>
        deleteUser(platform, caller, input.id),
      ),
  },
  UserConnection: {
    totalCount: (page) => page.totalCount(),
  },
  User: {
    id: ({ id }) => toGlobalId('User', id),

    async feedback({ id: userId }, { first, after = null, sentiment = null }, { loaders }) {
      checkFirst(first);
      return {
        ...(await loaders.feedbackPages.load({ userId, args: { first, after, sentiment } })),
        totalCount: () => loaders.feedbackCounts.load({ userId, args: { sentiment } }),
      };
    },

    async score({ id: userId }, { imageId }, { loaders }) {
      const { scores, notScored } = await loaders.rankings.load({ userId, imageIds: [imageIdOf(imageId)] });
      const [fault] = notScored;
      if (fault) throw new PalateError(fault.code, fault.message);
      return scores[0] ?? null;
    },

    async rank({ id: userId }, { imageIds }, { loaders }) {
      checkCandidates(imageIds);
      const { scores, notScored } = await loaders.rankings.load({ userId, imageIds: imageIds.map(imageIdOf) });
      return {
        scores,
        notScored: notScored.map(({ position, code, message }) => ({ imageId: imageIds[position]!, code, message })),
      };
    },

    recommendations({ id: userId }, { first, after = null, collection = null }, { loaders }) {
      checkFirst(first);
      checkCollection(collection);
      return loaders.recommendations.load({ userId, first, after, collection });
    },

    async nextToRate({ id: userId }, { first, collection = null }, { loaders }) {
      checkQuestions(first);
      checkCollection(collection);
      const ids = await loaders.questions.load({ userId, first, collection });
      return (await Promise.all(ids.map((id) => loaders.images.load(id)))).filter((image) => image !== null);
    },

    async similarUsers({ id }, page, { loaders }) {
      checkFirst(page.first);
      return similarUserPage((await loaders.similarUsers.load(id)) ?? [], page);
    },

    preferenceProfile: ({ id }, _, { loaders }) => loaders.profiles.load(id),
  },
};
