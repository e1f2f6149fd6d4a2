/** `palate train-base` says what is wrong with its arguments before it begins, and which of them. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { palate } from './palate.ts';

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'palate-train-base-'));
  await mkdir(join(folder, 'pictures'));
});

afterAll(() => rm(folder, { recursive: true }));

const rows = (artists: number) =>
  Array.from({ length: artists }, (_, i) => ({ file: `${i}.jpg`, artist: `artist ${i}`, categories: ['tag'] }));

async function trainBase(metadata: string, out = 'model') {
  await writeFile(join(folder, 'list.json'), metadata);
  return palate(['train-base', '--images', 'pictures', '--metadata', 'list.json', '--out', out], { cwd: folder });
}

describe('palate train-base', () => {
  it.each([
    ['not JSON', 'no list', '--metadata list.json cannot be read: '],
    [
      'no list of pictures',
      '[{"file": "a.jpg"}]',
      'The metadata is not a list of {file, artist, categories}: at 0.artist',
    ],
    [
      'empty',
      '[]',
      '--metadata list.json names 0 artists, of which 0 fall to train; a simulated person needs 38 there.',
    ],
    ['too short', JSON.stringify(rows(100)), '--metadata list.json names 100 artists, of which '],
    ['of pictures that are not there', JSON.stringify(rows(500)), '--images: pictures/0.jpg is in the list and cannot'],
  ])('refuses a list that is %s', async (_, metadata, message) => {
    const { status, stderr } = await trainBase(metadata);
    expect(stderr).toMatch(/^palate: .*\n$/);
    expect(stderr).toContain(message);
    expect(status).toBe(2);
  });

  it('refuses a folder that it may not write to', async () => {
    await Promise.all(rows(500).map(({ file }) => writeFile(join(folder, 'pictures', file), '')));
    const { status, stderr } = await trainBase(JSON.stringify(rows(500)), 'list.json/model');
    expect(stderr).toContain('--out list.json/model cannot be written to: ');
    expect(status).toBe(2);
  });
});
