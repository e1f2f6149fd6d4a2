/** A server of one's own, as DATABASE_URL names it: its owner is no superuser, and all works all the same. */
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { openDatabase, prepareDatabase } from '../../src/database/client.ts';
import { prepareServiceRole } from '../../src/database/serviceRole.ts';
import { registerImage } from '../../src/domain/images.ts';
import { Quotas } from '../../src/domain/quotas.ts';
import { submitFeedback } from '../../src/domain/submitFeedback.ts';
import { upsertUsers } from '../../src/domain/users.ts';
import { openQueue, prepareQueue } from '../../src/queue/queue.ts';
import { newTenant } from '../support/database.ts';

const name = `own_${randomUUID().replaceAll('-', '')}`;
const serverUrl = process.env['PALATE_TEST_DATABASE_URL']!;

async function asSuperuser(...statements: string[]): Promise<void> {
  const client = new pg.Client({ connectionString: serverUrl });
  await client.connect();
  for (const statement of statements) await client.query(statement);
  await client.end();
}

beforeAll(() =>
  asSuperuser(`CREATE ROLE ${name} LOGIN CREATEROLE PASSWORD 'p@ss/word'`, `CREATE DATABASE ${name} OWNER ${name}`),
);
afterAll(() => asSuperuser(`DROP DATABASE ${name} WITH (FORCE)`, `DROP ROLE ${name}_service`, `DROP ROLE ${name}`));

it('an owner with CREATEROLE is enough, at the first start and at the next', async () => {
  const url = new URL(serverUrl);
  Object.assign(url, { username: name, password: encodeURIComponent('p@ss/word'), pathname: name });
  for (const start of ['first', 'next']) {
    const serviceUrl = await prepareDatabase(url.href);
    await prepareQueue(url.href);
    const database = openDatabase(serviceUrl);
    const queue = await openQueue(serviceUrl, () => {});
    const platform = { database, queue, quotas: new Quotas(1_000), now: () => new Date() };
    const { run } = await newTenant(database);
    const { feedback, userErrors } = await run(async () => {
      await upsertUsers(platform, [{ externalId: 'ada' }]);
      const picture = { sha256: start.padEnd(64, '0'), format: 'png', byteLength: 1, width: 1, height: 1 };
      await registerImage(platform, picture, { externalId: 'x' });
      const item = { user: { externalId: 'ada' }, image: { externalId: 'x' }, sentiment: 'LIKE' as const };
      return submitFeedback(platform, { items: [item] });
    });
    expect({ start, userErrors, given: feedback.length }).toEqual({ start, userErrors: [], given: 1 });
    await queue.stop(1);
    await database.$disconnect();
  }
});

it('several processes may make the role at once', async () => {
  const url = new URL(serverUrl);
  Object.assign(url, { username: name, password: encodeURIComponent('p@ss/word'), pathname: name });
  const owners = await Promise.all(
    Array.from({ length: 8 }, async () => {
      const owner = new pg.Client({ connectionString: url.href });
      await owner.connect();
      return owner;
    }),
  );
  for (let round = 0; round < 3; round++) {
    const made = await Promise.allSettled(owners.map((owner) => prepareServiceRole(owner, url.href)));
    expect(made.filter(({ status }) => status === 'rejected')).toEqual([]);
  }
  await Promise.all(owners.map((owner) => owner.end()));
});
