/** The same people for every scorer: chance scores a half, an oracle everything. */
import { Random } from '../../../src/random.ts';
import { baselineScorers, chanceScorer } from '../../../src/training/evaluation/baselineScorers.ts';
import { InnerProducts } from '../../../src/training/evaluation/baselines.ts';
import { evaluate, HISTORY_LENGTHS, lengthsFor, named } from '../../../src/training/evaluation/evaluation.ts';
import { summarise } from '../../../src/training/evaluation/report.ts';
import { markdownReport } from '../../../src/training/evaluation/reportTables.ts';
import { buildEvaluationSet } from '../../../src/training/evaluation/simulatedSet.ts';
import { matrix } from '../../../src/training/fitting/linearAlgebra.ts';
import { SimulatedPeople } from '../../../src/training/simulation/people.ts';
import { imagesOfPart, readPictures, splitPictures } from '../../../src/training/simulation/pictures.ts';
import { type Task, targetsOf } from '../../../src/training/tasks.ts';

const random = new Random('evaluation');
const pictures = readPictures(
  Array.from({ length: 1200 }, (_, i) => ({ file: `${i}.jpg`, artist: `${Math.floor(i / 4)}`, categories: [] })),
);
const split = splitPictures(pictures, 'evaluation');
const z = matrix(
  1200,
  16,
  Array.from({ length: 1200 * 16 }, () => random.normal()),
);
const people = new SimulatedPeople({ pictures, split, z });
const set = buildEvaluationSet(people, random.split('test'), {
  part: 'test',
  kinds: ['direction'],
  count: 300,
  lengths: [0, 2, 8],
});

/** Knows the answer. */
const oracle = named('oracle', (task: Task) =>
  Float64Array.from(targetsOf(task), (_, i) => (i < task.liked.length ? 1 : 0)),
);

describe('an evaluation set', () => {
  it('is the same for the same seed, person by person, however many are drawn', () => {
    const fewer = buildEvaluationSet(people, random.split('test'), {
      part: 'test',
      kinds: ['direction'],
      count: 20,
      lengths: [8],
    });
    expect(fewer.people.get('direction')).toEqual(set.people.get('direction')!.slice(0, 20));
  });
});

describe('evaluate', () => {
  it('gives chance exactly a half of the pairs and 1/4, 2/4, 3/4 of the tops at every length', async () => {
    for (const outcome of await evaluate(set, [chanceScorer])) {
      expect(new Set(outcome.pairwise)).toEqual(new Set([0.5]));
      expect(outcome.top.map((values) => [...new Set(values)])).toEqual([[0.25], [0.5], [0.75]]);
    }
  });

  it('gives who knows the answer everything', async () => {
    const outcomes = await evaluate(set, [oracle]);
    expect(outcomes.every((outcome) => outcome.pairwise.every((value) => value === 1))).toBe(true);
  });

  it('shows every length the same targets and no more judgements than it says', async () => {
    const targets: number[][] = [];
    const judged: number[] = [];
    const watch = named('watch', (task) => {
      targets.push(targetsOf(task));
      judged.push(task.history.length);
      return new Float64Array(targetsOf(task).length);
    });
    await evaluate(set, [watch]);
    expect(targets.slice(300, 600)).toEqual(targets.slice(0, 300));
    expect([judged[0], judged[300], judged[600]]).toEqual([0, 4, 16]);
  });

  it('refuses scores that do not fit their targets', async () => {
    const short = named('short', () => Float64Array.of(1, NaN));
    await expect(evaluate(set, [short])).rejects.toThrow(
      'short gave [1, NaN] for 6 targets: one finite score each is needed.',
    );
  });
});

describe('baselines', () => {
  it('order unseen targets of unseen people the better the more was judged, and tie without a history', async () => {
    const tuning = buildEvaluationSet(people, random.split('tuning'), {
      part: 'validation',
      kinds: ['direction'],
      count: 60,
      lengths: [8],
    });
    const scorers = baselineScorers(
      'plain',
      new InnerProducts(z, imagesOfPart(pictures, split, 'test')),
      new InnerProducts(z, imagesOfPart(pictures, split, 'validation')),
      tuning.people.get('direction')!,
    );
    const rows = summarise(await evaluate(set, scorers), { random, draws: 100 });
    expect(new Set(rows.map((row) => row.scorer)).size).toBe(4);
    for (const { name } of scorers) {
      const [none, few, many] = rows.filter((row) => row.scorer === name).map((row) => row.pairwise);
      expect(none!.mean).toBe(0.5);
      expect(few!.mean - 2 * few!.crossedError).toBeGreaterThan(0.5);
      expect(many!.mean).toBeGreaterThan(few!.mean);
    }
  });
});

