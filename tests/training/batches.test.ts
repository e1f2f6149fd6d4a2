/** A batch holds what its tasks say, where the training graph reads it. */
import type { Tensors } from '../../src/inference/session.ts';
import type { BatchShape } from '../../src/model/trainingGraph.ts';
import { Random } from '../../src/random.ts';
import { Batcher, type PromptedTask } from '../../src/training/batches.ts';
import { matrix } from '../../src/training/fitting/linearAlgebra.ts';
import type { HistoryItem } from '../../src/training/tasks.ts';
import { SMALL_ARCHITECTURE } from '../support/model.ts';

const { imageInputs, textInputs, history: BLOCK_ROWS } = SMALL_ARCHITECTURE;
const HALF = BLOCK_ROWS / 2;

/** Picture i is 10 i throughout, prompt i is i throughout: a row tells which one it holds, under any noise. */
const numbered = (count: number, columns: number, step: number) =>
  matrix(
    count,
    columns,
    Array.from({ length: count * columns }, (_, i) => step * Math.floor(i / columns)),
  );
const source = { images: numbered(100, imageInputs, 10), prompts: numbered(50, textInputs, 1) };

const batcher = (shape: BatchShape) => new Batcher(SMALL_ARCHITECTURE, shape, source, 'batches');
const item = (image: number, sentiment: HistoryItem['sentiment'], weight = 1): HistoryItem => ({
  image,
  sentiment,
  weight,
});

interface Row {
  /** null where nothing stands. */
  picture: number | null;
  prompt: number | null;
  like: number;
  dislike: number;
}

/** What stands in each history place, and in each target place, of one user. */
function read(feeds: Tensors, { judgements, pairs }: BatchShape, user: number): { history: Row[]; targets: Row[] } {
  const rows = judgements + 2 * pairs;
  const data = (name: string) => feeds[name]!.data as Float32Array;
  const all = Array.from({ length: rows }, (_, place): Row => {
    const at = user * rows + place;
    const image = data('image').subarray(at * imageInputs, (at + 1) * imageInputs);
    const text = data('text').subarray(at * textInputs, (at + 1) * textInputs);
    const judged = data('judged').subarray(2 * (user * judgements + place), 2 * (user * judgements + place) + 2);
    const mean = image.reduce((sum, value) => sum + value, 0) / imageInputs;
    return {
      picture: image.every((value) => value === 0) ? null : Math.round(mean / 10),
      prompt: data('hasText')[at] ? text[0]! : null,
      like: place < judgements ? judged[0]! : 0,
      dislike: place < judgements ? judged[1]! : 0,
    };
  });
  return { history: all.slice(0, judgements), targets: all.slice(judgements) };
}

