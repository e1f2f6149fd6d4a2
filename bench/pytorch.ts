/**
 * Training steps a second in ONNX Runtime and in PyTorch, one after the other on the same machine: the network of the
 * paper (blocks, preference tokens and head, both losses, clipping, AdamW), 64 people with 16 judgements and a liked and
 * a disliked target behind each. PyTorch is that of `python3`, such as
 * Debian's python3-torch, which needs libopenblas0-pthread beside it: on the reference BLAS it is ten times slower.
 *
 *     npm run bench:pytorch
 *
 * Runs for a minute; ends with 1 where python3 has no torch.
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { openSession, type Tensor } from '../src/inference/session.ts';
import { type Architecture, BASE_ARCHITECTURE } from '../src/model/architecture.ts';
import { initialParameters, parameterLayout } from '../src/model/parameters.ts';
import { trainingGraph } from '../src/model/trainingGraph.ts';
import { Random } from '../src/random.ts';
import { figure, medians } from './support/measure.ts';

const SHAPE = { users: 64, judgements: 16, pairs: 1 };
const THREADS = [1, 2];
const BUDGET_MS = 20_000;
const SCRIPT = fileURLToPath(new URL('./support/torch_step.py', import.meta.url));

const NO_PARTS = {
  ...{ prior: false, metricPath: false, tokenPath: false },
  ...{ cosineTokens: false, tokensInSoftmax: false, evidenceGate: false },
};
const { components: _, ...sizes } = BASE_ARCHITECTURE;
const architecture: Architecture = { ...sizes, parts: NO_PARTS };

let torch: string;
try {
  torch = execFileSync('python3', ['-c', 'import torch; print(torch.__version__)'], { encoding: 'utf8' }).trim();
} catch {
  console.error(
    'python3 has no torch: install it (Debian: apt install python3-torch libopenblas0-pthread), then run this again.',
  );
  process.exit(1);
}

const random = new Random('bench/pytorch');
const layout = parameterLayout(architecture);
const tensor = (data: Float32Array, ...dims: number[]): Tensor => ({ dtype: 'float32', dims, data });
const normals = (...dims: number[]) => {
  const length = dims.reduce((product, dim) => product * dim, 1);
  return tensor(
    Float32Array.from({ length }, () => random.normal()),
    ...dims,
  );
};
const flat = (value: number) => tensor(new Float32Array(layout.size).fill(value), layout.size);
const scalar = (value: number) => tensor(Float32Array.of(value));
const { users, judgements } = SHAPE;
const rows = judgements + 2;
const step = {
  image: normals(users, rows, architecture.imageInputs),
  text: normals(users, rows, architecture.textInputs),
  hasText: tensor(new Float32Array(users * rows).fill(1), users, rows, 1),
  judged: tensor(
    Float32Array.from({ length: users * judgements * 2 }, (_, i) => (i % 4 === 0 || i % 4 === 3 ? 1 : 0)),
    ...[users, judgements, 2],
  ),
  popularity: tensor(new Float32Array(users * 2 * 2), users, 2, 2),
  weights: tensor(initialParameters(architecture, random), layout.size),
  ...{ firstMoment: flat(0), secondMoment: flat(0), rates: flat(1), decay: flat(0.01) },
  ...{ learningRate: scalar(1e-3), correction1: scalar(10), correction2: scalar(1000) },
};
const losses = { base: 1, contrastive: 1, token: 0, information: 0, twins: 0 };

/** A step in a Python process that stays: asked by a line, answered by one. */
function torchStep(threads: number) {
  const python = spawn('python3', [SCRIPT, String(threads)], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: python.stdout });
  python.stdin.write(`${JSON.stringify({ ...sizes, ...SHAPE })}\n`);
  return {
    run: () => {
      const answered = once(lines, 'line');
      python.stdin.write('\n');
      return answered;
    },
    end: () => python.stdin.end(),
  };
}

console.log(`${users} pairs, ${judgements} judgements a history; PyTorch ${torch}`);
const table = [];
for (const threads of THREADS) {
  const ours = await openSession(trainingGraph(architecture, SHAPE, losses), { threads });
  const theirs = torchStep(threads);
  const times = await medians({ ours: () => ours.run(step), theirs: () => theirs.run() }, BUDGET_MS);
  theirs.end();
  await ours.close();
  table.push({
    threads,
    'ONNX Runtime, steps/s': figure(1000 / times.ours),
    'PyTorch, steps/s': figure(1000 / times.theirs),
    ratio: `${(times.theirs / times.ours).toFixed(2)} ×`,
  });
}
console.table(table);