describe('history lengths', () => {
  const task = (likes: number): Task => ({
    history: Array.from({ length: likes }, (_, image) => ({ image, sentiment: 'LIKE', weight: 1 })),
    liked: [1],
    disliked: [2],
  });

  it('name the whole history where it is longer than the longest', () => {
    expect(lengthsFor([task(3), task(16)])).toEqual(HISTORY_LENGTHS);
    expect(lengthsFor([task(3), task(17)])).toEqual([...HISTORY_LENGTHS, 'all']);
  });

  it('measure one side alone, and all there is', async () => {
    const read: string[] = [];
    const watch = named('watch', ({ history, liked, disliked }) => {
      const likes = history.filter(({ sentiment }) => sentiment === 'LIKE').length;
      read.push(`${likes}+${history.length - likes}`);
      return new Float64Array(liked.length + disliked.length);
    });
    const lengths = [{ likes: 4, dislikes: 0 }, { likes: 0, dislikes: 4 }, 'all'] as const;
    const one = { lengths, people: new Map([['one', [set.people.get('direction')![0]!]]]) };
    const outcomes = await evaluate(one, [watch]);
    expect(read).toEqual(['4+0', '0+4', '8+8']);
    expect(outcomes.map(({ length }) => length)).toEqual(['4+0', '0+4', 'all']);
  });
});

describe('a report', () => {
  const options = { reference: 'oracle', random: new Random('bootstrap'), draws: 100 };

  it('holds the others against the reference on the same people', async () => {
    const rows = summarise(await evaluate(set, [chanceScorer, oracle]), options);
    const chance = rows.find((row) => row.scorer === 'chance' && row.length === '2+2')!;
    expect(chance).toMatchObject({ kind: 'direction', subset: 'all', people: 300, pairs: 2700 });
    expect(chance.difference).toEqual({
      ...{ mean: 0.5, standardError: 0, low: 0.5, high: 0.5 },
      crossedError: expect.closeTo(0, 12),
    });
    expect(rows.find((row) => row.scorer === 'oracle')!.difference).toBeNull();
    const markdown = markdownReport(rows, 'oracle');
    expect(markdown).toContain('| scorer | 0+0 | 2+2 | 8+8 |');
    expect(markdown).toContain('| chance | 50.0 ± 0.0 [50.0, 50.0] |');
    expect(markdown).toContain('| chance | +50.0 ± 0.0 [+50.0, +50.0] |');
    expect(JSON.parse(JSON.stringify(rows))).toHaveLength(6);
  });

  it('measures pairs of one cluster, and pairs against the mean, apart', async () => {
    // Images are liked by the even people; targets 0 and 1 share a prompt, and others like 1 better than 0.
    const person = (liked: number, disliked: number): Task => ({
      history: [],
      liked: [liked],
      disliked: [disliked],
      clusters: [liked >> 1, disliked >> 1],
      popularity: [liked, disliked].map((image) => ({ sum: image === 1 ? 2 : 0, count: 2 })),
    });
    const people = new Map([['few', [person(0, 1), person(1, 0), person(4, 0), person(4, 6)]]]);
    const favourite = named('likes 4 and 1', ({ liked, disliked }) =>
      Float64Array.from([...liked, ...disliked], (image) => (image === 4 ? 2 : image === 1 ? 1 : 0)),
    );
    const rows = summarise(await evaluate({ lengths: [0], people }, [favourite]), options);
    const of = (subset: string) => rows.find((row) => row.subset === subset)!;
    expect(of('all')).toMatchObject({ people: 4, pairs: 4, pairwise: { mean: 0.75 } });
    expect(of('same cluster')).toMatchObject({ people: 2, pairs: 2, pairwise: { mean: 0.5 } });
    expect(of('against the mean')).toMatchObject({ people: 1, pairs: 1, pairwise: { mean: 0 } });
    expect(of('all').top).toBeNull();
    const markdown = markdownReport(rows);
    expect(markdown).toContain('### Pairs of two images drawn with the same thing');
    expect(markdown).toContain('### Pairs where the person disagrees with the mean of the others');
    expect(markdown).not.toContain('Top-1');
  });
});