describe('a batch', () => {
  const shape = { users: 2, judgements: 8, pairs: 2 };

  it('holds each judgement once, its weight in the column of its sentiment, and targets behind them in order', () => {
    const task: PromptedTask = {
      history: [item(11, 'LIKE'), item(12, 'DISLIKE', 0.5), item(13, 'LIKE', 2.5)],
      liked: [21, 22],
      disliked: [31, 32],
    };
    const feeds = batcher(shape).feeds([task, { history: [], liked: [41, 42], disliked: [51, 52] }], new Random(1));
    const first = read(feeds, shape, 0);
    const judged = first.history.filter(({ picture }) => picture !== null);
    expect(judged.toSorted((a, b) => a.picture! - b.picture!)).toEqual([
      { picture: 11, prompt: null, like: 1, dislike: 0 },
      { picture: 12, prompt: null, like: 0, dislike: 0.5 },
      { picture: 13, prompt: null, like: 2.5, dislike: 0 },
    ]);
    const empty = { picture: null, prompt: null, like: 0, dislike: 0 };
    expect(first.history.filter(({ picture }) => picture === null)).toEqual(Array(5).fill(empty));
    expect(first.targets.map(({ picture }) => picture)).toEqual([21, 22, 31, 32]);
    const second = read(feeds, shape, 1);
    expect(second.history).toEqual(Array(8).fill(empty));
    expect(second.targets.map(({ picture }) => picture)).toEqual([41, 42, 51, 52]);
  });

  it('has the shapes that the training graph asks for, and knows nothing of what others made of a target', () => {
    const task = { history: [], liked: [1, 2], disliked: [3, 4] };
    const feeds = batcher(shape).feeds([task, task], new Random(1));
    expect(Object.fromEntries(Object.entries(feeds).map(([name, { dims }]) => [name, dims]))).toEqual({
      image: [2, 12, imageInputs],
      text: [2, 12, textInputs],
      hasText: [2, 12, 1],
      judged: [2, 8, 2],
      popularity: [2, 4, 2],
    });
    expect(new Set(feeds['popularity']!.data as Float32Array)).toEqual(new Set([0]));
  });

  it('carries the prompts of the pictures that have one, wherever they are placed', () => {
    const history = [item(11, 'LIKE'), item(12, 'DISLIKE'), item(13, 'DISLIKE')];
    const task: PromptedTask = {
      history,
      liked: [21, 22],
      disliked: [31, 32],
      historyPrompts: [1, null, 3],
      targetPrompts: [null, 7, 8, null],
    };
    const feeds = batcher(shape).feeds([task, task], new Random(2));
    const { history: placed, targets } = read(feeds, shape, 1);
    const prompts = new Map(placed.map(({ picture, prompt }) => [picture, prompt]));
    expect([11, 12, 13].map((picture) => prompts.get(picture))).toEqual([1, null, 3]);
    expect(targets.map(({ prompt }) => prompt)).toEqual([null, 7, 8, null]);
    const text = feeds['text']!.data as Float32Array;
    expect(text.filter((value) => value !== 0)).toHaveLength(2 * 4 * textInputs);
  });

  it('deals what the blocks read to the two halves of their places, likes and dislikes each', () => {
    const random = new Random('halves');
    const one = { users: 1, judgements: 20, pairs: 1 };
    const dealer = batcher(one);
    for (let i = 0; i < 300; i++) {
      const history = Array.from({ length: random.int(21) }, (_, place) =>
        item(1 + place, random.pick(['LIKE', 'DISLIKE'] as const)),
      );
      const { history: placed } = read(dealer.feeds([{ history, liked: [90], disliked: [91] }], random), one, 0);
      const count = (from: number, to: number, weight: (row: Row) => number) =>
        placed.slice(from, to).filter((row) => weight(row) > 0).length;
      const sides = [({ like }: Row) => like, ({ dislike }: Row) => dislike, (row: Row) => row.like + row.dislike];
      for (const side of sides) {
        expect(Math.abs(count(0, HALF, side) - count(HALF, BLOCK_ROWS, side))).toBeLessThanOrEqual(1);
      }
      expect(count(0, BLOCK_ROWS, ({ picture }) => picture ?? 0)).toBe(Math.min(BLOCK_ROWS, history.length));
      expect(placed.map(({ picture }) => picture).filter((picture) => picture !== null)).toHaveLength(history.length);
    }
  });

  it('gives the blocks the newest of each side, and the metric path all', () => {
    const one = { users: 1, judgements: 20, pairs: 1 };
    const history = Array.from({ length: 16 }, (_, i) => item(1 + i, i < 10 ? 'LIKE' : 'DISLIKE'));
    const feeds = batcher(one).feeds([{ history, liked: [90], disliked: [91] }], new Random(3));
    const pictures = read(feeds, one, 0).history.map(({ picture }) => picture);
    const numerically = (a: number | null, b: number | null) => a! - b!;
    expect(pictures.slice(0, BLOCK_ROWS).toSorted(numerically)).toEqual([1, 2, 3, 11, 12, 13]);
    expect(pictures.slice(BLOCK_ROWS, 16)).toEqual([4, 5, 6, 7, 8, 9, 10, 14, 15, 16]);
    expect(pictures.slice(16)).toEqual([null, null, null, null]);
  });

  it('adds noise of deviation 0.15 to pictures, never the same twice, and the same from the same seed', () => {
    const many = { users: 50, judgements: 4, pairs: 1 };
    const tasks = Array(50).fill({ history: [item(5, 'LIKE')], liked: [5], disliked: [5] });
    const draw = (seed: number) => batcher(many).feeds(tasks, new Random(seed))['image']!.data as Float32Array;
    const image = draw(1);
    const noise = Array.from(
      image.filter((value) => value !== 0),
      (value) => value - 50,
    );
    expect(noise).toHaveLength(50 * 3 * imageInputs);
    expect(noise.reduce((sum, value) => sum + value, 0) / noise.length).toBeCloseTo(0, 1);
    expect(Math.sqrt(noise.reduce((sum, value) => sum + value * value, 0) / noise.length)).toBeCloseTo(0.15, 1);
    expect(new Set(noise).size).toBeGreaterThan(0.9 * noise.length);
    expect(draw(1)).toEqual(image);
    expect(draw(2)).not.toEqual(image);
  });

  it.each([
    [1, { history: [], liked: [1, 2], disliked: [3, 4] }, 'A batch has 2 people; 1 tasks were given.'],
    [3, { history: [], liked: [1, 2], disliked: [3, 4] }, 'A batch has 2 people; 3 tasks were given.'],
    [
      2,
      { history: Array(9).fill(item(1, 'LIKE')), liked: [1, 2], disliked: [3, 4] },
      'A task of 9 judgements, 2 liked and 2 disliked targets does not fit a batch of at most 8 judgements and ' +
        '2 targets of each kind.',
    ],
    [
      2,
      { history: [], liked: [1, 2, 3], disliked: [3] },
      'A task of 0 judgements, 3 liked and 1 disliked targets does not fit',
    ],
  ])('refuses %i tasks or tasks that do not fit: %#', (count, task, message) => {
    const feeds = () => batcher(shape).feeds(Array(count).fill(task), new Random(1));
    expect(feeds).toThrow(expect.objectContaining({ code: 'INVALID', message: expect.stringContaining(message) }));
  });
});
