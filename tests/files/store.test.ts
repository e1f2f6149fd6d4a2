/** Stored files, on a disk and in a bucket alike: apart by tenant, whole or not at all, kept once. */
import { createHash, randomUUID } from 'node:crypto';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readConfig } from '../../src/config.ts';
import { type FileStores, openFileStores } from '../../src/files/open.ts';
import { type S3Server, s3Server } from '../support/s3Server.ts';

const hash = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const ONE = randomUUID();
const OTHER = randomUUID();
const bytes = Buffer.from('the bytes of a picture');
const log = {
  warn({ reason }: { reason: string }) {
    throw new Error(reason);
  },
};

interface Place {
  readonly environment: Record<string, string>;
  /** Paths of all files that are there. */
  paths(): Promise<string[]>;
  close(): Promise<void>;
}

async function disk(): Promise<Place> {
  const folder = await mkdtemp(join(tmpdir(), 'palate-store-test-'));
  return {
    environment: { PALATE_DATA_DIR: folder },
    async paths() {
      const entries = await readdir(folder, { recursive: true, withFileTypes: true });
      const found = entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name));
      return found.map((path) => path.slice(folder.length + 1)).sort();
    },
    close: () => rm(folder, { recursive: true, force: true }),
  };
}

async function bucket(prefix: string | null): Promise<Place> {
  const server: S3Server = await s3Server();
  const under = prefix === null ? '' : `${prefix}/`;
  server.write('zoo'); // somebody else's, at every end of the order
  server.write(`${under}picture`);
  server.write(`${under}pictures-of-others/${ONE}/aa/${'a'.repeat(64)}`);
  const others = server.keys();
  return {
    environment: { ...server.environment, ...(prefix === null ? {} : { PALATE_S3_PREFIX: prefix }) },
    async paths() {
      const keys = server.keys();
      expect(keys).toEqual(expect.arrayContaining(others));
      return keys.filter((key) => !others.includes(key)).map((key) => key.slice(under.length));
    },
    close: () => server.close(),
  };
}

