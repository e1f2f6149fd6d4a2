/**
 * Encoding, scoring and training on each execution provider that this machine has, beside the processor, over batch
 * sizes from 1 to 256: where a GPU begins to pay.
 *
 *     npm run bench:gpu
 *     npm run bench:gpu -- --only score,train --sizes 1,8
 *     npm run bench:gpu -- --software --only items --sizes 1
 *
 * Runs for some three minutes. A run is one call of the engine, from tensors to tensors; pictures are decoded already.
 * The first two of each are not counted: a GPU's programs are compiled in them. `--software` takes SwiftShader, a Vulkan
 * driver that computes on the processor: it shows that the bench works, and nothing of a GPU.
 */
import { spawnSync } from 'node:child_process';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import {
  loadTextEncoder,
  readManifest,
  SHIPPED_IMAGE_ENCODER,
  SHIPPED_TEXT_ENCODER,
} from '../src/inference/encoding/index.ts';
import { type Judgement, PreferenceModel, SHIPPED_MODEL } from '../src/inference/preferenceModel.ts';
import { tryProvider } from '../src/inference/providerChoice.ts';
import { type ExecutionProvider, openSession, type Tensors } from '../src/inference/session.ts';
import { SessionHost } from '../src/inference/sessionHost.ts';
import { BASE_ARCHITECTURE } from '../src/model/architecture.ts';
import { initialParameters, parameterLayout } from '../src/model/parameters.ts';
import { trainingGraph } from '../src/model/trainingGraph.ts';
import { Random } from '../src/random.ts';
import { phases } from '../src/training/base/recipe.ts';
import { unpackSwiftShader } from '../tests/support/swiftShader.ts';
import { figure, medians } from './support/measure.ts';
import { normalsOf, tensor } from './support/tensors.ts';

const SIZES = [1, 4, 16, 64, 256];
const JUDGEMENTS = 16;
const BUDGET_MS = 1_500;
/** 256 pictures take a processor seconds. */
const FEWEST_ROUNDS = 3;

/** What runs a workload. */
interface Runner {
  readonly name: string;
  readonly provider: ExecutionProvider;
  readonly threads: number;
}

/** Opens what it runs, for one batch size; `run` is what the clock counts. */
interface Workload {
  readonly what: string;
  open(runner: Runner, size: number): Promise<{ run(): Promise<unknown>; close(): Promise<void> }>;
}

const { values: options } = parseArgs({
  options: { software: { type: 'boolean' }, sizes: { type: 'string' }, only: { type: 'string' } },
});
if (options.software && !process.env['VK_DRIVER_FILES']) await runOnSwiftShader();

const random = new Random('bench/gpu');
const normals = normalsOf(random);

const runners = await findRunners();
const sizes = options.sizes?.split(',').map(Number) ?? SIZES;
const workloads: Readonly<Record<string, Workload>> = {
  images: { what: 'pictures encoded', open: openImages },
  prompts: { what: 'prompts encoded', open: openPrompts },
  items: { what: 'item vectors', open: openItems },
  states: { what: 'states of people with 16 judgements', open: openStates },
  score: { what: 'candidates of one person scored', open: openScores },
  train: { what: 'people in one training step, a pair each', open: openTraining },
};
for (const name of options.only?.split(',') ?? Object.keys(workloads)) {
  const workload = workloads[name];
  if (!workload) throw new Error(`--only takes ${Object.keys(workloads).join(', ')}, comma between; not ${name}.`);
  console.log(`\n${workload.what}, milliseconds a run`);
  const rows: Record<string, string | number>[] = [];
  for (const size of sizes) rows.push(await measure(workload, size));
  console.table(rows);
}

/** A row: each runner's time for one batch size, and each GPU's beside the best of the processor. */
async function measure({ open }: Workload, size: number): Promise<Record<string, string | number>> {
  const opened = await Promise.all(runners.map((runner) => open(runner, size)));
  const ms = await medians(
    Object.fromEntries(runners.map(({ name }, i) => [name, () => opened[i]!.run()])),
    BUDGET_MS,
    FEWEST_ROUNDS,
  );
  for (const { close } of opened) await close();
  const ofProcessor = runners.filter(({ provider }) => provider === 'cpu').map(({ name }) => ms[name]!);
  const row: Record<string, string | number> = { batch: size };
  for (const { name, provider } of runners) {
    row[name] = figure(ms[name]!);
    if (provider === 'cpu') continue;
    row[`${name}, a second`] = figure((1000 * size) / ms[name]!);
    row[`${name} against cpu`] = `${(Math.min(...ofProcessor) / ms[name]!).toFixed(2)} ×`;
  }
  return row;
}

