/** Two replicas of one database: what one erases, the other forgets; and what it may have missed, it forgets as well. */
import pg from 'pg';
import type { Listener } from '../../src/database/notifications.ts';
import { Candidates } from '../../src/domain/candidates.ts';
import { type Forgotten, startForgetting, tellOfKeys, tellReplicas } from '../../src/domain/forgetting.ts';
import { newId } from '../../src/domain/ids.ts';
import { ImageCatalogues } from '../../src/domain/imageCatalogue.ts';
import { type KeyRow, KnownKeys } from '../../src/domain/knownKeys.ts';
import { ProfileIndexes } from '../../src/domain/profileIndexes.ts';
import { Quotas } from '../../src/domain/quotas.ts';
import { ShownScores } from '../../src/domain/shownScores.ts';
import { type ReadUser, UserStates } from '../../src/domain/userStates.ts';
import { PreferenceModel } from '../../src/inference/preferenceModel.ts';
import { newTenant, type TestDatabase, testDatabase } from '../support/database.ts';
import { smallArtifact } from '../support/model.ts';
import { testPlatform } from '../support/platform.ts';

let test: TestDatabase;
let tenant: Awaited<ReturnType<typeof newTenant>>;
let watcher: pg.Client;
let network: PreferenceModel;
let service: Awaited<ReturnType<typeof testPlatform>>;

beforeAll(async () => {
  test = await testDatabase();
  network = await PreferenceModel.open(smallArtifact());
  service = await testPlatform(test, network);
  watcher = new pg.Client({ connectionString: test.ownerUrl });
  await watcher.connect();
});
afterAll(async () => {
  await watcher.end();
  await service.close();
  await network.close();
  await test.close();
});
beforeEach(async () => {
  tenant = await newTenant(test.database);
});

function newMemory() {
  return {
    userStates: new UserStates(1_000_000),
    candidates: new Candidates(test.database, 1_000_000),
    catalogues: new ImageCatalogues(1_000_000),
    profiles: new ProfileIndexes(1_000_000),
    quotas: new Quotas(1_000),
    knownKeys: new KnownKeys(60_000),
    networks: service.platform.networks,
    shownScores: new ShownScores(service.platform),
  };
}
type Memory = ReturnType<typeof newMemory>;

const model = { row: { sha256: 'a'.repeat(64) } } as ReadUser['reading']['model'];
const remember = ({ userStates }: Memory, userId: string) =>
  tenant.run(async () =>
    userStates.set({
      reading: { userId, model, feedbackVersion: 1, judgements: [], asOf: null },
      state: { byteLength: 100 } as ReadUser['state'],
    }),
  );
const held = ({ userStates }: Memory) => [...userStates.heldIds()];
const tell = (forgotten: Partial<Forgotten>) =>
  tenant.run(() =>
    test.database.$transaction((transaction) =>
      tellReplicas(transaction, { tenantId: tenant.id, userIds: [], imageIds: [], changedUserIds: [], ...forgotten }),
    ),
  );
async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isSo())) await new Promise((resolve) => setTimeout(resolve, 10));
}

async function withReplicas(work: (one: Memory, other: Memory, errors: Error[]) => Promise<void>): Promise<void> {
  const [one, other] = [newMemory(), newMemory()];
  const errors: Error[] = [];
  const ears: Listener[] = [];
  for (const memory of [one, other]) ears.push(await startForgetting(memory, test.url, (error) => errors.push(error)));
  try {
    await work(one, other, errors);
  } finally {
    await Promise.all(ears.map((each) => each.close()));
  }
}

it('both replicas forget who was erased, take them in no more, and keep who was not', async () => {
  await withReplicas(async (one, other) => {
    const [ada, bea, cleo] = [newId(), newId(), newId()];
    for (const memory of [one, other]) for (const id of [ada, bea, cleo]) await remember(memory, id);
    await tell({ userIds: [ada], changedUserIds: [bea] });
    await until(() => held(one).length === 1 && held(other).length === 1);
    expect([held(one), held(other)]).toEqual([[cleo], [cleo]]);
    // Who was reading Ada as she was erased puts nothing back; Bea is read again.
    for (const memory of [one, other]) for (const id of [ada, bea]) await remember(memory, id);
    expect(held(other).sort()).toEqual([bea, cleo].sort());
  });
});

it('more ids than a message holds are all told', async () => {
  await withReplicas(async (one) => {
    const ids = Array.from({ length: 700 }, newId);
    for (const id of ids) await remember(one, id);
    await tell({ userIds: ids });
    await until(() => held(one).length === 0);
  });
});

it('a tenant that is gone is forgotten whole, and others are not', async () => {
  await withReplicas(async (one) => {
    await remember(one, newId());
    const gone = tenant;
    tenant = await newTenant(test.database);
    const other = newId();
    await remember(one, other);
    tenant = gone;
    await tell({ wholeTenant: true });
    await until(() => held(one).length === 1);
    expect(held(one)).toEqual([other]);
    await remember(one, newId());
    expect(held(one)).toEqual([other]);
  });
});

it("a tenant's keys are read anew on both replicas, and other tenants' are not", async () => {
  await withReplicas(async (one, other) => {
    const row = { id: newId() } as KeyRow;
    let reads = 0;
    const read = async () => {
      reads++;
      return row;
    };
    const stranger = newId();
    const ask = async ({ knownKeys }: Memory) => {
      for (const id of [tenant.id, stranger]) await knownKeys.get(id, Uint8Array.of(1), read);
    };
    for (const memory of [one, other, one, other]) await ask(memory);
    expect(reads).toBe(4);
    await tenant.run(() => test.database.$transaction((transaction) => tellOfKeys(transaction, tenant.id)));
    for (const memory of [one, other]) {
      const before = reads;
      await until(async () => {
        await ask(memory);
        return reads > before;
      });
      expect(reads).toBe(before + 1);
    }
  });
});

it('nothing is forgotten where the transaction is undone', async () => {
  await withReplicas(async (one) => {
    const [ada, bea] = [newId(), newId()];
    for (const id of [ada, bea]) await remember(one, id);
    await expect(
      tenant.run(() =>
        test.database.$transaction(async (transaction) => {
          await tellReplicas(transaction, { tenantId: tenant.id, userIds: [ada], imageIds: [], changedUserIds: [] });
          throw new Error('undo');
        }),
      ),
    ).rejects.toThrow('undo');
    await tell({ userIds: [bea] }); // heard later than what was undone would have been
    await until(() => held(one).length === 1);
    expect(held(one)).toEqual([ada]);
  });
});

it('a replica whose connection was lost hears again, and has dropped everything that it may have missed', async () => {
  await withReplicas(async (one, _, errors) => {
    const [ada, bea] = [newId(), newId()];
    for (const id of [ada, bea]) await remember(one, id);
    const { rowCount } = await watcher.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE datname = current_database() AND application_name = 'palate-listen'`,
    );
    expect(rowCount).toBe(2);
    await until(() => held(one).length === 0);
    expect(errors.length).toBeGreaterThan(0);
    await remember(one, bea);
    await tell({ userIds: [bea] });
    await until(() => held(one).length === 0);
  });
});
