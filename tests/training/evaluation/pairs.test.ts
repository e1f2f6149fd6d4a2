/** Pairs and their subsets, reckoned by hand. */
import { layOutPairs, pairResults, topResults } from '../../../src/training/evaluation/pairs.ts';
import type { Task } from '../../../src/training/tasks.ts';

const tasks: Task[] = [
  {
    history: [],
    liked: [1, 2],
    disliked: [3],
    clusters: ['p', 'q', 'q'],
    popularity: [
      { sum: -2, count: 2 },
      { sum: 0, count: 0 },
      { sum: 1, count: 3 },
    ],
  },
  { history: [], liked: [4], disliked: [5, 6, 7], clusters: ['q', 'r', 'r', 's'] },
];
const layout = layOutPairs(tasks);

describe('the layout of pairs', () => {
  it('numbers people and clusters, person after person', () => {
    expect(layout.count).toBe(5);
    expect([...layout.person]).toEqual([0, 0, 1, 1, 1]);
    expect([...layout.liked]).toEqual([0, 1, 1, 1, 1]);
    expect([...layout.disliked]).toEqual([1, 1, 2, 2, 3]);
  });

  it('finds pairs of one cluster, and pairs where others think otherwise', () => {
    expect([...layout.subsets.all]).toEqual([0, 1, 2, 3, 4]);
    expect([...layout.subsets['same cluster']]).toEqual([1]);
    // Of the first pair others like the disliked target better; of the second nobody has judged the liked one.
    expect([...layout.subsets['against the mean']]).toEqual([0]);
  });

  it('takes targets without clusters for clusters of their own: the same image is the same one', () => {
    const of = layOutPairs([
      { history: [], liked: [1], disliked: [2] },
      { history: [], liked: [2], disliked: [1] },
    ]);
    expect([...of.liked]).toEqual([0, 1]);
    expect([...of.disliked]).toEqual([1, 0]);
  });
});

describe('results', () => {
  const scores = [
    [0.5, 0.1, 0.1],
    [3, 1, 3, 4],
  ];

  it('count a pair in order as 1, a tie as a half', () => {
    expect([...pairResults(tasks, scores, layout)]).toEqual([1, 0.5, 1, 0.5, 0]);
  });

  it('measure top-k on people with three disliked targets', () => {
    expect([...layout.targets.person]).toEqual([1]);
    // One above, one tied: second or third with even odds.
    expect([1, 2, 3].map((k) => topResults(tasks, scores, layout, k)[0])).toEqual([0, 0.5, 1]);
  });
});
