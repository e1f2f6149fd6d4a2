/** Resolver types from the schema: `npm run generate` writes src/graphql/generated/resolvers.ts. */
import type { CodegenConfig } from '@graphql-codegen/cli';

const config: CodegenConfig = {
  schema: 'src/graphql/schema/*.graphql',
  generates: {
    'src/graphql/generated/resolvers.ts': {
      plugins: ['typescript', 'typescript-resolvers'],
      config: {
        contextType: '../context.ts#Context',
        enumsAsTypes: true,
        useTypeImports: true,
        scalars: { DateTime: 'Date', ID: 'string' },
        // What a type's resolvers receive; each alias keeps the row apart from the type of the same name.
        mappers: {
          User: '../sources.ts#UserSource',
        },
      },
    },
  },
};

export default config;
