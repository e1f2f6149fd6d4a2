/**
 * What each part of the method is worth: the paper's network and Palate's model, trained part by part on the same
 * simulated people, five seeds each, measured on artists and tags that none of them met. With pictures that you bring:
 *
 *     npx tsx bench/ablations.ts --images DIR --metadata FILE [--seeds 5] [--steps 200] [--people 600] [--out docs/ablations.md]
 *
 * FILE is a list of {file, artist, categories}, `file` relative to DIR. Every variant takes twice --steps steps, each half
 * kept only where it did better on validation artists than what it began from, and is matched in parameters: without tokens, the feed-forward layers are
 * as much wider. A pair's result is its mean over the seeds; intervals are over people × artists. Some 40 minutes on two
 * cores; the page is written after each seed. Writes the page to --out, or prints it.
 */
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { PreferenceModel } from '../src/inference/preferenceModel.ts';
import { ALL_PARTS, type Architecture, BASE_ARCHITECTURE } from '../src/model/architecture.ts';
import type { ModelArtifact } from '../src/model/artifact.ts';
import { parameterSpecs } from '../src/model/parameters.ts';
import type { LossWeights } from '../src/model/trainingGraph.ts';
import { Random } from '../src/random.ts';
import { BaseTraining } from '../src/training/base/baseModel.ts';
import { type BaseModel, type BaseModelInput, closedForm, fitClosedForm } from '../src/training/base/closedForm.ts';
import { type BasePhase, phases } from '../src/training/base/recipe.ts';
import { type EvaluationSet, evaluate, type Outcome, personMeans } from '../src/training/evaluation/evaluation.ts';
import { readTokens } from '../src/training/evaluation/modelMeasures.ts';
import { modelScorer } from '../src/training/evaluation/modelScorer.ts';
import { type ReportRow, summarise } from '../src/training/evaluation/report.ts';
import { markdownTable, percent } from '../src/training/evaluation/reportTables.ts';
import { buildEvaluationSet } from '../src/training/evaluation/simulatedSet.ts';
import { type TokenReport, tokenReport } from '../src/training/evaluation/tokenReport.ts';
import { type Matrix, matrix } from '../src/training/fitting/linearAlgebra.ts';
import { itemVectorsOf } from '../src/training/itemVectors.ts';
import { type Kind, plantGroups, SimulatedPeople } from '../src/training/simulation/people.ts';
import type { Task } from '../src/training/tasks.ts';
import { loadPictures } from './support/pictures.ts';

const SPLIT_SEED = 1;
const KINDS: readonly Kind[] = ['tags', 'artists', 'mixture', 'direction'];
const LENGTH = 8;
const GROUPS = 6;
const GROUP_PEOPLE = 240;
const EVERYBODY = 'everybody';

const { values } = parseArgs({
  options: {
    images: { type: 'string' },
    metadata: { type: 'string' },
    seeds: { type: 'string', default: '5' },
    steps: { type: 'string', default: '200' },
    people: { type: 'string', default: '600' },
    out: { type: 'string' },
  },
});
const steps = Number(values.steps);

interface Variant {
  readonly name: string;
  /** The variant that it is held against. */
  readonly against: string | null;
  readonly architecture: Architecture;
  /** One after the other; one that an earlier variant of the seed took from the same start is not taken again. */
  readonly phases: readonly { readonly phase: BasePhase; readonly architecture?: Architecture }[];
  /** Its profiles are looked at. */
  readonly tokens: boolean;
}

const NONE: LossWeights = { base: 0, contrastive: 0, token: 0, information: 0, twins: 0 };
const BASE: LossWeights = { ...NONE, base: 1 };
const BOTH: LossWeights = { ...BASE, contrastive: 1 };

const isToken = (name: string) => /^tokens$|\.token(Keys|Values)$/.test(name);
const phase = (name: string, losses: LossWeights, rate: BasePhase['rate'], times = 1): BasePhase => ({
  ...{ name, losses, rate, steps: times * steps, learningRate: 1e-3 },
  ...{ patience: 100, profiles: false, measureEvery: steps },
});
const network = (losses: LossWeights) => phase('network', losses, (name) => (isToken(name) ? 0 : 1));
const together = (losses: LossWeights, times = 1) => phase('network and tokens', losses, () => 1, times);
const tokensAlone = (losses: LossWeights) => phase('tokens', losses, (name) => (isToken(name) ? 1 : 0));

