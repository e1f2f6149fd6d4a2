/** Which judgements the model reads, and the state that it makes of them. */
import { toHalfFloats } from '../../src/halfFloats.ts';
import { PreferenceModel } from '../../src/inference/preferenceModel.ts';
import { type ItemVector, type Judgement, MAX_RECENT, StateInputs } from '../../src/inference/userState.ts';
import { itemVectorSize } from '../../src/model/architecture.ts';
import { selectHistory } from '../../src/model/history.ts';
import { Random } from '../../src/random.ts';
import { encodedItems, SMALL_ARCHITECTURE, smallArtifact } from '../support/model.ts';

const { width, imageMetric, textMetric, history: blockRows } = SMALL_ARCHITECTURE;
const sides = (text: string) => [...text].map((letter) => (letter === '+' ? 'LIKE' : 'DISLIKE'));

describe('selectHistory', () => {
  it.each([
    ['nothing', '', []],
    ['all there is', '+-+', [0, 1, 2]],
    ['the newest of each side, half and half', '+++++----++-', [0, 1, 5, 6]],
    ['what one side leaves free from the other', '++++++-', [0, 1, 2, 6]],
    ['the newest of one side alone', '------', [0, 1, 2, 3]],
  ] as const)('reads %s', (_what, history, expected) => {
    expect(selectHistory(sides(history), 4)).toEqual(expected);
  });

  it('fills every place, in order, with as many of one side as of the other where there are enough', () => {
    const random = new Random('histories');
    for (let i = 0; i < 500; i++) {
      const history = sides(Array.from({ length: random.int(40) }, () => random.pick('+-')).join(''));
      const limit = 1 + random.int(16);
      const read = selectHistory(history, limit);
      const likes = read.filter((place) => history[place] === 'LIKE').length;
      const available = history.filter((side) => side === 'LIKE').length;
      expect(read).toEqual(read.toSorted((a, b) => a - b));
      expect(new Set(read).size).toBe(Math.min(limit, history.length));
      if (Math.min(available, history.length - available) >= limit / 2) {
        expect(Math.abs(2 * likes - read.length)).toBeLessThanOrEqual(1);
      }
    }
  });
});

/** Item vector of one value throughout, without a prompt where `text` is 0. */
const item = (value: number, text = 0): ItemVector =>
  toHalfFloats([...Array(width + imageMetric).fill(value), ...Array(textMetric).fill(text)]);
const judgement = (sentiment: Judgement['sentiment'], weight: number, ofItem: ItemVector): Judgement => ({
  item: ofItem,
  sentiment,
  weight,
});

describe('what the state graph reads of a history', () => {
  it('is judgements in the column of a like or of a dislike, and sums of their metric vectors', () => {
    const inputs = new StateInputs(SMALL_ARCHITECTURE, [
      judgement('DISLIKE', 0.5, item(4)),
      judgement('LIKE', 2, item(1, 3)),
      judgement('LIKE', 1, item(2)),
    ]);
    expect([...inputs.judged]).toEqual([0, 0.5, 2, 0, 1, 0, ...Array(2 * (blockRows - 3)).fill(0)]);
    expect([...inputs.recentJudged]).toEqual([0, 0.5, 2, 0, 1, 0]);
    expect([...inputs.imageSums]).toEqual([...Array(imageMetric).fill(2 * 1 + 1 * 2), ...Array(imageMetric).fill(2)]);
    expect([...inputs.imageTotals]).toEqual([3, 0.5]);
    expect([...inputs.textSums]).toEqual([...Array(textMetric).fill(6), ...Array(textMetric).fill(0)]);
    expect([...inputs.textTotals]).toEqual([2, 0]); // images without a prompt say nothing of prompts
    expect(inputs.items.subarray(0, itemVectorSize(SMALL_ARCHITECTURE))).toEqual(item(4));
  });

  it('keeps the newest judgements one by one and older ones in the sums', () => {
    const history = Array.from({ length: MAX_RECENT + 44 }, (_, i) =>
      judgement(i % 2 ? 'LIKE' : 'DISLIKE', 1, item(i < MAX_RECENT ? 1 : 3)),
    );
    const inputs = new StateInputs(SMALL_ARCHITECTURE, history);
    expect(inputs.recentJudged).toHaveLength(2 * MAX_RECENT);
    expect(inputs.recent).toEqual(toHalfFloats(Array(MAX_RECENT).fill([1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0]).flat()));
    expect([...inputs.imageTotals]).toEqual([150, 150]);
    expect(inputs.imageSums[0]).toBe(128 * 1 + 22 * 3);
  });
});

