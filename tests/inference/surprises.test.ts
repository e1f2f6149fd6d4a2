/** A floor under surprises: whatever was judged, and whatever a picture is, the model that ships gives numbers. */
import { LARGEST_HALF } from '../../src/halfFloats.ts';
import { NeighbourIndex } from '../../src/inference/neighbours.ts';
import {
  type EncodedItem,
  type ItemVector,
  type Judgement,
  PreferenceModel,
  SHIPPED_MODEL,
  type TargetScore,
} from '../../src/inference/preferenceModel.ts';
import { chooseQuestions } from '../../src/inference/questions.ts';
import { Random } from '../../src/random.ts';

const IMAGE = 1664;
const TEXT = 384;

let model: PreferenceModel;
let items: ItemVector[];
/** Items of the embeddings that no picture should have. */
let odd: Record<string, ItemVector>;

beforeAll(async () => {
  model = await PreferenceModel.load(SHIPPED_MODEL);
  const random = new Random('surprises');
  const embedding = (length: number, value: () => number) => Float32Array.from({ length }, value);
  const drawn = Array.from(
    { length: 40 },
    (_, i): EncodedItem => ({
      image: embedding(IMAGE, () => Math.abs(random.normal())),
      text: i % 3 === 0 ? null : embedding(TEXT, () => random.normal() / 20),
    }),
  );
  items = await model.itemVectors(drawn);
  const constant = (value: number, text: number | null): EncodedItem => ({
    image: embedding(IMAGE, () => value),
    text: text === null ? null : embedding(TEXT, () => text),
  });
  const embeddings: Record<string, EncodedItem> = {
    'of zeros': constant(0, null),
    'of zeros, with a prompt of zeros': constant(0, 0),
    'of the largest half floats': constant(LARGEST_HALF, -LARGEST_HALF),
    'of the largest single floats': constant(3.4e38, 3.4e38),
    'of infinities': constant(Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY),
    'of huge numbers of both signs': {
      image: embedding(IMAGE, () => 1e30 * random.normal()),
      text: embedding(TEXT, () => 1e30 * random.normal()),
    },
    'of tiny numbers': constant(1e-40, 1e-40),
  };
  const vectors = await model.itemVectors(Object.values(embeddings));
  odd = Object.fromEntries(Object.keys(embeddings).map((name, i) => [name, vectors[i]!]));
});
afterAll(() => model.close());

const judged = (
  judgements: readonly ItemVector[],
  sentiment: (i: number) => Judgement['sentiment'],
  weight = 1,
): Judgement[] => judgements.map((item, i) => ({ item, sentiment: sentiment(i), weight }));
const liked = () => 'LIKE' as const;
const disliked = () => 'DISLIKE' as const;
const inTurn = (i: number) => (i % 2 === 0 ? 'LIKE' : 'DISLIKE');
const times = (item: ItemVector, count: number): ItemVector[] => Array(count).fill(item);

/** Every history that is not what the model learned from. */
const histories = (): Record<string, Judgement[]> => ({
  'with nothing judged': [],
  'of one judgement': judged(items.slice(0, 1), liked),
  'of one image liked 2,000 times': judged(times(items[0]!, 2_000), liked),
  'of one image liked and disliked equally': judged(times(items[0]!, 20), inTurn),
  'of everything liked': judged(items, liked),
  'of everything disliked': judged(items, disliked),
  'of everything liked and disliked': judged([...items, ...items], (i) => (i < items.length ? 'LIKE' : 'DISLIKE')),
  'of the least weights': judged(items, inTurn, 1e-6),
  'of weights that a single float cannot hold': judged(items, inTurn, Number.MIN_VALUE),
  'of the greatest weights': judged(items, inTurn, 10),
  'of the greatest and the least': [...judged(items.slice(0, 9), liked, 10), ...judged(items.slice(9), disliked, 1e-6)],
  'of images without prompts': judged(
    items.filter((_, i) => i % 3 === 0),
    inTurn,
  ),
  'of images with prompts': judged(
    items.filter((_, i) => i % 3 !== 0),
    inTurn,
  ),
  ...Object.fromEntries(
    Object.entries(odd).map(([name, item]) => [`of a picture ${name}`, judged([item, items[1]!], inTurn)]),
  ),
});

const finite = (numbers: Iterable<number>) => [...numbers].every(Number.isFinite);
const margin = ({ like, dislike }: TargetScore) => like - dislike;

/** What is wrong with a score; nothing where all is in its range. */
function faultsOf(score: TargetScore): string[] {
  const { like, dislike, value, standardError, tokenAttention, historyAttention } = score;
  const faults: string[] = [];
  if (!finite([like, dislike])) faults.push(`logits ${like} ${dislike}`);
  if (!(value >= 0 && value <= 1)) faults.push(`value ${value}`);
  if (!(standardError >= 0 && standardError <= 1)) faults.push(`standard error ${standardError}`);
  for (let head = 0; head < tokenAttention.length; head += model.tokens) {
    const own = tokenAttention.subarray(head, head + model.tokens);
    const sum = own.reduce((a, b) => a + b, 0);
    if (!(own.every((x) => x >= 0) && Math.abs(sum - 1) < 1e-4)) faults.push(`token attention ${sum}`);
  }
  const read = historyAttention.reduce((a, b) => a + b, 0);
  if (!(historyAttention.every((x) => x >= 0) && read < 1 + 1e-4)) faults.push(`attention ${read}`);
  return faults;
}

