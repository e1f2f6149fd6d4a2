/**
 * A process of its own that encodes, scores and trains on the processor and on WebGPU, and prints what came of both as
 * JSON: a driver is found by what a process is started with, and one that crashes must not take the tests with it.
 */
import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { fromHalfFloats } from '../../src/halfFloats.ts';
import { loadImageEncoder } from '../../src/inference/encoding/index.ts';
import { type Judgement, PreferenceModel } from '../../src/inference/preferenceModel.ts';
import type { ExecutionProvider, Tensor, Tensors } from '../../src/inference/session.ts';
import { SessionHost } from '../../src/inference/sessionHost.ts';
import { Graph, linear, reshape } from '../../src/onnx/index.ts';
import { Random } from '../../src/random.ts';
import { type StepReport, trainPhase } from '../../src/training/trainer.ts';
import { encodedItems, SMALL_ARCHITECTURE, smallArtifact } from './model.ts';

/** Numbers by name; those of a state, a score or a step each under its own. */
export type Outcome = Readonly<Record<string, readonly number[]>>;
export type Trial = Readonly<Record<'cpu' | 'webgpu', Outcome>>;

/** Each size another program of the driver's, which takes most of the time: few sizes, and small. */
const ARCHITECTURE = {
  ...SMALL_ARCHITECTURE,
  ...{ imageInputs: 6, textInputs: 6, width: 6, imageMetric: 6, textMetric: 6, hidden: 6, tokens: 6 },
};
const ARTIFACT = smallArtifact({ architecture: ARCHITECTURE });
const SHAPE = { users: 2, judgements: ARCHITECTURE.history, pairs: 1 };
const PHASE = {
  name: 'trial',
  steps: 1,
  learningRate: 0.01,
  losses: { base: 1, contrastive: 1, token: 1, information: 1, twins: 1 },
  rate: () => 1,
  patience: 1,
};

const trial: Trial = { cpu: await run('cpu'), webgpu: await run('webgpu') };
process.stdout.write(JSON.stringify(trial));

/** All at once, from hosts of their own: WebGPU ends the process where two threads use it. */
async function run(provider: ExecutionProvider): Promise<Outcome> {
  const parts = await Promise.all([serve(provider), encode(provider), train(provider)]);
  return Object.assign({}, ...parts);
}

async function serve(provider: ExecutionProvider): Promise<Outcome> {
  const host = new SessionHost({ provider });
  const model = await PreferenceModel.open(ARTIFACT, host);
  const items = await model.itemVectors(encodedItems('webgpu', 5));
  const judged = items
    .slice(0, 3)
    .map((item, i): Judgement => ({ item, sentiment: i % 2 ? 'DISLIKE' : 'LIKE', weight: 1 }));
  const states = await model.userStates([judged, []]);
  const scores = await model.score(states.map((state) => ({ state, targets: items })));
  await host.close();
  const targets = scores.flat();
  return {
    'item vectors': items.flatMap((item) => [...fromHalfFloats(item)]),
    'keys and values': states.flatMap(({ keysValues }) => [...keysValues]),
    profiles: states.flatMap(({ profile }) => [...(profile ?? [])]),
    logits: targets.flatMap(({ like, dislike }) => [like, dislike]),
    'attention to tokens': targets.flatMap(({ tokenAttention }) => [...tokenAttention]),
    'attention to history': targets.flatMap(({ historyAttention }) => [...historyAttention]),
  };
}

async function encode(provider: ExecutionProvider): Promise<Outcome> {
  const directory = await smallEncoder();
  const encoder = await loadImageEncoder(directory, { provider });
  const embeddings = await encoder.encode(await Promise.all(['#ff8000', '#204060'].map(plainPicture)));
  await encoder.close();
  await rm(directory, { recursive: true });
  return { embeddings: embeddings.flatMap((embedding) => [...embedding]) };
}

function plainPicture(background: string): Promise<Buffer> {
  const plain = sharp({ create: { width: 8, height: 8, channels: 3, background } });
  return plain.png().toBuffer();
}

/** An encoder of one's own: the folder of a linear one that reads 4 × 4 pixels. */
async function smallEncoder(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'palate-webgpu-'));
  const [side, dimensions] = [4, 6];
  const inputs = 3 * side * side;
  const graph = new Graph('small encoder');
  const pixels = reshape(graph.input('pixels', ['images', 3, side, side]), ['images', inputs]);
  const random = new Random('small encoder');
  const weights = Float32Array.from({ length: inputs * dimensions }, () => random.normal());
  graph.output('embedding', linear(pixels, graph.constant('weights', [inputs, dimensions], weights)));
  const model = graph.toBytes();
  await writeFile(join(directory, 'model.onnx'), model);
  const manifest = {
    ...{ name: 'small', kind: 'image', description: 'Drawn.', licence: 'MIT', source: { url: 'https://example.org' } },
    model: { file: 'model.onnx', sha256: createHash('sha256').update(model).digest('hex') },
    input: {
      ...{ name: 'pixels', layout: 'NCHW', channels: 'RGB', resize: { shortestEdge: side } },
      ...{ crop: { width: side, height: side }, scale: 1 / 255, mean: [0, 0, 0], std: [1, 1, 1] },
    },
    output: { name: 'embedding', dimensions },
  };
  await writeFile(join(directory, 'manifest.json'), JSON.stringify(manifest));
  return directory;
}

/** One step over drawn people: its losses, and what it makes of the weights. */
async function train(provider: ExecutionProvider): Promise<Outcome> {
  const start = ARTIFACT.parameters;
  const steps: StepReport[] = [];
  const { weights } = await trainPhase(start, PHASE, {
    ...{ architecture: ARCHITECTURE, shape: SHAPE, provider, measureEvery: 1, nextBatch: drawnBatch },
    measure: async (found) => ({ accuracy: 0, score: found === start ? 0 : 1 }),
    onStep: (step) => steps.push(step),
  });
  return {
    losses: steps.flatMap(({ base, contrastive, loss }) => [base, contrastive, loss]),
    'gradient norm': steps.map(({ gradientNorm }) => gradientNorm),
    'trained weights': [...weights],
  };
}

function drawnBatch(): Tensors {
  const random = new Random('a batch');
  const { users, judgements, pairs } = SHAPE;
  const tensor = (number: () => number, ...dims: number[]): Tensor => ({
    ...{ dtype: 'float32', dims },
    data: Float32Array.from({ length: dims.reduce((product, dim) => product * dim, 1) }, number),
  });
  const rows = judgements + 2 * pairs;
  let place = 0;
  return {
    image: tensor(() => random.normal(), users, rows, ARCHITECTURE.imageInputs),
    text: tensor(() => random.normal(), users, rows, ARCHITECTURE.textInputs),
    hasText: tensor(() => 1, users, rows, 1),
    judged: tensor(() => ([0, 3].includes(place++ % 4) ? 1 : 0), users, judgements, 2), // liked and disliked in turn
    popularity: tensor(() => 1, users, 2 * pairs, 2),
  };
}