const { components: _, ...sizes } = BASE_ARCHITECTURE;
const NO_PARTS = {
  ...ALL_PARTS,
  prior: false,
  metricPath: false,
  tokenPath: false,
  cosineTokens: false,
  evidenceGate: false,
};
const countOf = (architecture: Architecture, of: (name: string) => boolean) =>
  parameterSpecs(architecture)
    .filter(({ name }) => of(name))
    .reduce((sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1), 0);

/** As many parameters without tokens as with ten. */
function withoutTokens(architecture: Architecture): Architecture {
  const perUnit = architecture.layers * (2 * architecture.width + 1);
  return { ...architecture, hidden: architecture.hidden + Math.round(countOf(architecture, isToken) / perUnit) };
}

function paperVariants(): Variant[] {
  const paper = (tokens: number): Architecture => ({ ...sizes, tokens, parts: NO_PARTS });
  const plain = withoutTokens(paper(10));
  const oneSoftmax = { ...paper(10), parts: { ...NO_PARTS, tokensInSoftmax: true } };
  const twoPhases = (tokens: number, second = together(BOTH), architecture = paper(tokens)) => ({
    architecture: paper(tokens),
    phases: [{ phase: network(BOTH) }, { phase: second, architecture }],
    tokens: true,
  });
  const [contrastive, tokens] = ['+ contrastive loss', '+ 10 tokens: extra term, two phases, jointly'];
  return [
    {
      name: 'base loss',
      against: null,
      architecture: plain,
      phases: Array(2).fill({ phase: network(BASE) }),
      tokens: false,
    },
    {
      name: contrastive,
      against: 'base loss',
      architecture: plain,
      phases: Array(2).fill({ phase: network(BOTH) }),
      tokens: false,
    },
    { name: tokens, against: contrastive, ...twoPhases(10) },
    { name: '5 tokens', against: tokens, ...twoPhases(5) },
    { name: '20 tokens', against: tokens, ...twoPhases(20) },
    {
      name: 'one phase',
      against: tokens,
      architecture: paper(10),
      phases: [{ phase: together(BOTH, 2) }],
      tokens: true,
    },
    { name: 'tokens in the same softmax', against: tokens, ...twoPhases(10, together(BOTH), oneSoftmax) },
    { name: 'tokens trained alone', against: tokens, ...twoPhases(10, tokensAlone(BOTH)) },
  ];
}

function palateVariants(): Variant[] {
  const [first, second] = phases({ network: steps, tokens: steps });
  const of = (phase: BasePhase, losses: LossWeights): BasePhase => ({ ...phase, losses, measureEvery: steps });
  const plain = (losses: LossWeights) => Array(2).fill({ phase: of(first, losses) });
  const architecture = BASE_ARCHITECTURE;
  return [
    { name: 'closed form, untrained', against: null, architecture, phases: [], tokens: true },
    { name: 'base loss', against: 'closed form, untrained', architecture, phases: plain(BASE), tokens: false },
    { name: '+ contrastive loss', against: 'base loss', architecture, phases: plain(BOTH), tokens: false },
    {
      ...{ name: '+ tokens, all five losses', against: '+ contrastive loss', architecture },
      ...{ phases: [{ phase: of(first, BOTH) }, { phase: of(second, second.losses) }], tokens: true },
    },
  ];
}

const { pictures, split, features, z } = await loadPictures(values, SPLIT_SEED);
const random = new Random('bench/ablations');
const people = new SimulatedPeople({
  pictures,
  split,
  z,
  groups: plantGroups(random.split('groups'), GROUPS, z.columns),
});
const fit = fitClosedForm(inputOf(1));
const layouts = new Map<string, Outcome['layout']>();
const measured = measuredSet();
const grouped = Array.from({ length: GROUP_PEOPLE }, (_, i) =>
  people.sampleTask(random.split('grouped').split(i), 'group', 'test', {
    likes: 8,
    dislikes: 8,
    likedTargets: 1,
    dislikedTargets: 1,
  }),
);
const blocks = [
  { title: 'The network of the paper', variants: paperVariants(), results: new Map<string, Measured[]>() },
  { title: 'Palate’s model', variants: palateVariants(), results: new Map<string, Measured[]>() },
];
for (let seed = 1; seed <= Number(values.seeds); seed++) {
  // Side by side: a step runs in a thread of its own.
  await Promise.all(blocks.map((block) => runSeed(block, seed)));
  const page = blocks.map(({ title, variants, results }) => blockPage(title, variants, results)).join('\n');
  const text = `${intro(seed)}\n${page}`;
  if (values.out) await writeFile(values.out, text);
  else if (seed === Number(values.seeds)) process.stdout.write(text);
}

