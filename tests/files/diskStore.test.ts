/** What a disk adds to a store (store.test.ts): no half of a file after a crash, whatever moment it chose. */
import { spawn } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DiskStore } from '../../src/files/diskStore.ts';

const hash = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const ONE = randomUUID();

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'palate-store-test-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const files = async () =>
  (await readdir(folder, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());

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
  const source = new URL('../../src/files/diskStore.ts', import.meta.url);
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
  const source = new URL('../../src/files/diskStore.ts', import.meta.url);
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
