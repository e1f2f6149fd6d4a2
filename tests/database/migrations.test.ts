/** Running migrations: in order, once, whole or not at all. */
import pg from 'pg';
import { type Migration, migrate, readMigrations } from '../../src/database/migrations.ts';
import { copyDatabase, dropDatabase } from '../support/database.ts';

let ownerUrl: string;
let client: pg.Client;
let shipped: Migration[];

beforeEach(async () => {
  ownerUrl = await copyDatabase();
  client = new pg.Client({ connectionString: ownerUrl });
  await client.connect();
  shipped = await readMigrations();
});
afterEach(async () => {
  await client.end();
  await dropDatabase(ownerUrl);
});

const script = (name: string, sql: string): Migration => ({ name, sql, checksum: name });
const hasTable = async (name: string) =>
  (await client.query('SELECT to_regclass($1) IS NOT NULL AS there', [name])).rows[0].there as boolean;

describe('migrate', () => {
  it('runs what is missing, in order, and nothing twice', async () => {
    const more = [
      ...shipped,
      script('3000_a', 'CREATE TABLE a (n int); INSERT INTO a VALUES (1)'),
      script('3001_b', 'ALTER TABLE a ADD m text'),
    ];
    expect(await migrate(client, more)).toEqual(['3000_a', '3001_b']);
    expect(await migrate(client, more)).toEqual([]);
    expect((await client.query('SELECT * FROM a')).rows).toEqual([{ n: 1, m: null }]);
  });

  it('runs each once where several processes start together', async () => {
    const other = new pg.Client({ connectionString: ownerUrl });
    await other.connect();
    const more = [...shipped, script('3000_a', 'CREATE TABLE a (n int)')];
    const ran = await Promise.all([migrate(client, more), migrate(other, more)]);
    expect(ran.flat()).toEqual(['3000_a']);
    await other.end();
  });

  it('takes nothing of a script that fails, and can be run again', async () => {
    const broken = script('3000_a', 'CREATE TABLE a (n int); SELECT nonsense');
    await expect(migrate(client, [...shipped, broken])).rejects.toMatchObject({
      code: 'NOT_READY',
      message: 'Migration 3000_a failed and changed nothing: column "nonsense" does not exist',
    });
    expect(await hasTable('a')).toBe(false);
    expect(await migrate(client, [...shipped, script('3000_a', 'CREATE TABLE a (n int)')])).toEqual(['3000_a']);
  });

  it('refuses a script that was edited after it ran', async () => {
    const edited = shipped.map((migration) => ({ ...migration, checksum: 'other' }));
    await expect(migrate(client, edited)).rejects.toMatchObject({
      code: 'NOT_READY',
      message: `Migration ${shipped[0]!.name} was edited after it ran on this database. Restore its script and write the change as a new migration.`,
    });
  });

  it('refuses a database that a newer version has migrated', async () => {
    await expect(migrate(client, [])).rejects.toMatchObject({
      code: 'NOT_READY',
      message: `The database was migrated by a newer version of Palate (it has ${shipped[0]!.name}). Start that version or a later one.`,
    });
  });

  it('refuses to go on over what another tool began and left', async () => {
    await client.query(`INSERT INTO _prisma_migrations (id, checksum, migration_name) VALUES ('1', 'x', '2999_half')`);
    await expect(migrate(client, shipped)).rejects.toMatchObject({
      code: 'NOT_READY',
      message: 'Migration 2999_half was begun by another tool and failed. Mend it with `prisma migrate resolve`.',
    });
  });
});