/** People of each kind, and all of them together. */
function measuredSet(): EvaluationSet {
  const options = { part: 'test', kinds: KINDS, count: Number(values.people), lengths: [LENGTH] } as const;
  const set = buildEvaluationSet(people, random.split('people'), options);
  const all = [...set.people.values()].flat() as Task[];
  return { ...set, people: new Map([...set.people, [EVERYBODY, all]]) };
}

interface Measured {
  readonly outcomes: readonly Outcome[];
  readonly tokens: TokenReport | null;
}

async function runSeed({ title, variants, results }: (typeof blocks)[number], seed: number): Promise<void> {
  const known = new Map<string, Float32Array>();
  for (const variant of variants) {
    const found = await measure(variant, await trainVariant(variant, seed, known));
    results.set(variant.name, [...(results.get(variant.name) ?? []), found]);
    const accuracy = meanOf(found.outcomes.find(({ kind }) => kind === EVERYBODY)!.pairwise);
    process.stderr.write(`${title}, seed ${seed}, ${variant.name}: ${percent(accuracy)} %\n`);
  }
}

async function trainVariant(variant: Variant, seed: number, known: Map<string, Float32Array>): Promise<ModelArtifact> {
  const input = { ...inputOf(seed), about: { name: variant.name, description: '', licence: '', training: {} } };
  const start: BaseModel = closedForm(input, variant.architecture, fit);
  const training = new BaseTraining(input, start);
  let { parameters } = start.artifact;
  let taken = JSON.stringify(variant.architecture);
  for (const { phase, architecture } of variant.phases) {
    taken += JSON.stringify([
      phase,
      parameterSpecs(variant.architecture).map(({ name }) => phase.rate(name)),
      architecture,
    ]);
    const reached = known.get(taken) ?? (await training.run(phase, parameters, architecture));
    known.set(taken, reached);
    parameters = reached;
  }
  const architecture = variant.phases.at(-1)?.architecture ?? variant.architecture;
  return { ...start.artifact, parameters, manifest: { ...start.artifact.manifest, architecture } };
}

async function measure({ name, tokens }: Variant, artifact: ModelArtifact): Promise<Measured> {
  const model = await PreferenceModel.open(artifact);
  const vectors = await itemVectorsOf(model, features);
  const outcomes = await evaluate(measured, [modelScorer(name, model, vectors)]);
  const report = tokens ? tokenReport(await readTokens(model, vectors, grouped), new Random('clusters')) : null;
  await model.close();
  return { outcomes, tokens: report };
}

function inputOf(seed: number): BaseModelInput {
  const nobody = '0'.repeat(64);
  return {
    ...{ pictures, features, promptEmbeddings: noPrompts(), encoders: { image: nobody, text: nobody } },
    ...{ seed: SPLIT_SEED, trainingSeed: seed, steps: { network: steps, tokens: steps } },
    about: { name: '', description: '', licence: '', training: {} },
  };
}

/** People of prompts read none here: pictures alone are measured. */
function noPrompts(): Matrix {
  const drawn = new Random('prompts');
  const columns = 384;
  return matrix(
    600,
    columns,
    Array.from({ length: 600 * columns }, () => drawn.normal()),
  );
}

