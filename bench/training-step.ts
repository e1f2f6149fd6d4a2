/**
 * One training step of the base architecture, 64 liked–disliked pairs, at 1 and 2 threads, beside the machine's matrix
 * peak and beside the same pairs with a history copied to every target.
 *
 *     npm run bench:training-step
 *
 * Runs for less than a minute. The two steps are those of the two phases. "Gradient alone" is forward and backward
 * without the optimiser, which is where sharing a history counts: 64 people with two targets behind one history, or
 * 128 with one target behind a copy of their own.
 */
import { openSession, type Session, type Tensor, type Tensors } from '../src/inference/session.ts';
import { type Architecture, BASE_ARCHITECTURE } from '../src/model/architecture.ts';
import { baseLoss, contrastiveLoss, itemTower } from '../src/model/network.ts';
import { initialParameters, parameterLayout, trainableParameters } from '../src/model/parameters.ts';
import { batchInputs, fullForward, trainingGraph } from '../src/model/trainingGraph.ts';
import { add, concat, Graph, gradients, linear, productOf, reshape, split } from '../src/onnx/index.ts';
import { Random } from '../src/random.ts';
import { phases } from '../src/training/base/recipe.ts';
import { figure, medians } from './support/measure.ts';
import { normalsOf, tensor } from './support/tensors.ts';

const PAIRS = 64;
const JUDGEMENTS = 16;
const THREADS = [1, 2];
const PEAK_SIZE = 2048;
const BUDGET_MS = 12_000;
const PEAK_BUDGET_MS = 3_000;

const random = new Random('bench/training-step');
const layout = parameterLayout(BASE_ARCHITECTURE);
const normals = normalsOf(random);
const flat = (value: number): Tensor => tensor(new Float32Array(layout.size).fill(value), layout.size);
const scalar = (value: number): Tensor => tensor(Float32Array.of(value));
const weights = tensor(initialParameters(BASE_ARCHITECTURE, random), layout.size);

/** One person's share of a batch: judgements and targets. */
interface Rows {
  readonly users: number;
  readonly targets: number;
}
const SHARED: Rows = { users: PAIRS, targets: 2 };
const COPIED: Rows = { users: 2 * PAIRS, targets: 1 };
const shapeOf = ({ users, targets }: Rows) => ({ users, judgements: JUDGEMENTS, pairs: targets / 2 });

function batch({ users, targets }: Rows): Tensors {
  const { imageInputs, textInputs } = BASE_ARCHITECTURE;
  const rows = JUDGEMENTS + targets;
  const judged = Float32Array.from({ length: users * JUDGEMENTS * 2 }, (_, i) => (i % 4 === 0 || i % 4 === 3 ? 1 : 0));
  return {
    image: normals(users, rows, imageInputs),
    text: normals(users, rows, textInputs),
    hasText: tensor(new Float32Array(users * rows).fill(1), users, rows, 1),
    judged: tensor(judged, users, JUDGEMENTS, 2),
    popularity: tensor(new Float32Array(users * targets * 2), users, targets, 2),
  };
}

/** Forward, both losses and the gradient of every parameter. */
function gradientGraph(rows: Rows): Uint8Array {
  const graph = new Graph('gradient');
  const { list, get } = trainableParameters(graph.input('weights', [layout.size]), BASE_ARCHITECTURE);
  const network = { architecture: BASE_ARCHITECTURE, parameters: get };
  const inputs = batchInputs(graph, BASE_ARCHITECTURE, shapeOf(rows));
  const items = itemTower(network, inputs.image, inputs.text, inputs.hasText);
  const { scores } = fullForward(network, shapeOf(rows), items, inputs.judged, inputs.popularity);
  const logits = reshape(scores.logits, [PAIRS, 2, 2]);
  const [liked, disliked] = split(logits, 1, [1, 1]);
  const loss = add(baseLoss(liked!, disliked!), contrastiveLoss(liked!, disliked!));
  const parts = gradients(loss, list, { unused: 'zero' }).map((part) => reshape(part, [productOf(part.shape)]));
  graph.output('gradient', concat(parts, 0));
  return graph.toBytes();
}