it('gives every score, profile and attention as numbers within their ranges, whatever was judged', async () => {
  const targets = [...items.slice(0, 6), ...Object.values(odd)];
  const entries = Object.entries(histories());
  const states = await model.userStates(entries.map(([, history]) => history));
  const scored = await model.score(states.map((state) => ({ state, targets })));
  const faults = entries.flatMap(([name, history], i) => {
    const { profile, taste } = states[i]!;
    const ofState =
      finite(taste) && (history.length === 0 ? profile === null : finite(profile!) && profile!.every((x) => x >= 0));
    return [...(ofState ? [] : ['state']), ...scored[i]!.flatMap(faultsOf)].map((fault) => `${name}: ${fault}`);
  });
  expect(faults).toEqual([]);
  expect(entries.length).toBe(20);
});

it('gives item vectors of unit length of embeddings that no picture should have, and none of NaN', async () => {
  for (const vector of Object.values(odd)) {
    expect(Math.hypot(...model.imageMetric(vector))).toBeCloseTo(1, 2);
  }
  // Beyond what half floats hold is as much as they hold.
  expect(odd['of infinities']!.slice(0, 224)).toEqual(odd['of the largest half floats']!.slice(0, 224));
  await expect(
    model.itemVectors([
      { image: new Float32Array(IMAGE).fill(1, 1), text: null },
      { image: new Float32Array(IMAGE).fill(Number.NaN), text: null },
    ]),
  ).rejects.toMatchObject({
    code: 'INTERNAL_SERVER_ERROR',
    message: 'An image embedding holds NaN: nothing can be known of it.',
  });
});

describe('says what is defined', () => {
  const marginsOf = async (...given: Judgement[][]) => {
    const states = await model.userStates(given);
    const scored = await model.score(states.map((state) => ({ state, targets: items })));
    return scored.map((scores) => scores.map(margin));
  };
  const spread = (margins: readonly number[]) => Math.max(...margins.map(Math.abs));

  it('of nothing judged: the same of every image', async () => {
    const [margins] = await marginsOf([]);
    expect(spread(margins!)).toBe(0);
  });

  it('of contradictions: next to nothing, and less than of either side alone', async () => {
    const [both, ones, everything] = await marginsOf(
      judged(times(items[0]!, 20), inTurn),
      judged(times(items[0]!, 10), liked),
      judged([...items.slice(0, 8), ...items.slice(0, 8)], (i) => (i < 8 ? 'LIKE' : 'DISLIKE')),
    );
    expect(spread(both!)).toBeLessThan(0.1 * spread(ones!));
    expect(spread(everything!)).toBeLessThan(0.1 * spread(ones!));
  });

  it('of one image, the same judgement again and again: surer of it, and never without bound', async () => {
    const counts = [1, 10, 100, 2_000];
    const margins = await marginsOf(...counts.map((count) => judged(times(items[0]!, count), liked)));
    const ofItself = margins.map((of) => of[0]!);
    expect(ofItself).toEqual([...ofItself].sort((a, b) => a - b));
    expect(ofItself[0]).toBeGreaterThan(0);
    expect(ofItself[3]! - ofItself[2]!).toBeLessThan(ofItself[1]! - ofItself[0]!);
  });

  it('of only likes or only dislikes: what is like them is above or below the rest', async () => {
    const [likes, dislikes] = await marginsOf(judged(items.slice(0, 10), liked), judged(items.slice(0, 10), disliked));
    const mean = (list: number[]) => list.reduce((a, b) => a + b, 0) / list.length;
    expect(mean(likes!.slice(0, 10))).toBeGreaterThan(mean(likes!.slice(10)));
    expect(mean(dislikes!.slice(0, 10))).toBeLessThan(mean(dislikes!.slice(10)));
  });

  it('of a weight of 1e-6: as good as nothing; of 10: as ten judgements', async () => {
    const [least, ten, often] = await marginsOf(
      judged(items.slice(0, 1), liked, 1e-6),
      judged(items.slice(0, 1), liked, 10),
      judged(times(items[0]!, 10), liked),
    );
    expect(spread(least!)).toBeLessThan(0.01);
    expect(spread(ten!.map((x, i) => x - often![i]!))).toBeLessThan(0.01);
  });
});

it('finds neighbours and questions among vectors that are all the same, zero ones too', async () => {
  const metric = model.imageMetric(odd['of zeros']!);
  const zero = new Float32Array(metric.length);
  const index = new NeighbourIndex(metric.length);
  for (const [i, vector] of [metric, metric, zero, zero].entries()) index.set(`image ${i}`, vector);
  const [near] = await index.nearest([zero], 4);
  expect(near!.map(({ id, product }) => [id, product])).toEqual([0, 1, 2, 3].map((i) => [`image ${i}`, 0]));
  const questions = (weight: number) =>
    chooseQuestions({
      candidates: [metric, metric, zero, zero, metric],
      targets: [metric, zero],
      judged: Array.from({ length: 48 }, () => ({ vector: metric, weight })),
      count: 5,
    });
  for (const weight of [Number.MIN_VALUE, 1e-6, 1, 10]) {
    const chosen = questions(weight);
    expect([...chosen].sort()).toEqual([0, 1, 2, 3, 4]);
  }
  expect(questions(10)[0]).toBe(2); // what is unlike the one that was judged 48 times
});
