/** The embedded server, in processes of its own that are killed. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { startEmbeddedServer } from '../../src/database/embeddedServer.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'palate-server-'));
  await chmod(folder, 0o755); // or root's server, which runs as another user, keeps its files elsewhere
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function query<R extends pg.QueryResultRow>(url: string, text: string): Promise<R[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<R>(text)).rows;
  } finally {
    await client.end();
  }
}

describe('the embedded server', () => {
  it('listens on this machine alone and asks for the random password that only its owner can read', async () => {
    const server = await startEmbeddedServer(folder);
    try {
      const rows = await query(
        server.url,
        `SELECT current_setting('listen_addresses') AS address, current_setting('unix_socket_directories') AS sockets,
           (SELECT bool_and(auth_method = 'scram-sha-256') FROM pg_hba_file_rules) AS scram`,
      );
      expect(rows).toEqual([{ address: '127.0.0.1', sockets: '', scram: true }]);
      const password = await readFile(join(folder, 'password'), 'utf8');
      expect(password).toMatch(/^[A-Za-z0-9_-]{32}$/);
      expect(new URL(server.url).password).toBe(password);
      expect((await stat(join(folder, 'password'))).mode & 0o777).toBe(0o600);
      const wrong = server.url.replace(password, 'wrong');
      await expect(query(wrong, 'SELECT 1')).rejects.toMatchObject({ code: '28P01' });
    } finally {
      await server.stop();
    }
  });

  it('runs on when its service is killed, and the next start joins it with every acknowledged row', async () => {
    const script = new URL('../support/serviceToKill.ts', import.meta.url).pathname;
    const service = spawn(process.execPath, ['--import', 'tsx', script, folder], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [said] = (await once(service.stdout, 'data')) as [Buffer];
    service.kill('SIGKILL');
    await once(service, 'exit');

    const server = await startEmbeddedServer(folder);
    expect(server.pid).toBe(Number(said.toString()));
    expect(await query(server.url, 'SELECT n FROM acknowledged')).toEqual([{ n: 1 }]);

    process.kill(server.pid, 'SIGKILL');
    const recovered = await startEmbeddedServer(folder);
    expect(recovered.pid).not.toBe(server.pid);
    expect(await query(recovered.url, 'SELECT n FROM acknowledged')).toEqual([{ n: 1 }]);
    await recovered.stop();
  });

  it('is shared by those who start it together, and stopped by the last', async () => {
    const [one, other] = await Promise.all([startEmbeddedServer(folder), startEmbeddedServer(folder)]);
    expect(one.pid).toBe(other.pid);
    await one.stop();
    expect(await query(other.url, 'SELECT 1 AS still')).toEqual([{ still: 1 }]);
    await other.stop();
    await expect(query(other.url, 'SELECT 1')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });

  it('says the last words of a server that does not start', async () => {
    const settings = { shared_buffers: 'nonsense' };
    await expect(startEmbeddedServer(folder, { settings })).rejects.toMatchObject({
      code: 'NOT_READY',
      message: expect.stringContaining('invalid value for parameter "shared_buffers": "nonsense"'),
    });
  });
});
