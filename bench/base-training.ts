/**
 * The base model's training from scratch: how long it takes, and what the recipe is worth beside what else could be
 * learned from the same pictures, over every artist in turn. With pictures that you bring:
 *
 *     npx tsx bench/base-training.ts --images DIR --metadata FILE [--folds 4] [--people 3000] [--threads 1]
 *
 * FILE is a list of {file, artist, categories}, `file` relative to DIR. Each fold trains a model of its own and measures
 * it on artists and tags that it never met; the folds' tests share no artist. Fold 0 is the split of the model that
 * ships, on whose test nothing was chosen. The metric's sizes were chosen within fold 0's training part, so on some
 * artists that the other folds test. Intervals are 95 %, over people × artists of all folds. Some 15 minutes a fold on
 * one core. Ends with 1 where a training takes more than an hour.
 */
import { parseArgs } from 'node:util';
import { encodeAll } from '../src/commands/simulation/pictureList.ts';
import { promptCorpus } from '../src/gallery/prompts.ts';
import { loadTextEncoder, SHIPPED_TEXT_ENCODER } from '../src/inference/encoding/index.ts';
import { PreferenceModel } from '../src/inference/preferenceModel.ts';
import { Random } from '../src/random.ts';
import { trainBaseModel } from '../src/training/base/baseModel.ts';
import type { BaseModelInput } from '../src/training/base/closedForm.ts';
import { type EvaluationSet, evaluate, type Outcome, type Scorer } from '../src/training/evaluation/evaluation.ts';
import { modelScorer } from '../src/training/evaluation/modelScorer.ts';
import { type CrossedInterval, type ReportRow, summarise } from '../src/training/evaluation/report.ts';
import { markdownTable, percent } from '../src/training/evaluation/reportTables.ts';
import {
  featureSpaces,
  type MeasuredPeople,
  tasteEvaluation,
} from '../src/training/evaluation/simulatedEvaluations.ts';
import { itemVectorsOf } from '../src/training/itemVectors.ts';
import { SimulatedPeople } from '../src/training/simulation/people.ts';
import { FOLDS } from '../src/training/simulation/pictures.ts';
import type { Task } from '../src/training/tasks.ts';
import { loadPictures } from './support/pictures.ts';

const SEED = 1;
const STEPS = { network: 300, tokens: 600 };
const PROMPTS = 4_000;
const KINDS = ['tags', 'artists'] as const;
const LENGTHS = [2, 8] as const;
const TUNING_PEOPLE = 600;
const MODEL = 'preference model';
const MOST_MINUTES = 60;

const { values } = parseArgs({
  options: {
    images: { type: 'string' },
    metadata: { type: 'string' },
    folds: { type: 'string', default: String(FOLDS) },
    people: { type: 'string', default: '3000' },
    threads: { type: 'string', default: '1' },
  },
});
const [foldCount, count, threads] = [values.folds, values.people, values.threads].map(Number) as [
  number,
  number,
  number,
];
const { pictures, features } = await loadPictures(values, SEED);
const textEncoder = await loadTextEncoder(SHIPPED_TEXT_ENCODER);
const promptEmbeddings = await encodeAll('Encoding prompts', promptCorpus(PROMPTS, SEED), (texts) =>
  textEncoder.encode([...texts]),
);
await textEncoder.close();

interface Fold extends MeasuredPeople {
  readonly minutes: number;
}

const folds: Fold[] = [];
for (let fold = 0; fold < foldCount; fold++) {
  folds.push(await trainFold(fold));
  process.stderr.write(`fold ${fold}: trained in ${folds.at(-1)!.minutes.toFixed(1)} minutes\n`);
}
const outcomes = await evaluate(pooledPeople(), pooledScorers(), (what) => process.stderr.write(`measured: ${what}\n`));
const rows = summarise(outcomes, { reference: MODEL, random: new Random('bench/base-training') });
process.stdout.write([timesTable(), ...KINDS.flatMap((kind) => LENGTHS.map((n) => kindTable(kind, n)))].join('\n'));
process.exitCode = folds.every(({ minutes }) => minutes <= MOST_MINUTES) ? 0 : 1;

