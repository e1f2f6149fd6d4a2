/** Profiles, preference tokens, attention, and users of similar taste. */
import { tokenWeights } from '../../domain/explanations.ts';
import { attentionOf } from '../../domain/profiles.ts';
import type { Resolvers } from '../generated/resolvers.ts';
import type { TokenAttentionSource } from '../sources.ts';

/** The weights of the tokens, from the first on. */
export function toTokenAttention(weights: readonly number[]): TokenAttentionSource[] {
  return weights.map((weight, index) => ({ index, weight }));
}

export const similarityResolvers: Pick<
  Resolvers,
  'PreferenceProfile' | 'TokenAttention' | 'AttentionMap' | 'SimilarUser'
> = {
  PreferenceProfile: {
    tokens: (profile) => toTokenAttention(tokenWeights(attentionOf(profile))),
    attention: (profile) => attentionOf(profile),
    vector: ({ vector }) => [...vector],
    model: ({ model }) => model.row,
  },
  TokenAttention: {
    token: ({ index }) => ({ index }),
  },
  AttentionMap: {
    weights: ({ weights }) => [...weights],
  },
  SimilarUser: {
    user: ({ userId }, _, { loaders }) => (userId === null ? null : loaders.users.load(userId)),
  },
};
