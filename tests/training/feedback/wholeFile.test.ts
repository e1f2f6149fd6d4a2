/** A file read anywhere: the same bytes whether it is held in memory or not. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WholeFile } from '../../../src/training/feedback/wholeFile.ts';

let directory: string;
let path: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'palate-whole-'));
  path = join(directory, 'numbers.bin');
  await writeFile(
    path,
    Uint8Array.from({ length: 200 }, (_, i) => i),
  );
});
afterAll(() => rm(directory, { recursive: true }));

it.each([
  ['held in memory', 200],
  ['too large to be held', 199],
])('reads any part of a file that is %s, as bytes of their own', (_, mostHeld) => {
  const file = new WholeFile(path, 200, mostHeld);
  const part = file.read(150, 50);
  expect([...part]).toEqual(Array.from({ length: 50 }, (_unused, i) => 150 + i));
  expect([part.byteOffset, part.buffer.byteLength]).toEqual([0, 50]);
  part[0] = 7;
  expect(file.read(150, 1)[0]).toBe(150);
  expect(() => file.read(150, 51)).toThrow('ends too early');
  file.close();
});

it('refuses a file that has grown or was cut off', () => {
  expect(() => new WholeFile(path, 201)).toThrow(`${path} has 200 bytes where 201 are expected.`);
});
