/**
 * Candidates a second that the shipped model scores on one thread, without database and HTTP: with a person's state
 * computed once, against a model that reads history and candidate together, once a candidate; and many people's
 * requests in one batch, against one after the other.
 *
 *     npm run bench:score
 *
 * Runs for less than a minute. Item vectors are at hand, as they are in service; half of each history is liked.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fromHalfFloats } from '../src/halfFloats.ts';
import { type Judgement, PreferenceModel, SHIPPED_MODEL } from '../src/inference/preferenceModel.ts';
import { openSession, type Tensor, type Tensors } from '../src/inference/session.ts';
import { type Architecture, itemVectorSize } from '../src/model/architecture.ts';
import { decodeModel, parseManifest } from '../src/model/artifact.ts';
import { constantParameters } from '../src/model/parameters.ts';
import { fullForward } from '../src/model/trainingGraph.ts';
import { Graph, split } from '../src/onnx/index.ts';
import { Random } from '../src/random.ts';
import { figure, medians } from './support/measure.ts';

const CANDIDATES = [1, 8, 64, 256];
const PEOPLE = [1, 8, 64];
const CANDIDATES_EACH = 8;
const BUDGET_MS = 4_000;

const manifest = parseManifest(await readFile(join(SHIPPED_MODEL, 'manifest.json'), 'utf8'));
const artifact = decodeModel(manifest, await readFile(join(SHIPPED_MODEL, manifest.weights.file)));
const model = await PreferenceModel.open(artifact);
const { architecture, inputTransforms } = manifest;
const judgements = architecture.history;

const random = new Random('bench/score');
const normals = (length: number) => Float32Array.from({ length }, () => random.normal());
const items = await model.itemVectors(
  Array.from({ length: 512 }, () => ({
    image: normals(inputTransforms.image.inputs),
    text: normals(inputTransforms.text.inputs),
  })),
);
const history = (): Judgement[] =>
  random.choose(items, judgements).map((item, i) => ({ item, sentiment: i % 2 ? 'DISLIKE' : 'LIKE', weight: 1 }));

/** History and one candidate of each row in one pass, from item vectors: nothing is kept between candidates. */
function togetherGraph(a: Architecture, users: number): Uint8Array {
  const graph = new Graph('together');
  const shape = { users, judgements, pairs: 0.5 }; // one target a row
  const rows = graph.input('items', [users, judgements + 1, itemVectorSize(a)]);
  const [embedding, imageMetric, textMetric] = split(rows, -1, [a.width, a.imageMetric, a.textMetric]);
  const network = { architecture: a, parameters: constantParameters(graph, a, artifact.parameters) };
  const parts = { embedding: embedding!, imageMetric: imageMetric!, textMetric: textMetric! };
  const judged = graph.input('judged', [users, judgements, 2]);
  const popularity = graph.input('popularity', [users, 1, 2]);
  graph.output('logits', fullForward(network, shape, parts, judged, popularity).scores.logits);
  return graph.toBytes();
}

function togetherFeeds(read: readonly Judgement[], targets: readonly Uint16Array[]): Tensors {
  const users = targets.length;
  const size = itemVectorSize(architecture);
  const rows = new Float32Array(users * (judgements + 1) * size);
  const judged = new Float32Array(users * judgements * 2);
  for (const [u, target] of targets.entries()) {
    for (const [j, { item, sentiment }] of read.entries()) {
      rows.set(fromHalfFloats(item), (u * (judgements + 1) + j) * size);
      judged[2 * (u * judgements + j) + (sentiment === 'LIKE' ? 0 : 1)] = 1;
    }
    rows.set(fromHalfFloats(target), (u * (judgements + 1) + judgements) * size);
  }
  const float = (data: Float32Array, ...dims: number[]): Tensor => ({ dtype: 'float32', dims, data });
  return {
    items: float(rows, users, judgements + 1, size),
    judged: float(judged, users, judgements, 2),
    popularity: float(new Float32Array(users * 2), users, 1, 2),
  };
}

const person = history();
const [state] = await model.userStates([person]);
console.log(`${judgements} judgements a history; a state takes ${figure(state!.byteLength / 1024)} KiB`);

const byCandidates: Record<string, string | number>[] = [];
for (const count of CANDIDATES) {
  const targets = items.slice(0, count);
  const together = await openSession(togetherGraph(architecture, count));
  const feeds = togetherFeeds(person, targets);
  const [logits, scores] = [
    (await together.run(feeds))['logits']!,
    (await model.score([{ state: state!, targets }]))[0]!,
  ];
  const apart = scores.map(({ like }, t) => Math.abs(like - Number(logits.data[2 * t])));
  if (Math.max(...apart) > 0.05) throw new Error(`The two ways differ by ${Math.max(...apart)}: they must not.`);
  const ms = await medians(
    {
      state: () => model.userStates([person]),
      score: () => model.score([{ state: state!, targets }]),
      together: () => together.run(feeds),
    },
    BUDGET_MS,
  );
  byCandidates.push({
    candidates: count,
    'state, ms': figure(ms.state),
    'score, ms': figure(ms.score),
    'candidates a second': figure((1000 * count) / ms.score),
    'read together, ms': figure(ms.together),
    'state kept': `${(ms.together / ms.score).toFixed(1)} × faster`,
    'state new': `${(ms.together / (ms.state + ms.score)).toFixed(1)} × faster`,
  });
  await together.close();
}
console.table(byCandidates);

const byPeople: Record<string, string | number>[] = [];
for (const people of PEOPLE) {
  const histories = Array.from({ length: people }, history);
  const states = await model.userStates(histories);
  const requests = states.map((own) => ({ state: own, targets: random.choose(items, CANDIDATES_EACH) }));
  const ms = await medians(
    {
      states: () => model.userStates(histories),
      together: () => model.score(requests),
      alone: async () => {
        for (const request of requests) await model.score([request]);
      },
    },
    BUDGET_MS,
  );
  byPeople.push({
    people,
    'candidates each': CANDIDATES_EACH,
    'states, ms each': figure(ms.states / people),
    'one batch, ms': figure(ms.together),
    'one by one, ms': figure(ms.alone),
    'one batch': `${(ms.alone / ms.together).toFixed(1)} × faster`,
    'candidates a second': figure((1000 * people * CANDIDATES_EACH) / ms.together),
  });
}
console.table(byPeople);
await model.close();
