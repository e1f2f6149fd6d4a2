/**
 * What a database lacks of prisma/schema.prisma, as a script. Prisma's own schema engine compares them. To write a migration: change schema.prisma and run tests/database/schema.test.ts, which then fails
 * and shows the script to begin with.
 */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { PrismaPg } from '@prisma/adapter-pg';
import {
  bindMigrationAwareSqlAdapterFactory,
  ColumnTypeEnum,
  type SqlDriverAdapter,
} from '@prisma/driver-adapter-utils';
import type { SchemaEngine } from '@prisma/schema-engine-wasm';
import pg from 'pg';

/**
 * PostgreSQL's internal "char": its catalog answers with it, the engine reads it as a character, and Prisma's adapter
 * refuses it. It is passed through the adapter as a date, which no catalog query answers with.
 */
const INTERNAL_CHAR = 18;
const DATE = 1082;

async function connectToCatalog(pool: pg.Pool): Promise<SqlDriverAdapter> {
  const query = pool.query.bind(pool) as (config: pg.QueryConfig) => Promise<pg.QueryResult>;
  const disguised = async (config: pg.QueryConfig) => {
    const result = await query(config);
    for (const field of result.fields ?? []) if (field.dataTypeID === INTERNAL_CHAR) field.dataTypeID = DATE;
    return result;
  };
  const adapter = await new PrismaPg(Object.assign(pool, { query: disguised })).connect();
  const queryRaw = adapter.queryRaw.bind(adapter);
  adapter.queryRaw = async (query) => {
    const { columnTypes, ...result } = await queryRaw(query);
    const read = (type: number) => (type === ColumnTypeEnum.Date ? ColumnTypeEnum.Character : type);
    return { ...result, columnTypes: columnTypes.map(read) as typeof columnTypes };
  };
  return adapter;
}

/** @param ownerUrl a database that was migrated */
export async function schemaDrift(ownerUrl: string): Promise<string> {
  const schema = join(import.meta.dirname, '..', '..', 'prisma', 'schema.prisma');
  const files = [{ path: schema, content: await readFile(schema, 'utf8') }];
  const pool = new pg.Pool({ connectionString: ownerUrl, max: 1 });
  try {
    const engine = await openEngine(pool, files[0]!.content);
    const { stdout } = await engine.diff({
      from: { tag: 'schemaDatasource', files, configDir: '' },
      to: { tag: 'schemaDatamodel', files },
      script: true,
      exitCode: null,
      filters: { externalTables: [], externalEnums: [] },
    });
    engine.free();
    return stdout ?? '';
  } finally {
    await pool.end();
  }
}

/** As much of it as is used: tsconfig.json knows no browser, whose types it is part of. */
interface WebAssemblyLike {
  instantiate(bytes: Uint8Array, imports: object): Promise<{ instance: { exports: Record<string, unknown> } }>;
}

/** The engine's JavaScript keeps what it was loaded with, so it is loaded once. Node 20 does not import WebAssembly. */
const loaded = (async () => {
  const require = createRequire(import.meta.url);
  const glue = await import('@prisma/schema-engine-wasm/schema_engine_bg');
  const file = require.resolve('@prisma/schema-engine-wasm/schema_engine_bg').replace(/\.js$/, '.wasm');
  Object.assign(globalThis, {
    PRISMA_WASM_PANIC_REGISTRY: { set_message: (message: string) => console.error(message) },
  });
  const { WebAssembly } = globalThis as unknown as { WebAssembly: WebAssemblyLike };
  const { instance } = await WebAssembly.instantiate(await readFile(file), { './schema_engine_bg.js': { ...glue } });
  glue.__wbg_set_wasm(instance.exports);
  (instance.exports['__wbindgen_start'] as () => void)();
  return glue;
})();

async function openEngine(pool: pg.Pool, schema: string): Promise<SchemaEngine> {
  const connect = () => connectToCatalog(pool);
  const factory = {
    provider: 'postgres',
    adapterName: '@prisma/adapter-pg',
    connect,
    connectToShadowDb: connect,
  } as const;
  const options = { datamodels: [['schema.prisma', schema]] as [string, string][] };
  return (await loaded).SchemaEngine.new(options, () => {}, bindMigrationAwareSqlAdapterFactory(factory));
}
