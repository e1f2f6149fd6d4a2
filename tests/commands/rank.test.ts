/** `palate rank` end to end: gallery pictures on disk, the encoders and the base model that ship. */
import { mkdir, mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { newestFirst } from '../../src/commands/rank/pictureFiles.ts';
import { describePicture, renderPicture } from '../../src/gallery/picture.ts';
import type { StyleName } from '../../src/gallery/styles/index.ts';
import { type Ended, palate } from './palate.ts';

interface Report {
  likes: number;
  dislikes: number;
  ranking: {
    rank: number;
    file: string;
    value: number;
    prompt: string | null;
    influences?: { file: string; effect: number }[];
  }[];
  notRead: { file: string; message: string }[];
}

let folder: string;

/** Pictures in one style, each of another subject and palette. */
async function draw(directory: string, style: StyleName, seed: string): Promise<void> {
  await mkdir(join(folder, directory), { recursive: true });
  const looks = [
    ['mountains', 'glacier'],
    ['village', 'forest'],
    ['bouquet', 'autumn'],
    ['cat', 'rose'],
    ['sea', 'earth'],
  ] as const;
  for (const [subject, palette] of looks) {
    const picture = describePicture(
      subject,
      { style, subject, palette, composition: 'centred', detail: 'moderate' },
      seed,
    );
    await writeFile(join(folder, directory, `${style}-${subject}.jpg`), await renderPicture(picture));
  }
}

const rank = (...args: string[]): Promise<Ended> => palate(['rank', ...args], { cwd: folder });

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'palate-rank-'));
  await draw('liked', 'ink', 'judged');
  await draw('disliked', 'neon', 'judged');
  await draw('new', 'ink', 'new');
  await draw('new', 'neon', 'new');
  await writeFile(join(folder, 'new/ink-cat.txt'), 'a cat in ink\n');
});

afterAll(() => rm(folder, { recursive: true }));

describe('palate rank', () => {
  it('puts pictures in the liked style above those in the disliked one', async () => {
    const { status, stdout, stderr } = await rank(
      '--liked',
      'liked',
      '--disliked',
      'disliked',
      '--json',
      '--explain',
      'new',
    );
    expect(status).toBe(0);
    const { likes, dislikes, ranking, notRead } = JSON.parse(stdout) as Report;
    expect([likes, dislikes, ranking.length, notRead]).toEqual([5, 5, 10, []]);
    expect(ranking.map(({ rank: place }) => place)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect(ranking.slice(0, 5).every(({ file }) => file.startsWith('new/ink-'))).toBe(true);
    expect(ranking[0]!.value).toBeGreaterThan(ranking[9]!.value);
    expect(ranking.find(({ file }) => file === 'new/ink-cat.jpg')!.prompt).toBe('a cat in ink');
    for (const { influences } of ranking) {
      expect(influences).toHaveLength(10);
      const sizes = influences!.map(({ effect }) => Math.abs(effect));
      expect(sizes).toEqual([...sizes].sort((a, b) => b - a));
    }
    expect(stderr).toContain('Encoding pictures: 20 of 20');
  });

  it('prints a line a picture, and with --explain what weighed most on either side', async () => {
    const { stdout } = await rank(
      '--liked',
      'liked',
      '--disliked',
      'disliked',
      '--explain',
      'new/ink-sea.jpg',
      'new/neon-sea.jpg',
    );
    const lines = stdout.trimEnd().split('\n');
    expect(lines).toHaveLength(10);
    expect(lines[0]).toMatch(/^1 {2}[01]\.\d\d ±0\.\d\d {2}new\/ink-sea\.jpg$/);
    expect(lines[1]).toMatch(/^ {3}[+−]\d+\.\d\d {2}liked {5}liked\/ink-/);
    expect(lines[3]).toMatch(/^ {3}[+−]\d+\.\d\d {2}disliked {2}disliked\/neon-/);
    expect(lines[5]).toContain('new/neon-sea.jpg');
  });

  it('gives the same ranking whatever order the candidates are named in, each file once', async () => {
    const files = async (...paths: string[]) => {
      const { ranking } = JSON.parse((await rank('--liked', 'liked', '--json', ...paths)).stdout) as Report;
      return ranking.map(({ file }) => file);
    };
    const one = await files('new', 'new/ink-sea.jpg', './new/ink-sea.jpg');
    expect(one).toHaveLength(10);
    expect(new Set(one)).toEqual(new Set(await files('new/ink-sea.jpg', 'new')));
  });

  it('ranks the rest, names what it could not read, and ends with 3', async () => {
    await writeFile(join(folder, 'broken.jpg'), 'no picture');
    const { status, stdout, stderr } = await rank('--liked', 'liked', 'new/ink-sea.jpg', 'broken.jpg', 'gone.jpg');
    expect(status).toBe(3);
    expect(stdout.trimEnd().split('\n')).toHaveLength(1);
    expect(stderr).toContain('palate: broken.jpg was left out: the file is none of the pictures taken');
    expect(stderr).toContain('palate: gone.jpg was left out: There is no such file or folder.');
  });

  it('asks for at least one judged picture and one candidate, and for a decision', async () => {
    await mkdir(join(folder, 'empty'), { recursive: true });
    const nothing = await rank('new');
    expect([nothing.status, nothing.stderr]).toEqual([
      2,
      'palate: There is no picture to learn a taste from: name at least one with --liked or --disliked.\n',
    ]);
    const none = await rank('--liked', 'liked', 'empty');
    expect([none.status, none.stderr]).toEqual([2, 'palate: There is no picture to rank in empty.\n']);
    const both = await rank('--liked', 'liked', '--disliked', 'liked/ink-sea.jpg', 'new');
    expect([both.status, both.stderr]).toEqual([
      2,
      'palate: liked/ink-sea.jpg is among the liked and the disliked pictures: decide.\n',
    ]);
  });
});

describe('newestFirst', () => {
  it('sorts by the time of modification, files of one time by name', async () => {
    const [old, now] = [new Date('2001-01-01'), new Date('2002-01-01')];
    const files = ['new/ink-sea.jpg', 'new/ink-cat.jpg', 'new/neon-cat.jpg'].map((file) => join(folder, file));
    for (const [index, file] of files.entries()) await utimes(file, now, index === 0 ? old : now);
    expect(await newestFirst(files)).toEqual([files[1], files[2], files[0]]);
  });
});
