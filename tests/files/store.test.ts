/** The file store: apart by tenant, whole or not at all, and durable from the moment it answers. */
import { spawn } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DiskStore } from '../../src/files/store.ts';

const hash = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const ONE = randomUUID();
const OTHER = randomUUID();
const bytes = Buffer.from('the bytes of a picture');

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'palate-store-test-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const files = async () =>
  (await readdir(folder, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());

it('gives back what was put, from another opening too', async () => {
  const store = await DiskStore.open(join(folder, 'a', 'b'));
  await store.put(ONE, hash(bytes), bytes);
  expect(await store.get(ONE, hash(bytes))).toEqual(bytes);
  const again = await DiskStore.open(join(folder, 'a', 'b'));
  expect(await again.get(ONE, hash(bytes))).toEqual(bytes);
});

it('keeps the same bytes of a tenant once, however many put them together', async () => {
  const store = await DiskStore.open(folder);
  await Promise.all(Array.from({ length: 20 }, () => store.put(ONE, hash(bytes), bytes)));
  expect((await files()).map(({ name }) => name)).toEqual([hash(bytes)]);
});

it("does not give one tenant another's bytes, nor forget them with the other's", async () => {
  const store = await DiskStore.open(folder);
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
  const store = await DiskStore.open(folder);
  const second = Buffer.from('another');
  for (const picture of [bytes, second]) await store.put(ONE, hash(picture), picture);
  await store.remove(ONE, hash(bytes));
  await store.remove(ONE, hash(bytes));
  await expect(store.get(ONE, hash(bytes))).rejects.toMatchObject({ code: 'NOT_FOUND' });
  await store.removeTenant(ONE);
  await store.removeTenant(ONE);
  expect(await files()).toEqual([]);
});

it('does not let a name reach outside its folder', async () => {
  const store = await DiskStore.open(folder);
  for (const [tenant, name] of [
    ['..', hash(bytes)],
    [ONE, '../../../etc/passwd'],
    [ONE, hash(bytes).toUpperCase()],
  ] as const) {
    await expect(store.get(tenant, name)).rejects.toMatchObject({
      code: 'INTERNAL_SERVER_ERROR',
      message: expect.stringContaining("cannot be part of a stored file's path."),
    });
    await expect(store.put(tenant, name, bytes)).rejects.toThrow("cannot be part of a stored file's path.");
  }
  await expect(store.removeTenant('')).rejects.toThrow('"" cannot be part of a stored file\'s path.');
});

it('sweeps what a crashed write left an hour ago, and leaves a write that may still go on', async () => {
  await DiskStore.open(folder);
  const [old, young] = [join(folder, 'incoming', 'old'), join(folder, 'incoming', 'young')];
  await Promise.all([writeFile(old, 'half'), writeFile(young, 'half')]);
  const twoHoursAgo = new Date(Date.now() - 2 * 60 * 60 * 1000);
  await utimes(old, twoHoursAgo, twoHoursAgo);
  await DiskStore.open(folder);
  expect(await readdir(join(folder, 'incoming'))).toEqual(['young']);
});

it('has every picture that it answered for when the process is killed the moment after', async () => {
  const source = new URL('../../src/files/store.ts', import.meta.url);
  const script = `
    import { createHash, randomBytes } from 'node:crypto';
    import { DiskStore } from ${JSON.stringify(source.href)};
    const store = await DiskStore.open(${JSON.stringify(folder)});
    for (;;) {
      const bytes = randomBytes(200_000);
      const sha256 = createHash('sha256').update(bytes).digest('hex');
      await store.put(${JSON.stringify(ONE)}, sha256, bytes);
      process.stdout.write(sha256 + '\\n');
    }`;
  const writer = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', script]);
  let answered = '';
  const dead = new Promise((resolve) => writer.on('close', resolve));
  writer.stdout.on('data', (chunk: Buffer) => {
    answered += chunk.toString();
    if (answered.split('\n').length > 5) writer.kill('SIGKILL');
  });
  await dead;
  const acknowledged = answered.split('\n').slice(0, -1);
  expect(acknowledged.length).toBeGreaterThanOrEqual(5);
  const store = await DiskStore.open(folder);
  for (const sha256 of acknowledged) expect(hash(await store.get(ONE, sha256))).toBe(sha256);
});

it('leaves nothing of a file that the disk has no room for, and says so', async () => {
  const source = new URL('../../src/files/store.ts', import.meta.url);
  const script = `
    import { DiskStore } from ${JSON.stringify(source.href)};
    const store = await DiskStore.open(${JSON.stringify(folder)});
    await store.put(${JSON.stringify(ONE)}, '${'a'.repeat(64)}', Buffer.alloc(4_000_000)).then(
      () => process.stdout.write('kept'),
      ({ code, message }) => process.stdout.write(JSON.stringify({ code, message })),
    );`;
  // The process may write half a megabyte to one file, as if the disk were full then.
  const limited = ['-c', 'ulimit -f 1024; exec "$0" "$@"', process.execPath, '--import', 'tsx', '--input-type=module'];
  const writer = spawn('sh', [...limited, '--eval', script]);
  let said = '';
  writer.stdout.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  await new Promise((resolve) => writer.on('close', resolve));
  expect(JSON.parse(said)).toEqual({
    code: 'NOT_READY',
    message: 'The disk has no room for a file of 4000000 bytes: make room, then try again.',
  });
  expect(await files()).toEqual([]);
});
