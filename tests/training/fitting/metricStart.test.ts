/** What the image metric starts as: artists, tags and leading components side by side, and tags that nobody has seen. */
import { Random } from '../../../src/random.ts';
import { dot, matrix, norm, row, takeRows } from '../../../src/training/fitting/linearAlgebra.ts';
import { fitMetricStart } from '../../../src/training/fitting/metricStart.ts';
import { imagesOfPart, readPictures, splitPictures } from '../../../src/training/simulation/pictures.ts';

const ARTISTS = 300;
const NUMBERS = 40;
const DIMENSIONS = 96;

/** Tags differ in the first eight numbers, artists in all; the last sixteen are loud. */
function world() {
  const random = new Random('metric start');
  const tags = Array.from({ length: 48 }, () => Array.from({ length: 8 }, () => 0.8 * random.normal()));
  const metadata: { file: string; artist: string; categories: string[] }[] = [];
  const rows: number[][] = [];
  for (let artist = 0; artist < ARTISTS; artist++) {
    const own = random.choose([...tags.keys()], 3);
    const style = Array.from({ length: NUMBERS }, (_, i) => (i < 8 ? 1 : 3) * random.normal());
    for (let picture = 0; picture < 3; picture++) {
      metadata.push({ file: `${artist}-${picture}`, artist: `a${artist}`, categories: own.map((tag) => `t${tag}`) });
      rows.push(
        style.map((value, i) => {
          const common = i < 8 ? own.reduce((sum, tag) => sum + tags[tag]![i]!, 0) : 0;
          return common + value + (i < 24 ? 1 : 3) * random.normal();
        }),
      );
    }
  }
  const wide = rows.map((values) => [
    ...values,
    ...Array.from({ length: DIMENSIONS - NUMBERS }, () => random.normal()),
  ]);
  return { pictures: readPictures(metadata), z: matrix(wide.length, DIMENSIONS, wide.flat()) };
}

const { pictures, z } = world();
const split = splitPictures(pictures, 1);
const images = imagesOfPart(pictures, split, 'train');
const start = fitMetricStart(takeRows(z, images), images, { pictures, split }, DIMENSIONS);

/** How much nearer pictures of test artists lie that share a test tag than those that share none. */
function contrast(e: ReturnType<typeof start.metric.apply>): number {
  const test = imagesOfPart(pictures, split, 'test');
  const [together, apart]: [number[], number[]] = [[], []];
  const tagsOf = (image: number) => pictures.artists[pictures.artistOf[image]!]!.tags;
  for (const a of test) {
    for (const b of test) {
      if (pictures.artistOf[a]! >= pictures.artistOf[b]!) continue;
      const shared = tagsOf(a).filter((tag) => tagsOf(b).includes(tag));
      if (shared.some((tag) => split.tags.test.includes(tag))) together.push(dot(row(e, a), row(e, b)));
      else if (shared.length === 0) apart.push(dot(row(e, a), row(e, b)));
    }
  }
  const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const spread = Math.sqrt(mean(apart.map((value) => (value - mean(apart)) ** 2)));
  return (mean(together) - mean(apart)) / spread;
}

it('gives every picture a vector of length 1', () => {
  const e = start.metric.apply(z);
  for (let i = 0; i < e.rows; i++) expect(norm(row(e, i))).toBeCloseTo(1, 10);
  expect([e.columns, start.artists.apply(z).columns]).toEqual([DIMENSIONS, DIMENSIONS]);
});

it('brings together what tags have in common that it was never told, more than a discriminant of artists does', () => {
  expect(contrast(start.metric.apply(z))).toBeGreaterThan(1.1 * contrast(start.artists.apply(z)));
});

it('ends in the leading components, which have a fifth of the squared length before it is made 1', () => {
  const { weights, bias } = start.metric;
  const style = DIMENSIONS - 16;
  const scale = row(weights, style)[0]!;
  for (let i = 0; i < 16; i++) {
    expect([...row(weights, style + i)]).toEqual(Array.from({ length: z.columns }, (_, j) => (j === i ? scale : 0)));
    expect(bias[style + i]).toBe(0);
  }
  const train = takeRows(z, images);
  const [components, all] = [style, 0].map((from) => {
    let sum = 0;
    for (let i = 0; i < train.rows; i++) {
      for (let k = from; k < DIMENSIONS; k++) sum += (dot(row(weights, k), row(train, i)) + bias[k]!) ** 2;
    }
    return sum / train.rows;
  });
  expect(components).toBeCloseTo(0.2, 10);
  expect(all).toBeCloseTo(1, 10);
});

it('counts those numbers of a reading more that vary more', () => {
  const train = takeRows(z, images);
  const squares = (weights: typeof start.metric.weights, bias: Float64Array, k: number) => {
    let sum = 0;
    for (let i = 0; i < train.rows; i++) sum += (dot(row(weights, k), row(train, i)) + bias[k]!) ** 2;
    return sum / train.rows;
  };
  // The artists' reading begins at number 20: the same directions as the discriminant of artists.
  const ratios = [0, 10, 40].map((k) => {
    const plain = squares(start.artists.weights, start.artists.bias, k);
    const emphasised = squares(start.metric.weights, start.metric.bias, 20 + k);
    return emphasised / plain ** 1.25;
  });
  for (const ratio of ratios) expect(ratio / ratios[0]!).toBeCloseTo(1, 8);
});

it('knows no tag and no artist but those it learns from', () => {
  const others = pictures.artists.map((artist, i) =>
    split.artists.train.includes(i)
      ? { ...artist, tags: artist.tags.filter((tag) => split.tags.train.includes(tag)) }
      : { ...artist, tags: [] },
  );
  const again = fitMetricStart(
    takeRows(z, images),
    images,
    { pictures: { ...pictures, artists: others }, split },
    DIMENSIONS,
  );
  expect(again.metric.weights.data).toEqual(start.metric.weights.data);
});
