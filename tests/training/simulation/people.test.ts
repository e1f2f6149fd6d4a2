/** Pictures split by artist and tag, and the people simulated over them. */
import { Random } from '../../../src/random.ts';
import { dot, type Matrix, matrix, row } from '../../../src/training/fitting/linearAlgebra.ts';
import {
  type Kind,
  plantGroups,
  SimulatedPeople,
  sampleHistoryCounts,
} from '../../../src/training/simulation/people.ts';
import {
  FOLDS,
  imagesOfPart,
  type Part,
  type Pictures,
  readPictures,
  splitPictures,
} from '../../../src/training/simulation/pictures.ts';
import { lengthName, type Task, targetsOf, withHistory } from '../../../src/training/tasks.ts';

const KINDS: readonly Kind[] = ['tags', 'artists', 'direction', 'mixture', 'group'];
const PARTS: readonly Part[] = ['train', 'validation', 'test'];

/** 400 artists of four pictures, each with two to four of 40 tags, of which the first are frequent. */
function metadata(): { file: string; artist: string; categories: string[] }[] {
  const random = new Random('metadata');
  return Array.from({ length: 400 }, (_, artist) => {
    const categories = Array.from({ length: 2 + random.int(3) }, () => `tag ${Math.floor(40 * random.uniform() ** 2)}`);
    return [0, 1, 2, 3].map((tile) => ({ file: `${artist}_${tile}.jpg`, artist: `artist ${artist}`, categories }));
  }).flat();
}

function randomVectors(count: number, dimensions: number): Matrix {
  const random = new Random('vectors');
  return matrix(
    count,
    dimensions,
    Array.from({ length: count * dimensions }, () => random.normal()),
  );
}

const pictures = readPictures(metadata());
const split = splitPictures(pictures, 1);
const z = randomVectors(pictures.files.length, 32);
const groups = plantGroups(new Random('groups'), 3, 32);
const people = new SimulatedPeople({ pictures, split, z, groups });
const shape = { likes: 6, dislikes: 5, likedTargets: 2, dislikedTargets: 3 };

const imagesOf = (task: Task) => [...task.history.map((item) => item.image), ...task.liked, ...task.disliked];
const sampleMany = (kind: Kind, part: Part, count: number) =>
  Array.from({ length: count }, (_, i) => people.sampleTask(new Random(i).split(kind), kind, part, shape));

describe('readPictures', () => {
  it('gathers artists, their pictures and their tags', () => {
    const read: Pictures = readPictures([
      { file: 'a.jpg', artist: 'A', categories: ['Oil', 'Oil'], born: '1900' },
      { file: 'b.jpg', artist: 'B', categories: [] },
      { file: 'c.jpg', artist: 'A', categories: ['Ink'] },
    ]);
    expect(read.artists).toEqual([
      { name: 'A', images: [0, 2], tags: ['Oil', 'Ink'] },
      { name: 'B', images: [1], tags: [] },
    ]);
    expect([...read.artistOf]).toEqual([0, 1, 0]);
  });

  it('names the row that is wrong', () => {
    expect(() => readPictures([{ file: 'a.jpg', artist: 'A', categories: [] }, { file: 'b.jpg' }])).toThrow(
      'The metadata is not a list of {file, artist, categories}: at 1.artist,',
    );
  });
});

