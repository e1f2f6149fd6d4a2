/** A pool whose connections are all in use: who waits in vain is told to come again, not that the service is at fault. */
import { asOverloaded, openDatabase } from '../../src/database/client.ts';
import { newTenant, type TestDatabase, testDatabase } from '../support/database.ts';

let test: TestDatabase;

beforeAll(async () => {
  test = await testDatabase();
});
afterAll(() => test.close());

it('a transaction that finds no connection in time is OVERLOADED', async () => {
  const { run } = await newTenant(test.database);
  const narrow = openDatabase(test.url, 1, 1_000);
  let release = () => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  await run(async () => {
    let taken = () => {};
    const begun = new Promise<void>((resolve) => {
      taken = resolve;
    });
    const holding = narrow.$transaction(async (transaction) => {
      await transaction.user.count();
      taken();
      await held;
    });
    await Promise.race([begun, holding]); // which fails where not even the first gets one in time
    const error = await narrow.$transaction((transaction) => transaction.user.count()).catch((raised) => raised);
    expect(asOverloaded(error)).toMatchObject({
      code: 'OVERLOADED',
      message: 'Every connection to the database is in use: send this again in a second.',
    });
    release();
    await holding;
  });
  await narrow.$disconnect();
});

it('any other error stays what it is', async () => {
  const { run } = await newTenant(test.database);
  const error = await run(async () => test.database.$queryRaw`SELECT 1 / 0`).catch((raised) => raised);
  expect(asOverloaded(error)).toBe(error);
});
