/** What many ask of one model at once: the numbers that each would get alone, and how often the model runs for them. */
import { ALONE, ModelBatches, type ModelTurn } from '../../src/inference/modelBatches.ts';
import {
  type ItemVector,
  type Judgement,
  PreferenceModel,
  type UserState,
} from '../../src/inference/preferenceModel.ts';
import { encodedItems, smallArtifact } from '../support/model.ts';

const ITEMS = 40;
/** More targets than a batch has. */
const MANY = 2_500;

let model: PreferenceModel;
let items: ItemVector[];
let states: UserState[];
let batches: ModelBatches;
/** Requests of each run of the model. */
const runs = { states: [] as number[], scores: [] as number[] };

beforeAll(async () => {
  model = await PreferenceModel.open(smallArtifact({ set: { 'prior.gain': 2 } }));
  items = await model.itemVectors(encodedItems('batches', ITEMS));
  states = await model.userStates(histories());
  const { userStates, score } = model;
  model.userStates = (asked) => {
    runs.states.push(asked.length);
    return userStates.call(model, asked);
  };
  model.score = ((...[asked, options]: Parameters<typeof score>) => {
    runs.scores.push(asked.length);
    return score.call(model, asked, options);
  }) as typeof score;
});
afterAll(() => model.close());
beforeEach(() => {
  batches = new ModelBatches(model, { waitMs: 100, maxQueuedTargets: 1_000 });
  runs.states = [];
  runs.scores = [];
});

const histories = (): Judgement[][] =>
  [0, 1, 3, 8].map((count) =>
    items.slice(0, count).map((item, i) => ({ item, sentiment: i % 2 ? 'LIKE' : 'DISLIKE', weight: 1 })),
  );
const turnOf = (lane: string): ModelTurn => batches.turn({ lane });

it('computes the states of all who ask at once in one run, each as it would be alone', async () => {
  const together = await Promise.all(histories().map((history, i) => turnOf(`lane ${i}`).userStates([history])));
  expect(runs.states).toEqual([4]);
  expect(together.map(([state]) => state!.profile)).toEqual(states.map(({ profile }) => profile));
});

it('scores the targets of all who ask at once in one run, those with attention in another', async () => {
  const ask = (i: number, attention: boolean) =>
    turnOf('lane').score([{ state: states[i]!, targets: items.slice(i, i + 3) }], { attention });
  const [one, two, three] = await Promise.all([ask(1, false), ask(2, true), ask(3, false)]);
  expect(runs.scores.toSorted()).toEqual([1, 2]);
  expect(one[0]![0]).not.toHaveProperty('tokenAttention');
  expect(two[0]![0]).toHaveProperty('tokenAttention');
  const alone = await model.score([{ state: states[3]!, targets: items.slice(3, 6) }]);
  three[0]!.forEach(({ like }, t) => {
    expect(like).toBeCloseTo(alone[0]![t]!.like, 5);
  });
});

it('answers in the order of what was asked, more than one batch of it, with what others made of each target', async () => {
  const alone = new ModelBatches(model, ALONE).turn({ lane: 'lane' });
  const targets = Array.from({ length: MANY }, (_, t) => items[t % ITEMS]!);
  const popularity = targets.map((_, t) => ({ sum: t % 7, count: 7 }));
  const requests = [
    { state: states[0]!, targets: items.slice(0, 2) },
    { state: states[1]!, targets, popularity },
    { state: states[2]!, targets: [] },
    { state: states[3]!, targets: items.slice(5) },
  ];
  const scores = await alone.score(requests, { attention: false });
  expect(scores.map(({ length }) => length)).toEqual([2, MANY, 0, ITEMS - 5]);
  const last = MANY - 1;
  const expected = await model.score([
    { state: states[1]!, targets: [targets[last]!], popularity: [popularity[last]!] },
    { state: states[3]!, targets: [items[5]!] },
  ]);
  expect(scores[1]![last]!.like).toBeCloseTo(expected[0]![0]!.like, 5);
  expect(scores[3]![0]!.like).toBeCloseTo(expected[1]![0]!.like, 5);
});

it('refuses what is more than may wait', async () => {
  const full = await Promise.allSettled(
    Array.from({ length: 6 }, (_, i) =>
      turnOf(`lane ${i}`).score([{ state: states[0]!, targets: Array.from({ length: 400 }, () => items[0]!) }]),
    ),
  );
  const refused = full.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason] : []));
  expect(refused).toHaveLength(2);
  expect(refused[0]).toMatchObject({ code: 'OVERLOADED' });
});
