/**
 * A tenant's training: how long it takes, and what a population prior, a history and others' judgements are each worth
 * on people and pictures that it never met. With pictures that you bring:
 *
 *     npx tsx bench/tenant-training.ts --images DIR --metadata FILE [--people 1000] [--judgements 50] [--threads 2]
 *
 * FILE is a list of {file, artist, categories}, `file` relative to DIR. The tenant's pictures are those of artists that
 * the base model of the seed never saw; people share a sense of quality besides their own taste, half of it in
 * what no embedding shows. A quarter of the artists is kept from the tenant's people. Measured are people of the test
 * part and 1,000 more who came later. Ends with 1 where retraining takes more than ten minutes.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type ItemVector, loadArtifact, PreferenceModel, SHIPPED_MODEL } from '../src/inference/preferenceModel.ts';
import { itemVectorSize } from '../src/model/architecture.ts';
import type { ModelArtifact } from '../src/model/artifact.ts';
import { Random } from '../src/random.ts';
import { evaluate } from '../src/training/evaluation/evaluation.ts';
import { readTokens } from '../src/training/evaluation/modelMeasures.ts';
import { modelScorer } from '../src/training/evaluation/modelScorer.ts';
import { type ReportRow, summarise } from '../src/training/evaluation/report.ts';
import { percent } from '../src/training/evaluation/reportTables.ts';
import { tokenReport } from '../src/training/evaluation/tokenReport.ts';
import { fineTune } from '../src/training/feedback/fineTune.ts';
import { itemVectorsOf } from '../src/training/itemVectors.ts';
import { plantGroups, SimulatedPeople } from '../src/training/simulation/people.ts';
import { drawQuality, QualityPeople } from '../src/training/simulation/qualityPeople.ts';
import { partOfSimulated, writeSimulatedTenant } from '../src/training/simulation/tenant.ts';
import { type HistoryItem, type Task, withHistory } from '../src/training/tasks.ts';
import { figure } from './support/measure.ts';
import { loadPictures } from './support/pictures.ts';

const SEED = 1;
const LATER_PEOPLE = 1_000;
const RATERS = [0, 2, 5];
const TARGETS = 6;
const GROUPS = 6;
const MOST_MINUTES = 10;

const { values } = parseArgs({
  options: {
    images: { type: 'string' },
    metadata: { type: 'string' },
    people: { type: 'string', default: '1000' },
    judgements: { type: 'string', default: '50' },
    threads: { type: 'string', default: '2' },
  },
});
const [count, judgements, threads] = [values.people, values.judgements, values.threads].map(Number) as [
  number,
  number,
  number,
];
const { pictures, split, features, z } = await loadPictures(values, SEED);
const parent = await loadArtifact(SHIPPED_MODEL);
const base = await PreferenceModel.open(parent);
const vectors = await itemVectorsOf(base, features);
const random = new Random('bench/tenant-training');
const folder = await mkdtemp(join(tmpdir(), 'palate-bench-'));

/** Trains on what these people judged; returns the model and what it took, in seconds. */
async function train(
  name: string,
  people: readonly (readonly HistoryItem[])[],
): Promise<{ artifact: ModelArtifact; seconds: number }> {
  const judged = [...new Set(people.flat().map(({ image }) => image))];
  const place = new Map(judged.map((image, i) => [image, i]));
  const sizes = {
    tower: base.towerHash,
    itemSize: itemVectorSize(parent.manifest.architecture),
    featureSize: features.columns,
  };
  const tenant = {
    sizes,
    items: judged.map((image) => ({ vector: vectors[image] as ItemVector })),
    people: people.map((history) => history.map((item) => ({ ...item, image: place.get(item.image)! }))),
  };
  const start = performance.now();
  const snapshot = await writeSimulatedTenant(join(folder, name), tenant, random.split('times'));
  const result = await fineTune({
    ...{ parent, snapshot, seed: SEED, threads },
    onStep: ({ step, base: loss, validationAccuracy: accuracy }) => {
      if (accuracy !== null)
        process.stderr.write(`${name}, step ${step}: loss ${loss.toFixed(3)}, held out ${percent(accuracy)} %\n`);
    },
  });
  const seconds = (performance.now() - start) / 1000;
  snapshot.close();
  if (result.status === 'DECLINED') throw new Error(result.reason);
  return { artifact: result.artifact, seconds };
}