describe('splitPictures', () => {
  it('puts every artist into exactly one part, about 64, 12 and 24 in a hundred', () => {
    const all = PARTS.flatMap((part) => split.artists[part]);
    expect(all.toSorted((a, b) => a - b)).toEqual(pictures.artists.map((_, i) => i));
    // Three standard errors of a share among 400 artists are 0.07.
    expect(Math.abs(split.artists.train.length / 400 - 0.64)).toBeLessThan(0.07);
    expect(Math.abs(split.artists.test.length / 400 - 0.24)).toBeLessThan(0.07);
  });

  it('shares no picture and no tag between training and test', () => {
    const trained = new Set(imagesOfPart(pictures, split, 'train'));
    expect(imagesOfPart(pictures, split, 'test').filter((image) => trained.has(image))).toEqual([]);
    expect(split.tags.test.filter((tag) => split.tags.train.includes(tag))).toEqual([]);
    expect(new Set([...split.tags.train, ...split.tags.test]).size).toBe(
      new Set(pictures.artists.flatMap((artist) => artist.tags)).size,
    );
  });

  it('gives each side frequent tags: both have some of the eight most frequent', () => {
    const frequent = Array.from({ length: 8 }, (_, i) => `tag ${i}`);
    expect(frequent.some((tag) => split.tags.train.includes(tag))).toBe(true);
    expect(frequent.some((tag) => split.tags.test.includes(tag))).toBe(true);
  });

  it('is the same for the same seed, another for another, and moves no artist when one is added', () => {
    expect(splitPictures(pictures, 1)).toEqual(split);
    expect(splitPictures(pictures, 2).artists.test).not.toEqual(split.artists.test);
    const more = readPictures([...metadata(), { file: 'new.jpg', artist: 'a new one', categories: ['tag 1'] }]);
    const moved = splitPictures(more, 1).artists.test.filter((artist) => artist < 400);
    expect(moved).toEqual(split.artists.test);
  });

  it('has folds whose tests share no artist and hold out other tags', () => {
    const folds = Array.from({ length: FOLDS }, (_, fold) => splitPictures(pictures, 1, fold));
    expect(folds[0]).toEqual(split);
    const tested = folds.flatMap(({ artists }) => artists.test);
    expect(new Set(tested).size).toBe(tested.length);
    expect(tested.length / 400).toBeGreaterThan(0.9);
    for (const { artists, tags } of folds) {
      expect(PARTS.flatMap((part) => artists[part]).toSorted((a, b) => a - b)).toEqual(
        pictures.artists.map((_, i) => i),
      );
      expect(tags.test.filter((tag) => tags.train.includes(tag))).toEqual([]);
    }
    expect(folds[1]!.tags.test.filter((tag) => split.tags.test.includes(tag))).toEqual([]);
  });
});

describe.each(KINDS)('people of %s', (kind) => {
  it.each(PARTS)('judge artists of the %s part only, with as many judgements and targets as asked for', (part) => {
    const allowed = new Set(split.artists[part]);
    for (const task of sampleMany(kind, part, 40)) {
      expect(task.history.filter((item) => item.sentiment === 'LIKE')).toHaveLength(shape.likes);
      expect(task.history.filter((item) => item.sentiment === 'DISLIKE')).toHaveLength(shape.dislikes);
      expect([task.liked.length, task.disliked.length]).toEqual([2, 3]);
      expect(imagesOf(task).every((image) => allowed.has(pictures.artistOf[image]!))).toBe(true);
      expect(new Set(imagesOf(task)).size).toBe(imagesOf(task).length);
    }
  });

  it('are the same for the same seed', () => {
    expect(sampleMany(kind, 'train', 5)).toEqual(sampleMany(kind, 'train', 5));
  });

  it('may have no history, or one side of it', () => {
    const sample = (likes: number, dislikes: number) =>
      people.sampleTask(new Random(1), kind, 'test', { ...shape, likes, dislikes }).history;
    expect(sample(0, 0)).toEqual([]);
    expect(sample(3, 0).map((item) => item.sentiment)).toEqual(['LIKE', 'LIKE', 'LIKE']);
    expect(sample(0, 2).map((item) => item.sentiment)).toEqual(['DISLIKE', 'DISLIKE']);
  });

  it('say so when the part has too few artists', () => {
    expect(() => people.sampleTask(new Random(1), kind, 'validation', { ...shape, likes: 400 })).toThrow(
      /^The validation part has too few artists for people of .*: ask for shorter histories or give more pictures\.$/,
    );
  });
});

describe('an artist', () => {
  it.each(KINDS.filter((kind) => kind !== 'artists'))('is met once in a task of people of %s', (kind) => {
    for (const task of sampleMany(kind, 'train', 60)) {
      const artists = imagesOf(task).map((image) => pictures.artistOf[image]);
      expect(new Set(artists).size).toBe(artists.length);
    }
  });

  it('is never both liked and disliked by people of artists, nor twice among their targets', () => {
    for (const task of sampleMany('artists', 'train', 60)) {
      const of = (images: readonly number[]) => images.map((image) => pictures.artistOf[image]!);
      const judged = (sentiment: string) =>
        task.history.filter((item) => item.sentiment === sentiment).map((item) => item.image);
      const liked = new Set(of([...judged('LIKE'), ...task.liked]));
      expect(of([...judged('DISLIKE'), ...task.disliked]).filter((artist) => liked.has(artist))).toEqual([]);
      expect(new Set(of(task.liked)).size).toBe(task.liked.length);
    }
  });
});