describe('a user state', () => {
  let model: PreferenceModel;
  let items: ItemVector[];
  beforeAll(async () => {
    model = await PreferenceModel.open(smallArtifact());
    items = await model.itemVectors(encodedItems('user states', 40));
  });
  afterAll(() => model.close());

  const judge = (count: number) =>
    Array.from({ length: count }, (_, i) => judgement(i % 3 ? 'LIKE' : 'DISLIKE', 1 + (i % 2), items[i % 40]!));

  it('counts the weights of likes and dislikes, and names the judgements that the blocks read', async () => {
    const [state] = await model.userStates([judge(10)]);
    expect([state!.likes, state!.dislikes]).toEqual([9, 6]);
    expect(state!.blockJudgements).toEqual([0, 1, 2, 3, 4, 6]);
  });

  it('says how much memory it takes', async () => {
    const states = await model.userStates([judge(0), judge(1), judge(300)]);
    for (const state of states) {
      const arrays = Object.values(state).filter((value) => ArrayBuffer.isView(value));
      const bytes = arrays.reduce((sum, { byteLength }) => sum + byteLength, 0);
      const profile = state.profile ? 0 : 4 * model.layers * model.heads * model.tokens;
      expect(state.byteLength).toBe(bytes + profile);
      // Views of a batch's arrays would keep the whole batch alive.
      for (const { buffer, byteLength } of arrays) expect(buffer.byteLength).toBe(byteLength);
    }
    const rowBytes = 2 * (imageMetric + textMetric) + 4 * 2;
    expect(states[2]!.byteLength - states[1]!.byteLength).toBe((MAX_RECENT - 1) * rowBytes);
  });

  it('has a profile of attention that sums to 1 in every head, and none without a judgement', async () => {
    const [none, some] = await model.userStates([[], judge(5)]);
    expect(none!.profile).toBeNull();
    const heads = model.layers * model.heads;
    expect(some!.profile).toHaveLength(heads * model.tokens);
    for (let head = 0; head < heads; head++) {
      const own = some!.profile!.subarray(head * model.tokens, (head + 1) * model.tokens);
      expect(own.reduce((sum, share) => sum + share, 0)).toBeCloseTo(1, 5);
      expect(Math.min(...own)).toBeGreaterThan(0);
    }
  });

  it('points from what was disliked to what was liked', async () => {
    const [liked, disliked] = [items[0]!, items[1]!];
    const [state, opposite] = await model.userStates([
      [judgement('LIKE', 1, liked), judgement('DISLIKE', 3, disliked)],
      [judgement('DISLIKE', 1, liked), judgement('LIKE', 3, disliked)],
    ]);
    const [e, f] = [model.imageMetric(liked), model.imageMetric(disliked)];
    for (let i = 0; i < imageMetric; i++) {
      expect(state!.taste[i]).toBeCloseTo(e[i]! / 2 - (3 * f[i]!) / 4, 5);
      expect(opposite!.taste[i]).toBeCloseTo(-state!.taste[i]!, 5);
    }
  });

  it('is the same computed among many histories as alone', async () => {
    const histories = Array.from({ length: 300 }, (_, i) => judge(i % 17));
    const together = await model.userStates(histories);
    for (const i of [0, 5, 16, 255, 256, 299]) {
      const [alone] = await model.userStates([histories[i]!]);
      expect(together[i]!.blockJudgements).toEqual(alone!.blockJudgements);
      for (const name of ['keysValues', 'direction', 'profile', 'imageSums'] as const) {
        const [a, b] = [[...(together[i]![name] ?? [])], [...(alone![name] ?? [])]];
        expect(Math.max(0, ...a.map((value, k) => Math.abs(value - b[k]!)))).toBeLessThan(1e-5);
        expect(a.length).toBe(b.length);
      }
    }
  });
});
