/** Points a minute: never overspent by any number of replicas, hardly ever asked of the database. */
import pg from 'pg';
import { openDatabase, withPerson, withTenant } from '../../src/database/client.ts';
import { PointBudget, PointsError, type Spender } from '../../src/domain/points.ts';
import { newTenant, type TestDatabase, testDatabase } from '../support/database.ts';

let leases = 0;
const send = pg.Client.prototype.query;
pg.Client.prototype.query = function (this: pg.Client, ...args: unknown[]) {
  const [query] = args as [string | { text?: string }];
  if (/INTO point_leases/.test(typeof query === 'string' ? query : (query?.text ?? ''))) leases++;
  return Reflect.apply(send, this, args);
} as typeof send;
afterAll(() => {
  pg.Client.prototype.query = send;
});

let test: TestDatabase;
/** A second replica's connections. */
let elsewhere: TestDatabase['database'];

beforeAll(async () => {
  test = await testDatabase();
  elsewhere = openDatabase(test.url, 5);
});
afterAll(async () => {
  await elsewhere.$disconnect();
  await test.close();
});

const KEY = '01890000-0000-7000-8000-000000000001';
const OTHER_KEY = '01890000-0000-7000-8000-000000000002';
const NOON = new Date('2026-01-01T12:00:00.000Z');
const noonPlus = (seconds: number) => new Date(NOON.getTime() + seconds * 1000);

/** Two replicas of one installation, their clocks, and a tenant of so many points a minute that nobody has spent. */
async function setUp(limit: number) {
  const { id } = await newTenant(test.database);
  const clocks = { here: noonPlus(10), there: noonPlus(10) };
  return {
    id,
    clocks,
    here: new PointBudget({ database: test.database, now: () => clocks.here }),
    there: new PointBudget({ database: elsewhere, now: () => clocks.there }),
    /** Somebody of this tenant, with points of their own or none. */
    spender: (own: number | null = null, key = KEY, tenantLimit = limit): Spender => ({
      ...{ id: key, pointsPerMinute: own },
      tenant: { id, pointsPerMinute: tenantLimit },
    }),
  };
}

/** How many of `count` attempts at once were paid. What else is thrown than RATE_LIMITED is thrown. */
async function paid(attempts: readonly (() => Promise<unknown>)[]): Promise<number> {
  const outcomes = await Promise.all(
    attempts.map((attempt) =>
      attempt().then(
        () => true,
        (error: unknown) => {
          if (error instanceof PointsError && error.code === 'RATE_LIMITED') return false;
          throw error;
        },
      ),
    ),
  );
  return outcomes.filter(Boolean).length;
}

const times = <T>(count: number, value: T): T[] => Array.from({ length: count }, () => value);

describe('two replicas that race', () => {
  it.each([
    ['7 points each of 1,000', 7, 1000],
    ['1 point each of 300', 1, 300],
    ['90 points each of 1,000, more than a first block', 90, 1000],
  ])('never spend more than the limit, and all of it but a block each: %s', async (_, cost, limit) => {
    const { here, there, spender } = await setUp(limit);
    const attempts = times(250, [() => here.spend(spender(), cost), () => there.spend(spender(), cost)]).flat();
    const spent = (await paid(attempts)) * cost;
    expect(spent).toBeLessThanOrEqual(limit);
    expect(spent).toBeGreaterThanOrEqual(limit - 2 * Math.max(limit / 10, cost));
  });

  it('lease exactly what there is', async () => {
    const { id, here, there, spender } = await setUp(995);
    await paid(times(600, [() => here.spend(spender(), 1), () => there.spend(spender(), 1)]).flat());
    const { rows } = await asOwner(`SELECT leased FROM point_leases WHERE tenant_id = '${id}'`);
    expect(rows).toEqual([{ leased: 995 }]);
  });

  it("count a key's own points together too", async () => {
    const { here, there, spender } = await setUp(100_000);
    const attempts = times(100, [() => here.spend(spender(50), 1), () => there.spend(spender(50), 1)]).flat();
    const spent = await paid(attempts);
    expect(spent).toBeLessThanOrEqual(50);
    expect(spent).toBeGreaterThanOrEqual(40);
  });
});

