/** The newest judgements are foretold from the older ones, and only where there is something to order. */
import { heldOutTask } from '../../../src/training/feedback/heldOut.ts';

/** Newest first: L a like, D a dislike; the image's number is its place. */
const judged = (sentiments: string) =>
  [...sentiments].map((letter, image) => ({
    image,
    sentiment: letter === 'L' ? ('LIKE' as const) : ('DISLIKE' as const),
    weight: 1,
    judgedAt: 1_000 - image,
    popularity: { sum: image, count: 10 },
  }));
const cutOf = (sentiments: string) => {
  const task = heldOutTask(judged(sentiments));
  return task && { liked: task.liked, disliked: task.disliked, history: task.history.map(({ image }) => image) };
};

describe('the task of a person who is held out', () => {
  it('is to foretell three tenths, the newest, from all the others', () => {
    expect(cutOf('LDLDLDLDLD')).toEqual({ liked: [0, 2], disliked: [1], history: [3, 4, 5, 6, 7, 8, 9] });
  });

  it('foretells no more than twelve', () => {
    const task = heldOutTask(judged('LD'.repeat(50)))!;
    expect([task.liked.length, task.disliked.length, task.history.length]).toEqual([6, 6, 88]);
  });

  it('reaches further back, to the half, for the first of the other side', () => {
    expect(cutOf('LLLLDLDLDL')).toEqual({ liked: [0, 1, 2, 3], disliked: [4], history: [5, 6, 7, 8, 9] });
    expect(cutOf('LLLLLDLDLD')).toBeNull();
  });

  it('of two judgements is both of them, and there is none where one side is missing', () => {
    expect(cutOf('LD')).toEqual({ liked: [0], disliked: [1], history: [] });
    expect(cutOf('LLLLLL')).toBeNull();
    expect(cutOf('L')).toBeNull();
    expect(cutOf('')).toBeNull();
  });

  it('carries what others had made of each target, likes first', () => {
    expect(heldOutTask(judged('DLDLDLDLDL'))!.popularity).toEqual([
      { sum: 1, count: 10 },
      { sum: 0, count: 10 },
      { sum: 2, count: 10 },
    ]);
  });
});
