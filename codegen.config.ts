/** Resolver types from the schema: `npm run generate` writes src/graphql/generated/resolvers.ts. */
import type { CodegenConfig } from '@graphql-codegen/cli';

const MAPPED = [
  'User',
  'Image',
  'Feedback',
  'Comparison',
  'Model',
  'Tenant',
  'TenantSettings',
  'Viewer',
  'ApiKey',
  'AuditEvent',
  'UserConnection',
  'ImageConnection',
  'FeedbackConnection',
  'Score',
  'ScoreExplanation',
  'Influence',
  'AttentionMap',
  'TokenAttention',
  'PreferenceToken',
  'PreferenceProfile',
  'SimilarUser',
  'ModelComparison',
  'TrainingJob',
  'Shadow',
];

const config: CodegenConfig = {
  schema: 'src/graphql/schema/*.graphql',
  generates: {
    'src/graphql/generated/resolvers.ts': {
      plugins: ['typescript', 'typescript-resolvers'],
      config: {
        contextType: '../context.ts#Context',
        enumsAsTypes: true,
        immutableTypes: true,
        useTypeImports: true,
        scalars: { DateTime: 'Date', ID: 'string' },
        // What a type's resolvers receive is named apart from the type, in sources.ts.
        mappers: Object.fromEntries(MAPPED.map((type) => [type, `../sources.ts#${type}Source`])),
      },
    },
  },
};

export default config;