async function asOwner(statement: string) {
  const client = new pg.Client({ connectionString: test.ownerUrl });
  await client.connect();
  try {
    return await client.query(statement);
  } finally {
    await client.end();
  }
}

describe('statements', () => {
  it('are thirteen for a thousand requests that spend all of a minute', async () => {
    const { here, spender } = await setUp(1000);
    leases = 0;
    for (let i = 0; i < 1000; i++) await here.spend(spender(), 1);
    expect(leases).toBe(13); // blocks of 10, 20, 40, 80, and nine of 100 and less
  });

  it('are one for many requests that come at once', async () => {
    const { here, spender } = await setUp(100_000);
    leases = 0;
    expect(await paid(times(500, () => here.spend(spender(), 2)))).toBe(500);
    expect(leases).toBe(1);
  });

  it('are none for a flood of what cannot be paid', async () => {
    const { here, spender } = await setUp(10);
    await here.spend(spender(), 9);
    await paid([() => here.spend(spender(), 5)]);
    leases = 0;
    expect(await paid(times(500, () => here.spend(spender(), 5)))).toBe(0);
    expect(leases).toBe(0);
  });

  it('leave points to replicas that come later: the first block is a hundredth', async () => {
    const { here, there, spender } = await setUp(1000);
    expect(await here.spend(spender(), 1)).toMatchObject({ remaining: 999 });
    expect(await there.spend(spender(), 1)).toMatchObject({ remaining: 989 });
  });
});

describe('a minute', () => {
  it('ends at a whole minute of the clock, and the next begins full', async () => {
    const { here, there, clocks, spender } = await setUp(100);
    clocks.here = noonPlus(59.4);
    expect(await here.spend(spender(), 100)).toEqual({ limit: 100, remaining: 0, resetsAt: noonPlus(60) });
    await expect(here.spend(spender(), 1)).rejects.toMatchObject({
      code: 'RATE_LIMITED',
      message: 'This costs 1 points and the tenant has 0 of its 100 a minute left: ask again in 1 s.',
      cost: 1,
      balance: { limit: 100, remaining: 0, resetsAt: noonPlus(60) },
      retryAfterSeconds: 1,
    });
    await expect(there.spend(spender(), 1)).rejects.toMatchObject({ retryAfterSeconds: 50 });
    clocks.here = clocks.there = noonPlus(60);
    expect(here.balance(spender())).toEqual({ limit: 100, remaining: 100, resetsAt: noonPlus(120) });
    expect(await here.spend(spender(), 60)).toEqual({ limit: 100, remaining: 40, resetsAt: noonPlus(120) });
    expect(await there.spend(spender(), 40)).toEqual({ limit: 100, remaining: 0, resetsAt: noonPlus(120) });
  });

  it('is the later one for a replica whose clock is behind', async () => {
    const { here, there, clocks, spender } = await setUp(100);
    await there.spend(spender(), 30);
    clocks.here = noonPlus(61);
    await here.spend(spender(), 80);
    clocks.there = noonPlus(59); // it holds nothing more of the minute that it believes in
    expect(await there.spend(spender(), 20)).toEqual({ limit: 100, remaining: 0, resetsAt: noonPlus(120) });
    await expect(there.spend(spender(), 1)).rejects.toMatchObject({ retryAfterSeconds: 61 });
    await expect(here.spend(spender(), 1)).rejects.toMatchObject({ code: 'RATE_LIMITED' });
  });

  it('that turns while the database answers is not paid with points of the one before', async () => {
    const { here, clocks, spender } = await setUp(1000);
    leases = 0;
    const spending = here.spend(spender(), 1);
    clocks.here = noonPlus(60);
    expect(here.balance(spender())).toMatchObject({ resetsAt: noonPlus(120) });
    expect(await spending).toEqual({ limit: 1000, remaining: 999, resetsAt: noonPlus(120) });
    expect(leases).toBe(2);
  });
});

