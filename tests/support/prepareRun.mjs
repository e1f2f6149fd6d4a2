/** Jest's globalSetup: starts the PostgreSQL server that the tests share, and builds the program that some of them start. */
import { buildProgram } from './builtProgram.mjs';
import { start } from './databaseServer.mjs';

export default () => Promise.all([start(), buildProgram()]);
