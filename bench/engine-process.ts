/**
 * What it costs that models run beside the caller: in a thread of its process, or in the engine's process, against the
 * caller's own thread. For a rank of 200, for as many of them as a batch has, and for a batch of histories: milliseconds
 * of one call after the other (what the engine is kept waiting is in them), and processor time of all processes together.
 *
 *     npm run bench:engine-process [-- --json FILE]
 *
 * Runs for some two minutes. Needs Linux.
 */
import { parseArgs } from 'node:util';
import { Engine } from '../src/inference/engine/engine.ts';
import { type Judgement, PreferenceModel, SHIPPED_MODEL } from '../src/inference/preferenceModel.ts';
import { SessionHost } from '../src/inference/sessionHost.ts';
import { Random } from '../src/random.ts';
import { processorMs } from './support/kill/processes.ts';
import { figure, medians } from './support/measure.ts';
import { writeReport } from './support/report.ts';

const { values } = parseArgs({ options: { json: { type: 'string' } } });
const CANDIDATES = 200;
const PEOPLE = 5;
const HISTORIES = 64;
const BUDGET_MS = 15_000;
const CALLS = 60;

const random = new Random('bench/engine-process');
const engine = new Engine({
  maxBytes: 1e12,
  maxAgeMs: null,
  log: { info() {}, warn: console.warn, error: console.error },
});
const threadHost = new SessionHost();
const models = {
  'own thread': await PreferenceModel.load(SHIPPED_MODEL),
  'another thread': await PreferenceModel.load(SHIPPED_MODEL, threadHost),
  'another process': await PreferenceModel.load(SHIPPED_MODEL, new SessionHost({}, engine)),
};
type Place = keyof typeof models;
const places = Object.keys(models) as Place[];
const model = models['own thread'];
const { architecture, inputTransforms } = model.manifest;
const normals = (length: number) => Float32Array.from({ length }, () => random.normal());
const items = await model.itemVectors(
  Array.from({ length: 512 }, () => ({
    image: normals(inputTransforms.image.inputs),
    text: normals(inputTransforms.text.inputs),
  })),
);
const histories = Array.from({ length: HISTORIES }, (): Judgement[] =>
  random
    .choose(items, architecture.history)
    .map((item, i) => ({ item, sentiment: i % 2 ? 'DISLIKE' : 'LIKE', weight: 1 })),
);
const states = await model.userStates(histories.slice(0, PEOPLE));
const requests = states.map((state) => ({ state, targets: random.choose(items, CANDIDATES) }));
const works: Record<string, (model: PreferenceModel) => Promise<unknown>> = {
  [`a rank of ${CANDIDATES}`]: (model) => model.score([requests[0]!], { attention: false }),
  [`${PEOPLE} ranks of ${CANDIDATES}`]: (model) => model.score(requests, { attention: false }),
  [`${HISTORIES} histories`]: (model) => model.userStates(histories),
};

const figures: Record<string, Record<string, number>> = {};
for (const [name, work] of Object.entries(works)) {
  const ms = await medians(
    Object.fromEntries(places.map((place) => [place, () => work(models[place])])) as Record<
      Place,
      () => Promise<unknown>
    >,
    BUDGET_MS,
  );
  for (const place of places)
    figures[`${name}, ${place}`] = { ms: ms[place], processorMs: await processorTime(work, place) };
}
console.table(
  Object.fromEntries(
    Object.entries(figures).map(([name, { ms, processorMs: processor }]) => [
      name,
      { ms: figure(ms!), 'processor time, ms': figure(processor!) },
    ]),
  ),
);
await writeReport(values.json, {
  bench: 'engine-process',
  settings: { candidates: CANDIDATES, people: PEOPLE, histories: HISTORIES },
  figures,
});
await Promise.all(Object.values(models).map((each) => each.close()));
await threadHost.close();
await engine.close();

/** Of one call, in this process and the engine's. */
async function processorTime(work: (model: PreferenceModel) => Promise<unknown>, place: Place): Promise<number> {
  const used = async () => (await processorMs(process.pid)) + (await processorMs(engine.pid!));
  const before = await used();
  for (let i = 0; i < CALLS; i++) await work(models[place]);
  return ((await used()) - before) / CALLS;
}