function blockPage(
  title: string,
  variants: readonly Variant[],
  results: ReadonlyMap<string, readonly Measured[]>,
): string {
  const averaged = variants.flatMap(({ name }) => averageOverSeeds(results.get(name)!.map(({ outcomes }) => outcomes)));
  const rowsAgainst = (reference: string): ReportRow[] =>
    summarise(averaged, { reference, random: random.split('draws') });
  const rows = rowsAgainst('');
  const body = variants.map(({ name, against, architecture, tokens }) => {
    const of = (kind: string) => percent(rows.find((row) => row.scorer === name && row.kind === kind)!.pairwise.mean);
    /** This variant less the one named: a row's difference is the reference less the scorer. */
    const difference = (kind: string) => {
      if (against === null) return null;
      const { mean, low, high } = rowsAgainst(against).find((row) => row.scorer === name && row.kind === kind)!
        .difference!;
      return { mean: -mean, low: -high, high: -low };
    };
    const all = difference(EVERYBODY);
    const signed = (value: number) => `${value < 0 ? '−' : '+'}${percent(Math.abs(value))}`;
    const seeds = results
      .get(name)!
      .map(({ outcomes }) => meanOf(outcomes.find(({ kind }) => kind === EVERYBODY)!.pairwise));
    const spread = Math.sqrt(
      seeds.reduce((sum, value) => sum + (value - meanOf(seeds)) ** 2, 0) / Math.max(1, seeds.length - 1),
    );
    const reports = results.get(name)!.flatMap(({ tokens: report }) => report ?? []);
    return [
      name,
      trainable(architecture, tokens).toLocaleString('en'),
      ...KINDS.map(of),
      `${of(EVERYBODY)} ± ${percent(spread)}`,
      all ? `${signed(all.mean)} [${signed(all.low)}, ${signed(all.high)}]` : '',
      reports.length ? meanOf(reports.map(({ groups }) => groups!.ofProfiles.all)).toFixed(2) : '',
      reports.length ? meanOf(reports.map(({ use }) => use.effective)).toFixed(1) : '',
    ];
  });
  const head = [
    'variant',
    'parameters',
    ...KINDS,
    'all ± over seeds',
    'all, less the variant named',
    'ARI of profiles',
    'tokens in use',
  ];
  const named = variants.flatMap(({ name, against }) =>
    against === null ? [] : [`- *${name}* is held against *${against}*`],
  );
  return `## ${title}\n\n${markdownTable(head, body)}\n${named.join('\n')}\n`;
}

/** Parameters that a variant's score depends on. */
function trainable(architecture: Architecture, tokens: boolean): number {
  const { parts } = architecture;
  return countOf(
    architecture,
    (name) =>
      !(isToken(name) && !tokens) &&
      !(name.startsWith('prior.') || /missing|^item\.text|^metric\.text|metricPath\.text/.test(name)) &&
      !(/^metric/.test(name) && !parts.metricPath) &&
      !(/^tokenPath|^probe/.test(name) && (!parts.tokenPath || !tokens)),
  );
}

/** One outcome a kind: of each pair the mean of its results over the seeds. */
function averageOverSeeds(seeds: readonly (readonly Outcome[])[]): Outcome[] {
  return seeds[0]!.map((outcome, i) => {
    const average = <Numbers extends Float32Array>(of: (outcome: Outcome) => Numbers) =>
      of(outcome).map((_, pair) => meanOf(seeds.map((outcomes) => of(outcomes[i]!)[pair]!)));
    const won = average((one) => one.won) as Float32Array<ArrayBuffer>;
    const top = ([0, 1, 2] as const).map((k) => average((one) => one.top[k])) as unknown as Outcome['top'];
    return { ...outcome, layout: layoutOf(outcome), won, top, pairwise: personMeans(layoutOf(outcome), won) };
  });
}

/** The same object for the same people, whichever variant was measured on them. */
function layoutOf({ kind, layout }: Outcome): Outcome['layout'] {
  if (!layouts.has(kind)) layouts.set(kind, layout);
  return layouts.get(kind)!;
}

function meanOf(numbers: ArrayLike<number>): number {
  return Array.from(numbers).reduce((sum, value) => sum + value, 0) / numbers.length;
}

function intro(seeds: number): string {
  return `# Ablations

What each part of the method is worth, made by one command:

    npx tsx bench/ablations.ts --images DIR --metadata FILE --seeds ${values.seeds} --steps ${steps} --people ${values.people} --out docs/ablations.md

${values.people} simulated people of each of four kinds, 8 likes and 8 dislikes, over artists and tags that training never met; ${seeds} training seeds over one split, ${2 * steps} steps each, each half of them kept only where it did better on validation artists than what it began from. Pairwise accuracy in per cent; a pair's result is its mean over the seeds, intervals are 95 % over people × artists, paired. "± over seeds" is the standard deviation of one seed's figure. *ARI of profiles*: adjusted Rand index of k-means clusters of profiles with six planted groups (0 is chance). *Tokens in use*: exp of the entropy of the mean attention.
`;
}
