/** People who share a sense of quality agree as much as it weighs, and each judges at their own rate. */
import { Random } from '../../../src/random.ts';
import { matrix } from '../../../src/training/fitting/linearAlgebra.ts';
import { drawQuality, QualityPeople } from '../../../src/training/simulation/qualityPeople.ts';
import { targetsOf } from '../../../src/training/tasks.ts';

const random = new Random('quality people');
const z = matrix(
  300,
  16,
  Array.from({ length: 4800 }, () => random.normal()),
);
const pool = Array.from({ length: 200 }, (_, i) => i + 50);
const quality = drawQuality(random.split('quality'), 16);
const clusterOf = (image: number) => image >> 1;
const people = (weight: number, count = 60) =>
  new QualityPeople(new Random('people'), count, pool, clusterOf, { z, quality, weight });

/** Share of picture–person pairs in which two people say the same. */
function agreement(of: QualityPeople): number {
  let same = 0;
  for (const image of pool) {
    for (let p = 0; p + 1 < of.count; p += 2) same += of.likes(p, image) === of.likes(p + 1, image) ? 1 : 0;
  }
  return same / (pool.length * (of.count / 2));
}

it('agree the more the weightier quality is', () => {
  const [none, some, much] = [0, 1, 4].map((weight) => agreement(people(weight)));
  expect(Math.abs(none! - 0.5)).toBeLessThan(0.06);
  expect(some).toBeGreaterThan(none! + 0.05);
  expect(much).toBeGreaterThan(some! + 0.05);
});

it('like between three and seven of ten pictures', () => {
  const of = people(1);
  const rates = Array.from({ length: of.count }, (_, p) => pool.filter((image) => of.likes(p, image)).length / 200);
  expect(Math.min(...rates)).toBeGreaterThan(0.28);
  expect(Math.max(...rates)).toBeLessThan(0.72);
  expect(Math.max(...rates) - Math.min(...rates)).toBeGreaterThan(0.2);
});

it('are the same for the same generator, however many there are', () => {
  const [few, many] = [people(1, 5), people(1, 30)];
  for (let p = 0; p < 5; p++) for (const image of pool) expect(few.likes(p, image)).toBe(many.likes(p, image));
});

describe('a history', () => {
  it('is of different pictures, each of another cluster while there are any', () => {
    const history = people(1).judgements(new Random(1), 3, 120);
    expect(new Set(history.map(({ image }) => image)).size).toBe(120);
    expect(new Set(history.slice(0, 100).map(({ image }) => clusterOf(image))).size).toBe(100);
    for (const { image, sentiment } of history) expect(people(1).likes(3, image)).toBe(sentiment === 'LIKE');
  });

  it('is all of the pool where more is asked for', () => {
    expect(people(1).judgements(new Random(1), 0, 999)).toHaveLength(200);
  });
});

describe('a task', () => {
  const of = people(1);
  const options = { seen: 40, likedTargets: 3, dislikedTargets: 2, raters: 5 };
  const task = of.task(new Random('task'), 7, options);

  it('holds out targets that the person would like and dislike', () => {
    expect(task.history).toHaveLength(35);
    expect(task.liked.every((image) => of.likes(7, image))).toBe(true);
    expect(task.disliked.some((image) => of.likes(7, image))).toBe(false);
    const judged = new Set(task.history.map(({ image }) => image));
    expect(targetsOf(task).some((image) => judged.has(image))).toBe(false);
    expect(task.clusters).toEqual(targetsOf(task).map(clusterOf));
  });

  it('knows what five others made of each target', () => {
    for (const { sum, count } of task.popularity!) {
      expect(count).toBe(5);
      expect([-5, -3, -1, 1, 3, 5]).toContain(sum);
    }
    expect(of.task(new Random('task'), 7, { ...options, raters: 0 }).popularity).toEqual(
      Array(5).fill({ sum: 0, count: 0 }),
    );
    const all = of.popularity(new Random(1), 7, pool[0]!, 999);
    expect(all.count).toBe(59);
    const likes = Array.from({ length: 60 }, (_, p) => p).filter((p) => p !== 7 && of.likes(p, pool[0]!)).length;
    expect(all.sum).toBe(2 * likes - 59);
  });

  it('needs enough likes and dislikes', () => {
    expect(() => of.task(new Random('task'), 7, { ...options, seen: 6, likedTargets: 6 })).toThrow(
      /^Person 7 has \d of 6 judgements that are a LIKE, fewer than the 6 targets: show more pictures\.$/,
    );
  });
});

it('know only the pictures of their pool', () => {
  expect(() => people(1).likes(0, 3)).toThrow('Image 3 is not in the pool of these people.');
});