/** The processor with one thread and with all, and what GPU there is; ends the process where there is none. */
async function findRunners(): Promise<Runner[]> {
  const gpus: Runner[] = [];
  for (const provider of ['cuda', 'webgpu'] as const) {
    const { why, environment } = await tryProvider(provider, process.env, { named: options.software === true });
    Object.assign(process.env, environment);
    if (why === null) gpus.push({ name: provider, provider, threads: 1 });
    else console.log(`${provider}: ${why}`);
  }
  if (gpus.length === 0) {
    console.log('no GPU provider here');
    process.exit();
  }
  const cores = cpus();
  console.log(`${cores.length} × ${cores[0]!.model}${options.software ? ', WebGPU on SwiftShader' : ''}`);
  const threads = [...new Set([1, cores.length])];
  return [
    ...threads.map((n): Runner => ({ name: `cpu, ${n} thread${n > 1 ? 's' : ''}`, provider: 'cpu', threads: n })),
    ...gpus,
  ];
}

async function openImages({ provider, threads }: Runner, size: number) {
  const { model, input, output } = await readManifest(SHIPPED_IMAGE_ENCODER, 'image');
  const session = await openSession(join(SHIPPED_IMAGE_ENCODER, model.file), { provider, threads, worker: true });
  const feeds = { [input.name]: normals(size, 3, input.crop.height, input.crop.width) };
  return { run: () => session.run(feeds, [output.name]), close: () => session.close() };
}

async function openPrompts({ provider, threads }: Runner, size: number) {
  const encoder = await loadTextEncoder(SHIPPED_TEXT_ENCODER, { provider, threads });
  const prompts = Array.from(
    { length: size },
    (_, i) => `a portrait of a woman, painting number ${i}, oil, highly detailed`,
  );
  return { run: () => encoder.encode(prompts), close: () => encoder.close() };
}

async function openModel({ provider, threads }: Runner) {
  const host = new SessionHost({ provider, threads });
  const model = await PreferenceModel.load(SHIPPED_MODEL, host);
  const { image, text } = model.artifact.transforms;
  const encoded = (count: number) =>
    Array.from({ length: count }, () => ({
      image: normals(image.mean.length).data as Float32Array,
      text: normals(text.mean.length).data as Float32Array,
    }));
  return { model, encoded, close: () => host.close() };
}

async function openItems(runner: Runner, size: number) {
  const { model, encoded, close } = await openModel(runner);
  const items = encoded(size);
  return { run: () => model.itemVectors(items), close };
}

async function openStates(runner: Runner, size: number) {
  const { model, encoded, close } = await openModel(runner);
  const items = await model.itemVectors(encoded(4 * JUDGEMENTS));
  const histories = Array.from({ length: size }, () => historyOf(random.choose(items, JUDGEMENTS)));
  return { run: () => model.userStates(histories), close };
}

async function openScores(runner: Runner, size: number) {
  const { model, encoded, close } = await openModel(runner);
  const items = await model.itemVectors(encoded(Math.max(size, JUDGEMENTS)));
  const [state] = await model.userStates([historyOf(items.slice(0, JUDGEMENTS))]);
  const request = { state: state!, targets: items.slice(0, size) };
  return { run: () => model.score([request], { attention: false }), close };
}

function historyOf(items: readonly Uint16Array[]): Judgement[] {
  return items.map((item, i) => ({ item, sentiment: i % 2 ? 'DISLIKE' : 'LIKE', weight: 1 }));
}

async function openTraining({ provider, threads }: Runner, users: number) {
  const shape = { users, judgements: JUDGEMENTS, pairs: 1 };
  const { losses } = phases({ network: 1, tokens: 1 })[0]!;
  const session = await openSession(trainingGraph(BASE_ARCHITECTURE, shape, losses), {
    provider,
    threads,
    worker: true,
  });
  const feeds = stepFeeds(users);
  return { run: () => session.run(feeds), close: () => session.close() };
}

function stepFeeds(users: number): Tensors {
  const { size } = parameterLayout(BASE_ARCHITECTURE);
  const { imageInputs, textInputs } = BASE_ARCHITECTURE;
  const rows = JUDGEMENTS + 2;
  const flat = (value: number) => tensor(new Float32Array(size).fill(value), size);
  const scalar = (value: number) => tensor(Float32Array.of(value));
  const judged = Float32Array.from({ length: users * JUDGEMENTS * 2 }, (_, i) => (i % 4 === 0 || i % 4 === 3 ? 1 : 0));
  return {
    image: normals(users, rows, imageInputs),
    text: normals(users, rows, textInputs),
    hasText: tensor(new Float32Array(users * rows).fill(1), users, rows, 1),
    judged: tensor(judged, users, JUDGEMENTS, 2),
    popularity: tensor(new Float32Array(users * 4), users, 2, 2),
    weights: tensor(initialParameters(BASE_ARCHITECTURE, random), size),
    ...{ firstMoment: flat(0), secondMoment: flat(0), rates: flat(1), decay: flat(0.01) },
    ...{ learningRate: scalar(1e-3), correction1: scalar(10), correction2: scalar(1000) },
  };
}

/** This bench once more, with the driver that a process finds only when it starts. */
async function runOnSwiftShader(): Promise<never> {
  const driver = await unpackSwiftShader();
  const args = [...process.execArgv, fileURLToPath(import.meta.url), ...process.argv.slice(2)];
  const { status } = spawnSync(process.execPath, args, {
    stdio: 'inherit',
    env: { ...process.env, ...driver.environment },
  });
  await driver.remove();
  process.exit(status ?? 1);
}