/** Multiplications and additions of the matrix products of a step: forward once, backward twice but for the inputs. */
function flopsOfStep(a: Architecture, { users, targets }: Rows): number {
  const tower = (rows: number) =>
    2 * rows * (a.imageInputs * (a.width + a.imageMetric) + a.textInputs * (a.width + a.textMetric));
  const block = (rows: number, keys: number) =>
    2 * rows * a.width * (4 * a.width + 2 * a.hidden) + 4 * rows * a.width * (keys + a.tokens);
  const history = (a.layers - 1) * block(JUDGEMENTS, JUDGEMENTS) + 2 * JUDGEMENTS * a.width * 3 * a.width; // keys and values only
  const asking = a.layers * block(targets + 1, JUDGEMENTS + 1); // targets, and the probe
  const items = tower(JUDGEMENTS + targets);
  return users * (3 * (items + history + asking) - items);
}

function peakGraph(): Uint8Array {
  const graph = new Graph('peak');
  const [a, b] = ['a', 'b'].map((name) => graph.input(name, [PEAK_SIZE, PEAK_SIZE]));
  graph.output('product', linear(a!, b!));
  return graph.toBytes();
}

const moments = { firstMoment: flat(0), secondMoment: flat(0) };
const optimiser = { rates: flat(1), decay: flat(0.01), learningRate: scalar(1e-3), correction1: scalar(10) };
const step = { ...batch(SHARED), ...moments, ...optimiser, correction2: scalar(1000), weights };
const shared = { ...batch(SHARED), weights };
const copied = { ...batch(COPIED), weights };
const square = { a: normals(PEAK_SIZE, PEAK_SIZE), b: normals(PEAK_SIZE, PEAK_SIZE) };

console.log(`${layout.size.toLocaleString('en')} parameters, ${PAIRS} pairs, ${JUDGEMENTS} judgements a history`);
const rows: Record<string, string | number>[] = [];
for (const threads of THREADS) {
  const opened: Session[] = [];
  const open = async (model: Uint8Array): Promise<Session> => {
    opened.push(await openSession(model, { threads }));
    return opened.at(-1)!;
  };
  const matrices = await open(peakGraph());
  const { peak } = await medians({ peak: () => matrices.run(square) }, PEAK_BUDGET_MS);
  const peakRate = (2 * PEAK_SIZE ** 3) / peak / 1e6;

  const steps = await Promise.all(
    phases({ network: 1, tokens: 1 }).map(({ losses }) =>
      open(trainingGraph(BASE_ARCHITECTURE, shapeOf(SHARED), losses)),
    ),
  );
  const [one, other] = [await open(gradientGraph(SHARED)), await open(gradientGraph(COPIED))];
  const times = await medians(
    {
      'step, phase 1': () => steps[0]!.run(step),
      'step, phase 2': () => steps[1]!.run(step),
      'gradient alone, history shared': () => one.run(shared),
      'gradient alone, history copied': () => other.run(copied),
    },
    BUDGET_MS,
  );
  rows.push({ what: `matrix product of ${PEAK_SIZE}³`, threads, ms: figure(peak), 'GFLOP/s': figure(peakRate) });
  for (const [what, ms] of Object.entries(times)) {
    const counted = !what.includes('phase 2'); // whose second half reads each history twice more
    const rate = flopsOfStep(BASE_ARCHITECTURE, what.includes('copied') ? COPIED : SHARED) / ms / 1e6;
    rows.push({
      what,
      threads,
      ms: figure(ms),
      'GFLOP/s': counted ? figure(rate) : '',
      'of peak': counted ? `${Math.round((100 * rate) / peakRate)} %` : '',
      'against shared': what.startsWith('gradient')
        ? `${(ms / times['gradient alone, history shared']).toFixed(2)} ×`
        : '',
    });
  }
  await Promise.all(opened.map((session) => session.close()));
}
console.table(rows);
