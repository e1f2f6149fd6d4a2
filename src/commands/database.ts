/**
 * The installation's database for a command that needs no service: the one of DATABASE_URL, or the embedded one, whose
 * server is joined where a service runs it and started for as long as the command runs where none does.
 */
import { join } from 'node:path';
import type { Config } from '../config.ts';
import { type Database, openDatabase, prepareDatabase } from '../database/client.ts';
import { startEmbeddedServer } from '../database/embeddedServer.ts';

/** Connections of a command: it asks one thing after the other. */
const CONNECTIONS = 2;

/** @param ownerUrl the database as its tables' owner, whom row-level security binds too */
export type DatabaseWork<T> = (database: Database, ownerUrl: string) => Promise<T>;

/** Migrates the database where that is due, runs `work` on it and lets it go. Throws NOT_READY where it cannot be had. */
export async function withDatabase<T>(config: Config, work: DatabaseWork<T>): Promise<T> {
  if (config.databaseUrl !== null) return workOn(config.databaseUrl, work);
  const embedded = await startEmbeddedServer(join(config.dataDirectory, 'database'));
  try {
    return await workOn(embedded.url, work);
  } finally {
    await embedded.stop();
  }
}

async function workOn<T>(ownerUrl: string, work: DatabaseWork<T>): Promise<T> {
  const database = openDatabase(await prepareDatabase(ownerUrl), CONNECTIONS);
  try {
    return await work(database, ownerUrl);
  } finally {
    await database.$disconnect();
  }
}