async function measureQuality(): Promise<void> {
  const artists = random.split('artists').shuffle(split.artists.test);
  const fresh = new Set(artists.slice(Math.floor(0.75 * artists.length)));
  const pool = artists.flatMap((artist) => pictures.artists[artist]!.images);
  const isFresh = (image: number) => fresh.has(pictures.artistOf[image]!);
  const quality = { z, quality: drawQuality(random.split('quality'), z.columns), weight: 1 };
  const artistOf = (image: number) => pictures.artistOf[image]!;
  const everybody = new QualityPeople(random.split('people'), count + LATER_PEOPLE, pool, artistOf, quality);
  const histories = Array.from({ length: count + LATER_PEOPLE }, (_, person) =>
    everybody
      .judgements(random.split(`judged ${person}`), person, pool.length)
      .filter(({ image }) => !isFresh(image))
      .slice(0, judgements),
  );
  const { artifact, seconds } = await train('quality', histories.slice(0, count));
  console.log(
    `\n${count} people, ${count * judgements} judgements: retrained in ${figure(seconds / 60)} minutes on ${threads} threads (at most ${MOST_MINUTES} asked).\n`,
  );
  if (seconds > 60 * MOST_MINUTES) process.exitCode = 1;

  const unseen = histories.flatMap((_, person) =>
    person >= count || partOfSimulated(person) === 'test' ? [person] : [],
  );
  const task = (person: number, raters: number, of: (image: number) => boolean): Task => {
    const draw = random.split(`targets ${person}`);
    const judged = new Set(histories[person]!.map(({ image }) => image));
    const shown = draw.shuffle(pool.filter((image) => of(image) && !judged.has(image)));
    const liked = shown.filter((image) => everybody.likes(person, image)).slice(0, TARGETS);
    const disliked = shown.filter((image) => !everybody.likes(person, image)).slice(0, TARGETS);
    const targets = [...liked, ...disliked];
    return {
      ...{ history: histories[person]!, liked, disliked, clusters: targets.map(artistOf) },
      popularity: targets.map((image) => everybody.popularity(draw.split(image), person, image, raters)),
    };
  };
  const trained = await PreferenceModel.open(artifact);
  for (const [what, of] of [
    ['pictures that the tenant’s people judged', (image: number) => !isFresh(image)],
    ['pictures of artists that nobody judged', isFresh],
  ] as const) {
    const rows: Record<string, Record<string, string>> = {};
    for (const raters of RATERS) {
      const tasks = unseen.map((person) => task(person, raters, of));
      const set = { lengths: [0, 'all' as const], people: new Map([['people', tasks]]) };
      const scorers = [modelScorer('trained', trained, vectors), modelScorer('base', base, vectors)];
      const found = summarise(await evaluate(set, scorers), { reference: 'trained', random: random.split('draws') });
      const row = (scorer: string, length: string) =>
        found.find((r) => r.scorer === scorer && r.length === length && r.subset === 'all')!;
      const shown = ({ pairwise: p }: ReportRow) => `${percent(p.mean)} [${percent(p.low)}, ${percent(p.high)}]`;
      const gain = row('base', 'all').difference!;
      rows[`${raters} others`] = {
        'prior alone': shown(row('trained', '0+0')),
        'with history': shown(row('trained', 'all')),
        'base model, history': shown(row('base', 'all')),
        'trained less base': `${percent(gain.mean)} ± ${percent(gain.crossedError)} [${percent(gain.low)}, ${percent(gain.high)}]`,
      };
    }
    console.log(
      `Of ${unseen.length} people whom training never met, on ${what}: pairwise accuracy, % [95 %, people × artists]`,
    );
    console.table(rows);
  }
  await trained.close();
}

/** Whether tokens trained on a tenant's people tell groups of taste apart, of people that they never met. */
async function measureGroups(): Promise<void> {
  const people = new SimulatedPeople({
    pictures,
    split,
    z,
    groups: plantGroups(random.split('groups'), GROUPS, z.columns),
  });
  const half = Math.floor(judgements / 2);
  const draw = (name: string, of: number, side: number) =>
    Array.from({ length: of }, (_, i) =>
      people.sampleTask(random.split(name).split(i), 'group', 'test', {
        likes: side,
        dislikes: side,
        likedTargets: 1,
        dislikedTargets: 1,
      }),
    );
  const { artifact } = await train(
    'groups',
    draw('tenant', count, half).map(({ history }) => history),
  );
  const later = draw('later', 480, 8).map((task) => withHistory(task, 8));
  const rows: Record<string, Record<string, string>> = {};
  for (const [name, of] of [
    ['base model', parent],
    ['trained', artifact],
  ] as const) {
    const model = await PreferenceModel.open(of);
    const { groups, halves, use } = tokenReport(await readTokens(model, vectors, later), random.split('clusters'));
    await model.close();
    rows[name] = {
      'ARI of profiles': groups!.ofProfiles.all.toFixed(2),
      'ARI of t': groups!.ofTastes.all.toFixed(2),
      'unseen people in their group, %': percent(groups!.ofProfiles.inOwnGroup),
      'by t, %': percent(groups!.ofTastes.inOwnGroup),
      'halves in one cluster, %': percent(halves.ofProfiles.sameCluster),
      'tokens in use': `${use.effective.toFixed(1)} of ${use.tokens}`,
      'entropy a person, nats': use.entropyOfPerson.toFixed(2),
    };
  }
  console.log(`\n${GROUPS} planted groups, ${later.length} people of 8 + 8 judgements whom training never met:`);
  console.table(rows);
}

try {
  await measureQuality();
  await measureGroups();
} finally {
  await base.close();
  await rm(folder, { recursive: true, force: true });
}
