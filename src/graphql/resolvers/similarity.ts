/** Profiles, preference tokens, attention, and users of similar taste. */
import { checkExemplars } from '../../domain/exemplars.ts';
import { tokenWeights } from '../../domain/explanations.ts';
import { attentionOf } from '../../domain/profiles.ts';
import type { Resolvers } from '../generated/resolvers.ts';
import type { TokenAttentionSource } from '../sources.ts';

/** The weights of a model's tokens, from the first on. */
export function toTokenAttention({ id }: { readonly id: string }, weights: readonly number[]): TokenAttentionSource[] {
  return weights.map((weight, index) => ({ modelId: id, index, weight }));
}

export const similarityResolvers: Pick<
  Resolvers,
  'PreferenceProfile' | 'TokenAttention' | 'PreferenceToken' | 'AttentionMap' | 'SimilarUser'
> = {
  PreferenceProfile: {
    tokens: (profile) => toTokenAttention(profile.model.row, tokenWeights(attentionOf(profile))),
    attention: (profile) => attentionOf(profile),
    vector: ({ vector }) => [...vector],
    model: ({ model }) => model.row,
  },
  TokenAttention: {
    token: (attention) => attention,
  },
  PreferenceToken: {
    exemplars({ modelId, index }, { first }, { loaders }) {
      checkExemplars(first);
      return loaders.exemplars.load({ modelId, token: index, first });
    },
  },
  AttentionMap: {
    weights: ({ weights }) => [...weights],
  },
  SimilarUser: {
    user: ({ userId }, _, { loaders }) => (userId === null ? null : loaders.users.load(userId)),
  },
};
