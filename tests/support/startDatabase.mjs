/** Jest's globalSetup: starts the PostgreSQL server that the tests share. */
export { start as default } from './databaseServer.mjs';