async function trainFold(fold: number): Promise<Fold> {
  const nobody = '0'.repeat(64);
  const input: BaseModelInput = {
    ...{ pictures, features, promptEmbeddings, seed: SEED, fold, steps: STEPS, threads },
    encoders: { image: nobody, text: nobody },
    about: { name: 'base', description: '', licence: '', training: {} },
  };
  const start = performance.now();
  const { artifact, split, transform } = await trainBaseModel(input);
  const minutes = (performance.now() - start) / 60_000;
  const model = await PreferenceModel.open(artifact);
  const vectors = await itemVectorsOf(model, features);
  const z = transform.apply(features);
  const spaces = featureSpaces({ pictures, split, features, z }, artifact.manifest.architecture.imageMetric);
  const { set, scorers } = tasteEvaluation(
    new SimulatedPeople({ pictures, split, z }),
    { pictures, split, z, spaces },
    { people: count, tuningPeople: TUNING_PEOPLE },
    new Random(SEED).split(`report ${fold}`),
    { kinds: KINDS, lengths: LENGTHS },
  );
  return { minutes, set, scorers: [modelScorer(MODEL, model, vectors), ...scorers] };
}

/** The people of all folds, fold after fold. */
function pooledPeople(): EvaluationSet {
  const all = (kind: string): Task[] => folds.flatMap(({ set }) => set.people.get(kind)!);
  return { lengths: LENGTHS, people: new Map(KINDS.map((kind) => [kind, all(kind)])) };
}

/** Each scorer as it was fitted and chosen in the fold of the people whom it scores. */
function pooledScorers(): Scorer[] {
  return folds[0]!.scorers.map(({ name }, i) => ({
    name: withoutChoice(name),
    async score(tasks) {
      const each = folds.map(({ scorers }, fold) => scorers[i]!.score(tasks.slice(fold * count, (fold + 1) * count)));
      return (await Promise.all(each)).flat();
    },
  }));
}

/** The name without what was chosen on validation people: "kernel ridge (RBF width 1, ridge 0.3), LDA". */
function withoutChoice(name: string): string {
  return name.replace(/ \([^)]*\)/, '');
}

function timesTable(): string {
  const body = folds.map(({ minutes }, fold) => [
    String(fold),
    minutes.toFixed(1),
    ...KINDS.flatMap((kind) => LENGTHS.map((n) => foldCell(kind, `${n}+${n}`, fold))),
  ]);
  const head = ['fold', 'minutes', ...KINDS.flatMap((kind) => LENGTHS.map((n) => `${kind} ${n}+${n}`))];
  return `Training from scratch (${STEPS.network} + ${STEPS.tokens} steps, ${threads} thread), and the model less kernel ridge on LDA, points:\n\n${markdownTable(head, body)}`;
}

function foldCell(kind: string, length: string, fold: number): string {
  const of = (scorer: string) => foldMean(find(kind, length, scorer), fold);
  const [own, other] = [of(MODEL), of('kernel ridge, LDA')];
  return `${percent(own)} (${signed(own - other)})`;
}

function find(kind: string, length: string, scorer: string): Outcome {
  return outcomes.find((one) => one.kind === kind && one.length === length && one.scorer === scorer)!;
}

function foldMean({ pairwise }: Outcome, fold: number): number {
  const own = pairwise.slice(fold * count, (fold + 1) * count);
  return own.reduce((sum, value) => sum + value, 0) / own.length;
}

function kindTable(kind: string, n: number): string {
  const own = rows.filter((row) => row.kind === kind && row.length === `${n}+${n}` && row.subset === 'all');
  const body = own.map(({ scorer, pairwise, difference }: ReportRow) => [
    scorer,
    percent(pairwise.mean),
    difference ? interval(difference) : '',
  ]);
  return `\nPeople of ${kind}, ${n}+${n}, ${own[0]!.people.toLocaleString('en')} people, ${own[0]!.pairs.toLocaleString('en')} pairs of all folds:\n\n${markdownTable(['scorer', 'accuracy', 'model less it ± standard error [95 %]'], body)}`;
}

function interval({ mean, low, high, crossedError }: CrossedInterval): string {
  return `${signed(mean)} ± ${percent(crossedError)} [${signed(low)}, ${signed(high)}]`;
}

function signed(value: number): string {
  return `${value < 0 ? '−' : '+'}${percent(Math.abs(value))}`;
}
