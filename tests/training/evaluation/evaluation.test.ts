/** The same people for every scorer: chance scores a half, an oracle everything. */
import { Random } from '../../../src/random.ts';
import { InnerProducts } from '../../../src/training/evaluation/baselines.ts';
import {
  baselineScorers,
  buildEvaluationSet,
  chanceScorer,
  evaluate,
  named,
} from '../../../src/training/evaluation/evaluation.ts';
import { markdownReport, summarise } from '../../../src/training/evaluation/report.ts';
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
      expect(outcome.top.map((values) => values[0])).toEqual([0.25, 0.5, 0.75]);
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
    const rows = summarise(await evaluate(set, scorers));
    expect(new Set(rows.map((row) => row.scorer)).size).toBe(4);
    for (const { name } of scorers) {
      const [none, few, many] = rows.filter((row) => row.scorer === name).map((row) => row.pairwise);
      expect(none!.mean).toBe(0.5);
      expect(few!.low).toBeGreaterThan(0.5);
      expect(many!.mean).toBeGreaterThan(few!.mean);
    }
  });
});

describe('a report', () => {
  it('holds the others against the reference on the same people', async () => {
    const rows = summarise(await evaluate(set, [chanceScorer, oracle]), 'oracle');
    const chance = rows.find((row) => row.scorer === 'chance' && row.length === 2)!;
    expect(chance.difference!.mean).toBe(0.5);
    expect(rows.find((row) => row.scorer === 'oracle')!.difference).toBeNull();
    const markdown = markdownReport(rows, 'oracle');
    expect(markdown).toContain('| scorer | 0+0 | 2+2 | 8+8 |');
    expect(markdown).toContain('| chance | 50.0 ± 0.0 | 50.0 ± 0.0 | 50.0 ± 0.0 |');
    expect(markdown).toContain('| chance | +50.0 [+50.0, +50.0] | +50.0 [+50.0, +50.0] | +50.0 [+50.0, +50.0] |');
    expect(JSON.parse(JSON.stringify(rows))).toHaveLength(6);
  });
});
