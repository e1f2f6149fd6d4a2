/** All resolvers, a file a noun. A resolver translates between the schema and the domain; it decides nothing. */
import { DateTime } from '../dateTime.ts';
import type { Resolvers } from '../generated/resolvers.ts';
import { apiKeyResolvers } from './apiKeys.ts';
import { feedbackResolvers } from './feedback.ts';
import { imageResolvers } from './images.ts';
import { liveResolvers } from './live.ts';
import { modelResolvers } from './models.ts';
import { nodeResolvers } from './nodes.ts';
import { scoreResolvers } from './scores.ts';
import { similarityResolvers } from './similarity.ts';
import { tenantResolvers } from './tenants.ts';
import { trainingResolvers } from './training.ts';
import { trainingProgressResolvers } from './trainingProgress.ts';
import { userResolvers } from './users.ts';
import { viewerResolvers } from './viewer.ts';

export const resolvers: Resolvers = {
  ...liveResolvers,
  ...modelResolvers,
  ...scoreResolvers,
  ...similarityResolvers,
  ...feedbackResolvers,
  ...imageResolvers,
  ...userResolvers,
  ...viewerResolvers,
  ...tenantResolvers,
  ...apiKeyResolvers,
  ...trainingResolvers,
  ...trainingProgressResolvers,
  ...nodeResolvers,
  DateTime,
  Model: { ...modelResolvers.Model, ...trainingResolvers.Model, ...liveResolvers.Model },
  Tenant: { ...tenantResolvers.Tenant, ...liveResolvers.Tenant },
  Query: {
    ...nodeResolvers.Query,
    ...viewerResolvers.Query,
    ...userResolvers.Query,
    ...imageResolvers.Query,
    ...tenantResolvers.Query,
    ...apiKeyResolvers.Query,
    ...trainingResolvers.Query,
    ...modelResolvers.Query,
  },
  Mutation: {
    ...userResolvers.Mutation,
    ...imageResolvers.Mutation,
    ...feedbackResolvers.Mutation,
    ...tenantResolvers.Mutation,
    ...apiKeyResolvers.Mutation,
    ...trainingResolvers.Mutation,
    ...modelResolvers.Mutation,
    ...liveResolvers.Mutation,
  },
};
