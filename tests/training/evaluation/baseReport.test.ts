/** The whole report over drawn pictures: what it holds, and the files that are written of it. */
import type { ModelArtifact } from '../../../src/model/artifact.ts';
import { parameterLayout } from '../../../src/model/parameters.ts';
import { Random } from '../../../src/random.ts';
import { closedForm } from '../../../src/training/base/closedForm.ts';
import {
  type BaseReport,
  type BaseReportInput,
  MODEL,
  reportBaseModel,
  WITHOUT_TOKENS,
} from '../../../src/training/evaluation/baseReport.ts';
import { reportFiles } from '../../../src/training/evaluation/reportFiles.ts';
import { matrix } from '../../../src/training/fitting/linearAlgebra.ts';
import { readPictures } from '../../../src/training/simulation/pictures.ts';

const ARTISTS = 420;
const FEATURES = 257;
const SIZE = { people: 36, groupPeople: 36, tuningPeople: 20, calibrationPeople: 40 };

/** Three pictures of each of 420 artists, which look alike; artists of one tag are a little alike too. */
function drawnPictures(): BaseReportInput {
  const random = new Random('report features');
  const normals = () => Float64Array.from({ length: FEATURES }, () => random.normal());
  const tags = Array.from({ length: 12 }, normals);
  const artists = Array.from({ length: ARTISTS }, () => {
    const own = random.choose([...tags.keys()], 2);
    const style = normals().map((value, i) => value + own.reduce((sum, tag) => sum + tags[tag]![i]!, 0));
    return { style, categories: own.map((tag) => `tag ${tag}`) };
  });
  const metadata = Array.from({ length: 3 * ARTISTS }, (_, i) => ({
    file: `${i}.jpg`,
    artist: `artist ${i % ARTISTS}`,
    categories: artists[i % ARTISTS]!.categories,
  }));
  const features = metadata.flatMap((_, i) =>
    Array.from(artists[i % ARTISTS]!.style, (value) => value + 0.5 * random.normal()),
  );
  return { pictures: readPictures(metadata), features: matrix(metadata.length, FEATURES, features), seed: 1 };
}

/** The closed form, its tokens made to matter. */
function artifactOf(input: BaseReportInput): ModelArtifact {
  const random = new Random('prompts');
  const { artifact } = closedForm({
    ...input,
    promptEmbeddings: matrix(
      200,
      70,
      Array.from({ length: 14_000 }, () => random.normal()),
    ),
    encoders: { image: 'a'.repeat(64), text: 'b'.repeat(64) },
    steps: { network: 0, tokens: 0 },
    about: { name: 'drawn', description: 'A test.', licence: 'Apache-2.0', training: { seed: 1 } },
  });
  const parameters = artifact.parameters.slice();
  parameters[parameterLayout(artifact.manifest.architecture).range('tokenPath.gain').start] = 3;
  return { ...artifact, parameters };
}

const input = drawnPictures();
const artifact = artifactOf(input);
const calls: [number, number][] = [];
let report: BaseReport;
beforeAll(async () => {
  report = await reportBaseModel(input, artifact, SIZE, (done, total) => calls.push([done, total]));
}, 240_000);

const rowsOf = (kind: string, scorer: string, subset = 'all') =>
  report.rows.filter((row) => row.kind === kind && row.scorer === scorer && row.subset === subset);
const at = (kind: string, scorer: string, length: string) =>
  rowsOf(kind, scorer).find((row) => row.length === length)!.pairwise.mean;

