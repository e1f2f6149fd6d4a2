export { stop as default } from './databaseServer.mjs';