describe('a limit', () => {
  it('that is lowered holds from the next lease on', async () => {
    const { here, there, spender } = await setUp(1000);
    await here.spend(spender(), 300);
    await expect(there.spend(spender(null, KEY, 200), 1)).rejects.toMatchObject({
      message: 'This costs 1 points and the tenant has 0 of its 200 a minute left: ask again in 50 s.',
    });
  });

  it('that is raised holds at once, also after a refusal', async () => {
    const { here, spender } = await setUp(100);
    await here.spend(spender(), 100);
    await expect(here.spend(spender(), 1)).rejects.toMatchObject({ code: 'RATE_LIMITED' });
    expect(await here.spend(spender(null, KEY, 150), 1)).toMatchObject({ limit: 150, remaining: 49 });
  });

  it('that is lower than the cost does not ask to wait', async () => {
    const { here, spender } = await setUp(100);
    await expect(here.spend(spender(), 101)).rejects.toMatchObject({
      code: 'QUERY_TOO_COSTLY',
      message:
        'This costs 101 points and the tenant has 100 a minute: ask for smaller pages or fewer fields, or have the limit raised.',
    });
    await expect(here.spend(spender(20), 21)).rejects.toMatchObject({
      message:
        'This costs 21 points and this credential has 20 a minute: ask for smaller pages or fewer fields, or have the limit raised.',
    });
    expect(here.balance(spender())).toMatchObject({ remaining: 100 });
  });

  it('as high as there may be is leased like any other', async () => {
    const { here, there, spender } = await setUp(2_147_483_647);
    await here.spend(spender(), 2_000_000_000);
    expect(await there.spend(spender(), 147_483_647)).toMatchObject({ remaining: 0 });
  });
});

describe('two budgets', () => {
  it('are told by the tighter one', async () => {
    const { here, spender } = await setUp(100);
    expect(await here.spend(spender(40), 10)).toMatchObject({ limit: 40, remaining: 30 });
    expect(await here.spend(spender(null, OTHER_KEY), 70)).toMatchObject({ limit: 100, remaining: 20 });
    expect(here.balance(spender(40))).toMatchObject({ limit: 100, remaining: 20 });
  });

  it('are spent both or neither', async () => {
    const { here, spender } = await setUp(100);
    await here.spend(spender(10), 10);
    await expect(here.spend(spender(10), 5)).rejects.toMatchObject({ balance: { limit: 10 } });
    expect(here.balance(spender())).toMatchObject({ remaining: 90 }); // of the tenant's, nothing more

    await here.spend(spender(null, OTHER_KEY), 85);
    await expect(here.spend(spender(60), 20)).rejects.toMatchObject({ balance: { limit: 100, remaining: 5 } });
    await here.spend(spender(60), 5);
    const ownAlone = { ...spender(60), tenant: { ...spender().tenant, pointsPerMinute: 1_000_000 } };
    expect(here.balance(ownAlone)).toMatchObject({ limit: 60, remaining: 45 }); // 10 and 5 were spent, 20 were not
  });

  it("are leased for a person too, whose session sees none of the tenant's own tables", async () => {
    const { here, id, spender } = await setUp(100);
    const spent = await withPerson(id, KEY, () => here.spend(spender(50), 20));
    expect(spent).toMatchObject({ limit: 50, remaining: 30 });
  });
});

it('a subject that is forgotten loses what was leased for it and not spent, and no more', async () => {
  const { spender, clocks } = await setUp(1000);
  const forgetful = new PointBudget({ database: test.database, now: () => clocks.here }, 1);
  await forgetful.spend(spender(), 1); // leases 10
  await forgetful.spend((await setUp(1000)).spender(), 1);
  expect(await forgetful.spend(spender(), 1)).toMatchObject({ remaining: 989 });
});

it("a tenant's balance counts what other replicas have leased since", async () => {
  const { here, there, id, spender } = await setUp(1000);
  await here.spend(spender(), 100);
  await there.spend(spender(), 500);
  expect(here.balance(spender())).toMatchObject({ remaining: 900 });
  expect(await withTenant(id, () => here.tenantBalance(spender().tenant))).toMatchObject({ remaining: 400 });
  expect(here.balance(spender())).toMatchObject({ remaining: 400 });
});
