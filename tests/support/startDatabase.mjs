export { start as default } from './databaseServer.mjs';
