/** A service of its own process, to be killed: starts the embedded server in argv[2], writes a row, says where. */
import pg from 'pg';
import { startEmbeddedServer } from '../../src/database/embeddedServer.ts';

const server = await startEmbeddedServer(process.argv[2]!);
const client = new pg.Client({ connectionString: server.url });
await client.connect();
await client.query('CREATE TABLE acknowledged (n int); INSERT INTO acknowledged VALUES (1)');
process.stdout.write(`${server.pid}\n`);
setInterval(() => {}, 1000); // until it is killed
