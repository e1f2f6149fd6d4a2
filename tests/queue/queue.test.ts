/** The queue: jobs exist if their transaction commits, are tried again, and one tenant's do not hold up another's. */
import { currentTenant } from '../../src/database/client.ts';
import type { JobName } from '../../src/queue/jobs.ts';
import type { Job, SendOptions } from '../../src/queue/queue.ts';
import { newTenant, type TestDatabase, testDatabase } from '../support/database.ts';

let test: TestDatabase;
let tenant: Awaited<ReturnType<typeof newTenant>>;

beforeEach(async () => {
  test = await testDatabase();
  tenant = await newTenant(test.database);
});
afterEach(() => test.close());

const send = (name: JobName, of = tenant, count = 1, options: SendOptions = {}) =>
  of.run(() =>
    test.database.$transaction((transaction) =>
      test.queue.send(
        transaction,
        name,
        Array.from({ length: count }, () => ({ tenantId: of.id, imageIds: [] })),
        options,
      ),
    ),
  );

/** Collects calls until there are as many as asked for. */
function collect<T>(count: number): { add: (value: T) => void; all: Promise<T[]> } {
  const values: T[] = [];
  let done: (values: T[]) => void;
  const all = new Promise<T[]>((resolve) => {
    done = resolve;
  });
  return {
    add(value) {
      values.push(value);
      if (values.length === count) done(values);
    },
    all,
  };
}

describe('a job', () => {
  it("is done within its tenant's session", async () => {
    const calls = collect<{ tenantId: string; session: string; data: unknown }>(1);
    await test.queue.work('encode', {}, async ([job], tenantId) => {
      calls.add({ tenantId, session: currentTenant(), data: job?.data });
    });
    await send('encode');
    const data = { tenantId: tenant.id, imageIds: [] };
    expect(await calls.all).toEqual([{ tenantId: tenant.id, session: tenant.id, data }]);
  });

  it('that is patient is done after those that are not', async () => {
    const other = await newTenant(test.database);
    await send('encode', tenant, 1, { isPatient: true });
    await send('encode', other);
    const calls = collect<string>(2);
    await test.queue.work('encode', {}, async (_, tenantId) => calls.add(tenantId));
    expect(await calls.all).toEqual([other.id, tenant.id]);
  });

  it('is never seen where the transaction that sent it fails', async () => {
    await expect(
      tenant.run(() =>
        test.database.$transaction(async (transaction) => {
          await test.queue.send(transaction, 'encode', [{ tenantId: tenant.id, imageIds: ['undone'] }]);
          throw new Error('undo');
        }),
      ),
    ).rejects.toThrow('undo');
    await send('encode');
    const calls = collect<readonly Job<'encode'>[]>(1);
    await test.queue.work('encode', { batchSize: 10 }, async (jobs) => calls.add(jobs));
    expect((await calls.all).flat().map(({ data }) => data.imageIds)).toEqual([[]]);
  });

  it('is tried again when it fails, and told of its last attempt', async () => {
    await tenant.run(async () => {
      await send('encode');
      await test.database.$executeRaw`UPDATE pgboss.job SET retry_limit = 1, retry_delay = 0, retry_backoff = false`;
    });
    const attempts = collect<boolean>(2);
    await test.queue.work('encode', {}, async ([job]) => {
      attempts.add(job!.lastAttempt);
      throw new Error('not yet');
    });
    expect(await attempts.all).toEqual([false, true]);
  });

  it('that fails takes no job of another tenant with it', async () => {
    const other = await newTenant(test.database);
    await send('encode', tenant);
    await send('encode', other);
    const calls = collect<string>(2);
    await test.queue.work('encode', { batchSize: 10 }, async (_, tenantId) => {
      calls.add(tenantId);
      if (tenantId === tenant.id) throw new Error('broken');
    });
    await calls.all;
    await test.queue.stop();
    const rows = await tenant.run(
      () => test.database.$queryRaw<{ key: string; state: string }[]>`
        SELECT singleton_key AS key, state::text FROM pgboss.job WHERE name = 'encode'`,
    );
    expect(new Map(rows.map(({ key, state }) => [key, state]))).toEqual(
      new Map([
        [tenant.id, 'retry'],
        [other.id, 'completed'],
      ]),
    );
  });
});

describe("a tenant's profiles jobs", () => {
  it('are done one at a time, and none is lost that was sent meanwhile', async () => {
    let running = 0;
    let most = 0;
    const calls = collect<string>(4);
    await test.queue.work('profiles', { concurrency: 3 }, async (_, tenantId) => {
      running += 1;
      most = Math.max(most, running);
      await tenant.run(() => test.database.$queryRaw`SELECT 1 AS n FROM pg_sleep(0.02)`);
      running -= 1;
      calls.add(tenantId);
    });
    for (let i = 0; i < 4; i++) await send('profiles');
    await calls.all;
    expect(most).toBe(1);
  });
});