describe.each([
  ['a disk', disk],
  ['a bucket', () => bucket(null)],
  ['a bucket below a prefix', () => bucket('palate/eu-1')],
])('on %s', (_, open) => {
  let place: Place;
  let stores: FileStores;
  beforeEach(async () => {
    place = await open();
    stores = await openFileStores(readConfig(place.environment), log);
  });
  afterEach(async () => {
    stores.close();
    await place.close();
  });

  const pathOf = (tenantId: string, sha256: string, area = 'pictures') =>
    `${area}/${tenantId}/${sha256.slice(0, 2)}/${sha256}`;
  const listed = async (tenantId: string) => {
    const names: string[] = [];
    for await (const name of stores.pictures.list(tenantId)) names.push(name);
    return names.sort();
  };

  it('leaves nothing behind by being opened', async () => {
    expect(await place.paths()).toEqual([]);
  });

  it('gives back what was put, from another opening too', async () => {
    await stores.pictures.put(ONE, hash(bytes), bytes);
    expect(await stores.pictures.get(ONE, hash(bytes))).toEqual(bytes);
    const again = await openFileStores(readConfig(place.environment), log);
    expect(await again.pictures.get(ONE, hash(bytes))).toEqual(bytes);
    again.close();
    expect(await place.paths()).toEqual([pathOf(ONE, hash(bytes))]);
  });

  it('keeps some megabytes, and nothing at all', async () => {
    for (const content of [Buffer.alloc(3_000_000, 'a model'), Buffer.alloc(0)]) {
      await stores.weights.put(ONE, hash(content), content);
      const kept = await stores.weights.get(ONE, hash(content));
      expect(Buffer.isBuffer(kept)).toBe(true);
      expect(kept.equals(content)).toBe(true);
    }
  });

  it('keeps the same bytes of a tenant once, however many put them together', async () => {
    await Promise.all(Array.from({ length: 20 }, () => stores.pictures.put(ONE, hash(bytes), bytes)));
    expect(await place.paths()).toEqual([pathOf(ONE, hash(bytes))]);
  });

  it('changes nothing where there is a file of the name', async () => {
    await stores.weights.put(ONE, hash(bytes), bytes);
    await stores.weights.put(ONE, hash(bytes), Buffer.from('others'));
    expect(await stores.weights.get(ONE, hash(bytes))).toEqual(bytes);
    await stores.weights.remove(ONE, hash(bytes));
    await stores.weights.put(ONE, hash(bytes), Buffer.from('others'));
    expect(await stores.weights.get(ONE, hash(bytes))).toEqual(Buffer.from('others'));
  });

  it('keeps pictures apart from models', async () => {
    await stores.pictures.put(ONE, hash(bytes), bytes);
    await stores.weights.put(ONE, hash(bytes), Buffer.from('a model'));
    await stores.pictures.removeTenant(ONE);
    expect(await place.paths()).toEqual([pathOf(ONE, hash(bytes), 'models')]);
  });

  it("does not give one tenant another's bytes, nor forget them with the other's", async () => {
    const store = stores.pictures;
    await store.put(ONE, hash(bytes), bytes);
    await expect(store.get(OTHER, hash(bytes))).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: `There is no stored file ${hash(bytes)} of tenant ${OTHER}.`,
    });
    await store.put(OTHER, hash(bytes), bytes);
    await store.remove(OTHER, hash(bytes));
    expect(await store.get(ONE, hash(bytes))).toEqual(bytes);
    await expect(store.get(OTHER, hash(bytes))).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('forgets one picture, or all of a tenant, and does not mind what is gone already', async () => {
    const store = stores.pictures;
    const many = Array.from({ length: 8 }, (_, i) => Buffer.from(`picture ${i}`));
    for (const picture of many) await store.put(ONE, hash(picture), picture);
    await store.put(OTHER, hash(bytes), bytes);
    await store.remove(ONE, hash(many[0]!));
    await store.remove(ONE, hash(many[0]!));
    await expect(store.get(ONE, hash(many[0]!))).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(await store.writtenAt(ONE, hash(many[0]!))).toBeNull();
    await store.removeTenant(ONE);
    await store.removeTenant(ONE);
    expect(await place.paths()).toEqual([pathOf(OTHER, hash(bytes))]);
  });

  it('lists what a tenant has, by folder too, and which tenants there are', async () => {
    const store = stores.pictures;
    expect([await listed(ONE), await store.tenants()]).toEqual([[], []]);
    const tenants = Array.from({ length: 5 }, () => randomUUID()).sort();
    for (const tenantId of tenants) await store.put(tenantId, hash(bytes), bytes);
    const names = Array.from({ length: 7 }, (_, i) => `aa${i}`.padEnd(64, '0'));
    const other = 'bb'.padEnd(64, '0');
    for (const name of [...names, other]) await store.put(ONE, name, bytes);
    expect(await listed(ONE)).toEqual([...names, other].sort());
    const [a, b, c] = ['a', 'b', 'c'].map((digit) => digit.repeat(store.folders[0]!.length));
    expect((await store.listFolder(ONE, a!)).sort()).toEqual(names);
    expect(await store.listFolder(ONE, b!)).toEqual([other]);
    expect(await store.listFolder(ONE, c!)).toEqual([]);
    const inFolders = await Promise.all(store.folders.map((folder) => store.listFolder(ONE, folder)));
    expect(inFolders.flat().sort()).toEqual([...names, other].sort());
    expect(await listed(tenants[0]!)).toEqual([hash(bytes)]);
    expect((await store.tenants()).sort()).toEqual([ONE, ...tenants].sort());
    expect(await stores.weights.tenants()).toEqual([]);
  });

  it('tells when a file was written', async () => {
    const before = Date.now();
    await stores.pictures.put(ONE, hash(bytes), bytes);
    const writtenAt = await stores.pictures.writtenAt(ONE, hash(bytes));
    expect(writtenAt).toBeGreaterThan(before - 1_500); // S3 tells whole seconds
    expect(writtenAt).toBeLessThanOrEqual(Date.now());
    expect(await stores.pictures.writtenAt(OTHER, hash(bytes))).toBeNull();
  });

  it('does not let a name reach outside its folder', async () => {
    const store = stores.pictures;
    const refused = { code: 'INTERNAL_SERVER_ERROR', message: expect.stringContaining('cannot be part of a stored') };
    for (const [tenant, name] of [
      ['..', hash(bytes)],
      ['', hash(bytes)],
      [`${ONE}/../${OTHER}`, hash(bytes)],
      [ONE.slice(0, -1), hash(bytes)],
      [`${ONE}0`, hash(bytes)],
      [ONE.toUpperCase().replace(/\d/g, 'A'), hash(bytes)],
      [ONE, '../../../etc/passwd'],
      [ONE, hash(bytes).toUpperCase().replace(/\d/g, 'A')],
      [ONE, `${hash(bytes)}\n`],
      [ONE, ''],
    ] as const) {
      await expect(store.get(tenant, name)).rejects.toMatchObject(refused);
      await expect(store.put(tenant, name, bytes)).rejects.toMatchObject(refused);
      await expect(store.remove(tenant, name)).rejects.toMatchObject(refused);
      await expect(store.writtenAt(tenant, name)).rejects.toMatchObject(refused);
    }
    for (const tenant of ['', '.', ONE.slice(0, 8), `${ONE}/`]) {
      await expect(store.removeTenant(tenant)).rejects.toMatchObject(refused);
      await expect(listed(tenant)).rejects.toMatchObject(refused);
    }
    for (const folder of ['', '.', '..', 'aaa', 'A', 'AA', '/']) {
      await expect(store.listFolder(ONE, folder)).rejects.toMatchObject(refused);
    }
    expect(await place.paths()).toEqual([]);
  });

  it('can be written, has room, and sweeps nothing that is whole', async () => {
    const store = stores.pictures;
    await store.put(ONE, hash(bytes), bytes);
    await store.checkWritable();
    await store.checkFreeBytes(1);
    await store.sweep();
    expect(await place.paths()).toEqual([pathOf(ONE, hash(bytes))]);
  });
});
