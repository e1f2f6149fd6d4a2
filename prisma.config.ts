/**
 * Prisma's command line is used to generate the client only; migrations are run by src/database/migrations.ts.
 * Generating needs no engine (it is wasm inside) but asks for one to be named: any program that exists will do,
 * so that nothing is downloaded.
 */
import { defineConfig } from 'prisma/config';

if (/^(generate|validate|format)$/.test(process.argv[2] ?? '')) {
  process.env['PRISMA_SCHEMA_ENGINE_BINARY'] ||= process.execPath;
}

export default defineConfig({
  schema: 'prisma/schema.prisma',
  migrations: { path: 'prisma/migrations' },
});
