/** Images to be scored: vectors from memory, and never one that is not the database's any more. */
import { withPerson } from '../../src/database/client.ts';
import { Candidates } from '../../src/domain/candidates.ts';
import { newId } from '../../src/domain/ids.ts';
import { toBytes } from '../../src/domain/itemVectors.ts';
import { newTenant, type TestDatabase, testDatabase } from '../support/database.ts';

const TOWER = 'a'.repeat(64);
const vector = (first: number) => Uint16Array.from({ length: 16 }, (_, i) => first + i);

let test: TestDatabase;
let tenant: Awaited<ReturnType<typeof newTenant>>;
let candidates: Candidates;
beforeAll(async () => {
  test = await testDatabase();
});
afterAll(() => test.close());
beforeEach(async () => {
  tenant = await newTenant(test.database);
  candidates = new Candidates(test.database, 1_000_000);
});

async function image(more: { status?: 'PENDING' | 'FAILED'; ownerId?: string } = {}): Promise<string> {
  const id = newId();
  const sha256 = id.replaceAll('-', '').padEnd(64, '0');
  await test.database.image.create({
    data: {
      ...{ tenantId: tenant.id, id, sha256, format: 'png', byteLength: 1, width: 1, height: 1 },
      ...{ status: 'READY', ...more },
    },
  });
  return id;
}
const write = (imageId: string, first: number, writtenAt: Date) =>
  test.database.itemVector.upsert({
    where: { tenantId_tower_imageId: { tenantId: tenant.id, tower: TOWER, imageId } },
    create: { tenantId: tenant.id, tower: TOWER, imageId, vector: toBytes(vector(first)), writtenAt },
    update: { vector: toBytes(vector(first)), writtenAt },
  });
const read = async (...ids: string[]) => {
  const found = await candidates.read(TOWER, ids);
  return ids.map((id) => found.get(id));
};
const ready = (first: number) => expect.objectContaining({ ownerId: null, status: 'READY', vector: vector(first) });

it('reads each vector once, and again where it was written anew or is gone', () =>
  tenant.run(async () => {
    const id = await image();
    await write(id, 1, new Date('2026-01-01T00:00:00.001Z'));
    expect(await read(id)).toEqual([ready(1)]);
    const [kept] = await read(id);
    expect((await read(id))[0]).toBe(kept); // of memory
    await write(id, 2, new Date('2026-01-01T00:00:00.002Z'));
    expect(await read(id)).toEqual([ready(2)]);
    await test.database.itemVector.deleteMany({ where: { imageId: id } });
    expect(await read(id)).toEqual([expect.objectContaining({ status: 'READY', vector: undefined })]);
  }));

it('says of an image in memory that it waits, failed, is somebody’s or is gone', () =>
  tenant.run(async () => {
    const id = await image();
    await write(id, 1, new Date());
    await read(id);
    await test.database.image.updateMany({ where: { id }, data: { status: 'FAILED', statusReason: 'torn' } });
    expect(await read(id)).toEqual([expect.objectContaining({ status: 'FAILED', statusReason: 'torn' })]);
    const user = await test.database.user.create({
      data: { tenantId: tenant.id, id: newId(), externalId: 'ada' },
    });
    await test.database.image.updateMany({ where: { id }, data: { status: 'READY', ownerId: user.id } });
    expect(await read(id)).toEqual([expect.objectContaining({ ownerId: user.id, vector: vector(1) })]);
    expect(await withPerson(tenant.id, newId(), () => read(id))).toEqual([undefined]); // another person's session
    await test.database.image.deleteMany({ where: { id } });
    expect(await read(id, newId())).toEqual([undefined, undefined]);
  }));

it('forgets images for good, and those of a tenant', () =>
  tenant.run(async () => {
    const [one, other] = [await image(), await image()];
    for (const id of [one, other]) await write(id, 1, new Date());
    await read(one, other);
    candidates.forget(tenant.id, [one]);
    expect([...candidates.heldIds()]).toEqual([other]);
    expect(await read(one)).toEqual([ready(1)]); // still in the database here, and not taken in again
    expect([...candidates.heldIds()]).toEqual([other]);
    candidates.forgetTenant(tenant.id);
    expect([...candidates.heldIds()]).toEqual([]);
  }));

it('holds no more than its bytes', () =>
  tenant.run(async () => {
    candidates = new Candidates(test.database, 1_000);
    const ids = [await image(), await image(), await image(), await image()];
    for (const id of ids) await write(id, 1, new Date());
    expect(await read(...ids)).toEqual(ids.map(() => ready(1)));
    expect([...candidates.heldIds()]).toHaveLength(2);
  }));