describe('tastes', () => {
  it('of tags: some tags of the part part the liked from the disliked', () => {
    const tagsOf = (images: readonly number[]) =>
      new Set(images.flatMap((image) => pictures.artists[pictures.artistOf[image]!]!.tags));
    for (const part of ['train', 'test'] as const) {
      for (const task of sampleMany('tags', part, 40)) {
        const judged = (sentiment: string) =>
          task.history.filter((item) => item.sentiment === sentiment).map((item) => item.image);
        const liked = [...judged('LIKE'), ...task.liked];
        const disliked = tagsOf([...judged('DISLIKE'), ...task.disliked]);
        const telling = split.tags[part].filter((tag) => !disliked.has(tag));
        expect(liked.every((image) => [...tagsOf([image])].some((tag) => telling.includes(tag)))).toBe(true);
      }
    }
  });

  it('of groups: people like what lies in the direction of their own group', () => {
    const along = new Map<number, number[]>();
    for (const task of sampleMany('group', 'train', 200)) {
      const group = task.group!;
      const mean = (images: readonly number[]) =>
        images.reduce((sum, image) => sum + dot(row(groups, group), row(z, image)), 0) / images.length;
      along.set(group, [...(along.get(group) ?? []), mean(task.liked) - mean(task.disliked)]);
    }
    expect([...along.keys()].toSorted()).toEqual([0, 1, 2]);
    for (const differences of along.values()) {
      expect(differences.filter((difference) => difference > 0).length / differences.length).toBeGreaterThan(0.8);
    }
  });

  it('are judged wrongly at the flip rate: both judgements of a pair are exchanged', () => {
    let exchanged = 0;
    for (let i = 0; i < 200; i++) {
      const sample = (flipRate: number) =>
        people.sampleTask(new Random(i), 'direction', 'train', { ...shape, flipRate });
      const honest = new Map(sample(0).history.map((item) => [item.image, item.sentiment]));
      const noisy = sample(0.3);
      expect(noisy.liked).toEqual(sample(0).liked);
      exchanged += noisy.history.filter((item) => honest.get(item.image) !== item.sentiment).length / 2;
    }
    expect(exchanged / (200 * shape.dislikes)).toBeCloseTo(0.3, 1);
  });

  it('of groups need groups', () => {
    const without = new SimulatedPeople({ pictures, split, z });
    expect(() => without.sampleTask(new Random(1), 'group', 'train', shape)).toThrow('give `groups`');
  });
});

describe('sampleHistoryCounts', () => {
  it('covers none, one side only, few and many, and never more than the longest', () => {
    const random = new Random('counts');
    const counts = Array.from({ length: 4000 }, () => sampleHistoryCounts(random, 16));
    const share = (of: (count: { likes: number; dislikes: number }) => boolean) => counts.filter(of).length / 4000;
    expect(Math.max(...counts.flatMap(({ likes, dislikes }) => [likes, dislikes]))).toBe(16);
    expect(share(({ likes, dislikes }) => likes === 0 && dislikes === 0)).toBeCloseTo(1 / 16, 1);
    expect(share(({ likes, dislikes }) => (likes === 0) !== (dislikes === 0))).toBeGreaterThan(0.1);
    expect(share(({ likes }) => likes >= 8)).toBeGreaterThan(0.15);
    expect(share(({ likes }) => likes === 1 || likes === 2)).toBeGreaterThan(0.2);
  });
});

describe('tasks', () => {
  it('keep the newest judgements of each side when a history is cut', () => {
    const task = sampleMany('direction', 'train', 1)[0]!;
    const cut = withHistory(task, 2);
    const newest = (sentiment: string) => task.history.filter((item) => item.sentiment === sentiment).slice(0, 2);
    expect(cut.history.filter((item) => item.sentiment === 'LIKE')).toEqual(newest('LIKE'));
    expect(cut.history.filter((item) => item.sentiment === 'DISLIKE')).toEqual(newest('DISLIKE'));
    expect(cut.liked).toBe(task.liked);
    expect(withHistory(task, 0).history).toEqual([]);
  });

  it('may read one side alone, or everything', () => {
    const task = sampleMany('direction', 'train', 1)[0]!;
    expect(new Set(withHistory(task, { likes: 2, dislikes: 0 }).history.map((item) => item.sentiment))).toEqual(
      new Set(['LIKE']),
    );
    expect(withHistory(task, 'all')).toBe(task);
    expect([3, { likes: 8, dislikes: 0 }, 'all' as const].map(lengthName)).toEqual(['3+3', '8+0', 'all']);
  });

  it('say which artist each target is by', () => {
    for (const task of sampleMany('tags', 'test', 20)) {
      expect(task.clusters).toEqual(targetsOf(task).map((image) => pictures.artistOf[image]));
    }
  });
});