describe('the rows', () => {
  it('hold every kind of people at every history length', () => {
    expect([...new Set(report.rows.map(({ kind }) => kind))]).toEqual([
      ...['tags', 'artists', 'mixture', 'direction'],
      ...[0, 2, 5].map((raters) => `quality, ${raters} others asked`),
    ]);
    const lengths = (kind: string) => rowsOf(kind, MODEL).map(({ length }) => length);
    expect(lengths('tags')).toEqual(['0+0', '1+1', '2+2', '4+4', '8+8', '16+16', '8+0', '0+8']);
    expect(lengths('quality, 2 others asked').at(-1)).toBe('all');
  });

  it('hold scorers of the population where people share something, each personal one with it', () => {
    const scorers = new Set(report.rows.filter(({ kind }) => kind.startsWith('quality')).map(({ scorer }) => scorer));
    for (const name of ['popularity', 'population content model', '3 nearest neighbours, LDA + prior']) {
      expect(scorers).toContain(name);
    }
    expect(scorers.size).toBe(22);
    expect(new Set(rowsOf('quality, 0 others asked', 'popularity').map((row) => row.pairwise.mean))).toEqual(
      new Set([0.5]),
    );
    expect(at('quality, 5 others asked', 'popularity', '0+0')).toBeGreaterThan(0.5);
  });

  it('measure the model better than chance, and apart with silent tokens', () => {
    expect(at('artists', MODEL, '8+8')).toBeGreaterThan(0.6);
    expect(at('artists', 'chance', '8+8')).toBe(0.5);
    expect(rowsOf('artists', WITHOUT_TOKENS).map((row) => row.pairwise.mean)).not.toEqual(
      rowsOf('artists', MODEL).map((row) => row.pairwise.mean),
    );
  });

  it('tell pairs against the mean apart, where others were asked', () => {
    const against = (kind: string) => rowsOf(kind, 'popularity', 'against the mean');
    expect(against('tags')).toEqual([]);
    expect(against('quality, 5 others asked').every(({ pairwise }) => pairwise.mean < 0.2)).toBe(true);
    expect(against('quality, 5 others asked').length).toBeGreaterThan(0);
  });

  it('tell how far the measuring has come', () => {
    const total = 4 * 8 * 15 + 3 * 9 * 22;
    expect(calls).toEqual(Array.from({ length: total }, (_, i) => [i + 1, total]));
  });
});

it('measures calibration, tokens and time', () => {
  expect(report.calibration.after.judgements).toBe(6 * SIZE.calibrationPeople);
  expect(report.tokens.groups!.count).toBe(6);
  expect(report.tokens.people).toBe(SIZE.groupPeople);
  expect(report.times.of64).toBeGreaterThan(0);
});

describe('the files', () => {
  it('are a page, the data and plots', () => {
    const files = new Map(reportFiles(report).map(({ name, content }) => [name, content]));
    expect([...files.keys()]).toEqual([
      ...['report.md', 'report.json', 'calibration.svg'],
      ...['tags', 'artists', 'mixture', 'direction'].map((kind) => `accuracy-${kind}.svg`),
      ...[0, 2, 5].map((raters) => `accuracy-quality-${raters}-others-asked.svg`),
    ]);
    const page = files.get('report.md')!;
    for (const heading of ['# Report of the model `drawn`', '## Calibration', '## Tokens', '## Time']) {
      expect(page).toContain(`${heading}\n`);
    }
    expect(page).toContain('What the tokens are worth to the ranking, at histories of 8+8');
    expect(page).not.toMatch(/NaN|undefined|\[object/);
    for (const [name, svg] of files) if (name.endsWith('.svg')) expect(svg).toContain('<title');
  });

  it('hold every row and every figure as data', () => {
    const data = JSON.parse(reportFiles(report).find(({ name }) => name === 'report.json')!.content);
    expect(data).toMatchObject({ format: 'palate-evaluation-1', seed: 1, pictures: 1260, draws: 1000 });
    expect(data.model.bytes).toBe(report.model.bytes);
    expect(data.rows).toHaveLength(report.rows.length);
    for (const [i, row] of report.rows.entries()) {
      expect(data.rows[i].pairwise.mean).toBeCloseTo(row.pairwise.mean, 4);
      expect(data.rows[i].pairwise.crossedError).toBeCloseTo(row.pairwise.crossedError, 3);
    }
    expect(data.tokens.halves.ofProfiles.farther).toBeCloseTo(report.tokens.halves.ofProfiles.farther, 4);
    expect(data.calibration.before.bins.length).toBeGreaterThan(0);
  });
});
