/** Lone queries in one message with their settings: no setting outlives its query, whatever becomes of it. */
import { SessionPool, type Settings } from '../../src/database/sessionPool.ts';
import { type TestDatabase, testDatabase } from '../support/database.ts';

const WHO = `SELECT current_setting('app.tenant_id', true) AS tenant, current_setting('app.user_id', true) AS person,
  current_setting('app.operator', true) AS operator`;
const NOBODY = { tenant: '', person: '', operator: '' };

let test: TestDatabase;
let pool: SessionPool;
let settings: Settings = ['t1', 'p1', 'on'];
beforeAll(async () => {
  test = await testDatabase();
  pool = new SessionPool({ connectionString: test.url, max: 1 }, () => settings);
});
afterAll(async () => {
  await pool.end();
  await test.close();
});

/** Who the connection is for once its query has ended. */
async function whoAfterwards(): Promise<object> {
  const connection = await pool.connect();
  try {
    return (await connection.query(WHO)).rows[0];
  } finally {
    connection.release();
  }
}

it.each([
  { how: 'unprepared', query: { text: WHO } },
  { how: 'prepared', query: { name: 'who', text: WHO } },
  { how: 'with values', query: { text: `${WHO}, $1::int AS one`, values: [1] } },
])('runs a query under its settings, $how, and leaves none behind', async ({ query }) => {
  for (const [tenant, person, operator] of [
    ['t1', 'p1', ''],
    ['t2', '', 'on'],
  ] as const) {
    settings = [tenant, person, operator];
    const { rows, rowCount, command } = await pool.query(query);
    expect({ rows, rowCount, command }).toMatchObject({
      ...{ rows: [{ tenant, person, operator }], rowCount: 1, command: 'SELECT' },
    });
    expect(await whoAfterwards()).toEqual(NOBODY);
  }
});

it.each([
  { when: 'it cannot be parsed', query: { text: 'SELEC $1', values: ['1'] }, words: 'syntax error' },
  {
    when: 'it fails as it runs',
    query: { name: 'divide', text: 'SELECT 1 / $1::int', values: ['0'] },
    words: 'by zero',
  },
  { when: 'a value does not fit', query: { text: 'SELECT $1::int', values: ['x'] }, words: 'invalid input syntax' },
])('leaves no setting and a usable connection where $when', async ({ query, words }) => {
  for (let i = 0; i < 3; i++) await expect(pool.query(query)).rejects.toThrow(words);
  expect(await whoAfterwards()).toEqual(NOBODY);
  settings = ['t3', '', ''];
  expect((await pool.query(WHO)).rows).toEqual([{ tenant: 't3', person: '', operator: '' }]);
});

it('keeps what a write has written, and undoes what fails as it is committed', async () => {
  await pool.query({ text: 'CREATE TEMP TABLE kept (id int UNIQUE DEFERRABLE INITIALLY DEFERRED)' });
  expect((await pool.query({ text: 'INSERT INTO kept VALUES (1), (2)' })).rowCount).toBe(2);
  await expect(pool.query({ text: 'INSERT INTO kept VALUES (2)' })).rejects.toThrow('duplicate key');
  expect((await pool.query({ text: 'SELECT id FROM kept ORDER BY id' })).rows).toEqual([{ id: 1 }, { id: 2 }]);
  expect(await whoAfterwards()).toEqual(NOBODY);
});

it("keeps the connection after an error that is the query's own, and takes a new one for one that broke", async () => {
  const backend = async () => (await pool.query({ text: 'SELECT pg_backend_pid() AS pid' })).rows[0].pid;
  const first = await backend();
  await expect(pool.query({ text: 'SELECT 1 / 0' })).rejects.toThrow('by zero');
  expect(await backend()).toBe(first);
  await expect(pool.query({ text: 'SELECT pg_terminate_backend(pg_backend_pid())' })).rejects.toThrow('terminat');
  expect(await backend()).not.toBe(first);
});

it('sends nothing where there are no settings', async () => {
  const nowhere = new SessionPool({ connectionString: test.url, max: 1 }, () => {
    throw new Error('for whom?');
  });
  expect(() => nowhere.query({ text: 'SELECT 1' })).toThrow('for whom?');
  expect(nowhere.totalCount).toBe(0);
  await nowhere.end();
});
