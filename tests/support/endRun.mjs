/** Jest's globalTeardown: stops the PostgreSQL server that the tests share. */
export { stop as default } from './databaseServer.mjs';
