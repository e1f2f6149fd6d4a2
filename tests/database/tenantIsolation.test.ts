/** One tenant's rows are out of reach for another, whatever a query asks for. */
import pg from 'pg';
import { ping } from '../../src/database/client.ts';
import { withTenant } from '../../src/database/tenantAdapter.ts';
import { newId } from '../../src/domain/ids.ts';
import { newTenant, type TestDatabase, testDatabase } from '../support/database.ts';

let test: TestDatabase;
let ours: Awaited<ReturnType<typeof newTenant>>;
let theirs: Awaited<ReturnType<typeof newTenant>>;

beforeAll(async () => {
  test = await testDatabase();
  ours = await newTenant(test.database);
  theirs = await newTenant(test.database);
});
afterAll(() => test.close());

const userOf = (tenantId: string, externalId = newId()) => ({ tenantId, id: newId(), externalId });
const externalIds = async () => (await test.database.user.findMany()).map(({ externalId }) => externalId);

describe('within withTenant', () => {
  it("sees the tenant's rows and no other's", async () => {
    await ours.run(() => test.database.user.create({ data: userOf(ours.id, 'ours') }));
    await theirs.run(() => test.database.user.create({ data: userOf(theirs.id, 'theirs') }));
    expect(await ours.run(externalIds)).toEqual(['ours']);
    expect(await theirs.run(externalIds)).toEqual(['theirs']);
    expect(await ours.run(() => test.database.tenant.findMany())).toMatchObject([{ id: ours.id }]);
    expect(await ours.run(() => test.database.$queryRaw`SELECT external_id FROM users`)).toEqual([
      { external_id: 'ours' },
    ]);
  });

  it("cannot write another's row, nor make one's own another's", async () => {
    const denied = { message: expect.stringContaining('42501') };
    await expect(ours.run(() => test.database.user.create({ data: userOf(theirs.id) }))).rejects.toMatchObject(denied);
    const mine = await ours.run(() => test.database.user.create({ data: userOf(ours.id) }));
    await expect(
      ours.run(() => test.database.user.updateMany({ where: { id: mine.id }, data: { tenantId: theirs.id } })),
    ).rejects.toMatchObject(denied);
    const { count } = await ours.run(() => test.database.user.deleteMany({ where: { tenantId: theirs.id } }));
    expect(count).toBe(0);
    expect(await theirs.run(externalIds)).toEqual(['theirs']);
  });

  it("cannot point a row at another's", async () => {
    const [victim] = await theirs.run(() => test.database.user.findMany());
    const image = {
      tenantId: ours.id,
      id: newId(),
      sha256: 'e'.repeat(64),
      format: 'png',
      byteLength: 1,
      width: 1,
      height: 1,
    };
    await expect(
      ours.run(() => test.database.image.create({ data: { ...image, ownerId: victim!.id } })),
    ).rejects.toMatchObject({ code: 'P2003' });
  });

  it('keeps tenants apart where their work is interleaved over the same connections', async () => {
    const work = Array.from({ length: 60 }, (_, i) => {
      const tenant = i % 2 === 0 ? ours : theirs;
      return tenant.run(async () =>
        (await test.database.user.findMany()).every(({ tenantId }) => tenantId === tenant.id),
      );
    });
    expect(new Set(await Promise.all(work))).toEqual(new Set([true]));
  });

  it('is asked for by findFirst: Prisma would join findUnique with those of other tenants', async () => {
    const read = (tenant: typeof ours) =>
      tenant.run(() => test.database.tenant.findFirst({ where: { id: tenant.id } }));
    expect(await Promise.all([read(ours), read(theirs)])).toMatchObject([{ id: ours.id }, { id: theirs.id }]);
    await expect(ours.run(() => test.database.tenant.findUnique({ where: { id: ours.id } }))).rejects.toThrow(
      'findUnique is joined with that of other tenants and would look among the rows of one: use findFirst.',
    );
  });

  it('holds for the transactions begun in it', async () => {
    const before = (await ours.run(externalIds)).length;
    const seen = await ours.run(() =>
      test.database.$transaction(async (transaction) => {
        await transaction.user.create({ data: userOf(ours.id) });
        return transaction.user.count();
      }),
    );
    expect(seen).toBe(before + 1);
    const [count] = await theirs.run(() => test.database.$transaction([test.database.user.count()]));
    expect(count).toBe(1);
  });

  it('undoes a transaction that throws, with all it wrote', async () => {
    const before = await ours.run(externalIds);
    await expect(
      ours.run(() =>
        test.database.$transaction(async (transaction) => {
          await transaction.user.create({ data: userOf(ours.id) });
          throw new Error('changed my mind');
        }),
      ),
    ).rejects.toThrow('changed my mind');
    await expect(
      ours.run(() =>
        test.database.$transaction([
          test.database.user.create({ data: userOf(ours.id) }),
          test.database.user.create({ data: userOf(theirs.id) }),
        ]),
      ),
    ).rejects.toMatchObject({ message: expect.stringContaining('42501') });
    expect(await ours.run(externalIds)).toEqual(before);
  });

  it('leaves a connection usable and knowing nobody after an error', async () => {
    for (let i = 0; i < 10; i++) {
      await expect(ours.run(() => test.database.$queryRaw`SELECT 1 / 0`)).rejects.toThrow('division by zero');
    }
    expect(await ours.run(() => test.database.user.count())).toBeGreaterThan(0);
    const client = new pg.Client({ connectionString: test.url });
    await client.connect();
    expect((await client.query('SELECT FROM users')).rowCount).toBe(0);
    await client.end();
  });
});

describe('outside withTenant', () => {
  const words = 'A query was made for no tenant: wrap it in withTenant(tenantId, …).';

  it('a query throws before it is sent', async () => {
    await expect(test.database.user.findMany()).rejects.toThrow(words);
    await expect(test.database.$queryRaw`SELECT 1`).rejects.toThrow(words);
    await expect(test.database.$executeRaw`DELETE FROM users`).rejects.toThrow(words);
    await expect(test.database.$transaction((transaction) => transaction.user.count())).rejects.toThrow(words);
  });

  it('withTenant takes nothing for a tenant but an id of one', () => {
    expect(() => withTenant("x' OR true", async () => 1)).toThrow('"x\' OR true" is no id of a tenant or a person.');
  });

  it('ping tells whether the database answers', async () => {
    await expect(ping(test.database)).resolves.toBeUndefined();
  });
});
