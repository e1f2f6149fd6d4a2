/** A model measured on a tenant's own people: the same pairs for all, the prior's worth seen, the page whole. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ModelArtifact } from '../../../src/model/artifact.ts';
import { Random } from '../../../src/random.ts';
import {
  BEFORE,
  CANDIDATE,
  evaluateFeedback,
  type FeedbackEvaluation,
} from '../../../src/training/feedback/evaluateFeedback.ts';
import { evaluationFiles } from '../../../src/training/feedback/evaluationPage.ts';
import { fineTune } from '../../../src/training/feedback/fineTune.ts';
import type { Snapshot } from '../../../src/training/feedback/snapshot.ts';
import { smallArtifact } from '../../support/model.ts';
import { smallTenant } from '../../support/tenantFeedback.ts';

const PARENT = smallArtifact({
  set: { 'prior.gain': 0, 'metricPath.image.kernelGain': 1, 'metricPath.image.prototypeGain': 2, 'head.output': 0 },
});

let directory: string;
let snapshot: Snapshot;
let model: ModelArtifact;
let evaluation: FeedbackEvaluation;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'palate-evaluate-'));
  snapshot = await smallTenant(join(directory, 'snapshot'), PARENT, { people: 900, judgements: 14 });
  const trained = await fineTune({ parent: PARENT, snapshot, seed: 1, steps: 0 });
  if (trained.status !== 'TRAINED') throw new Error(trained.reason);
  model = trained.artifact;
  evaluation = (await evaluateFeedback({ snapshot, model, before: PARENT, random: new Random('evaluation') }))!;
});
afterAll(async () => {
  snapshot.close();
  await rm(directory, { recursive: true, force: true });
});

const rowOf = (scorer: string, length = 'all') =>
  evaluation.rows.find((row) => row.scorer === scorer && row.length === length && row.subset === 'all')!;

describe('the evaluation on a tenant’s people', () => {
  it('holds the model against the one before and what else could be used, on the same pairs', () => {
    expect(rowOf(CANDIDATE).difference).toBeNull();
    expect(rowOf(BEFORE).difference!.mean).toBeCloseTo(
      rowOf(CANDIDATE).pairwise.mean - rowOf(BEFORE).pairwise.mean,
      10,
    );
    expect(new Set(evaluation.rows.filter(({ subset }) => subset === 'all').map(({ pairs }) => pairs)).size).toBe(1);
    const names = new Set(evaluation.rows.map(({ scorer }) => scorer.replace(/ \(.*\)/, '')));
    for (const name of ['chance', 'popularity', 'population content model', 'population prior']) {
      expect(names).toContain(name);
    }
    for (const name of ['prototype difference', 'logistic regression', 'kernel ridge', '3 nearest neighbours']) {
      expect([...names].filter((of) => of.startsWith(`${name}, encoder features`))).toHaveLength(2);
    }
  });

  it('sees what a prior is worth: most where nothing was judged', () => {
    const gain = (length: string) => rowOf(BEFORE, length).difference!.mean;
    expect(rowOf(BEFORE, '0+0').pairwise.mean).toBe(0.5);
    expect(gain('0+0')).toBeGreaterThan(0.15);
    expect(gain('all')).toBeGreaterThan(0);
    expect(gain('all')).toBeLessThan(gain('0+0'));
  });

  it('tells of calibration, tokens and time, and is written as a page, numbers and plots', () => {
    expect(evaluation.calibration.after.judgements).toBeGreaterThan(300);
    expect(evaluation.tokens!.groups).toBeNull();
    expect(evaluation.times.judgements).toBeGreaterThan(5);
    const files = evaluationFiles(evaluation);
    expect(files.map(({ name }) => name)).toEqual(['report.md', 'report.json', 'accuracy.svg', 'calibration.svg']);
    const page = files[0]!.content;
    expect(page).toContain(`Feedback ${snapshot.manifest.sha256}`);
    expect(page).not.toMatch(/NaN|undefined|Infinity/);
    expect(JSON.parse(files[1]!.content).rows).toHaveLength(evaluation.rows.length);
  });

  it('is the same for the same draws', async () => {
    const again = await evaluateFeedback({ snapshot, model, before: PARENT, random: new Random('evaluation') });
    expect(again!.rows).toEqual(evaluation.rows);
  });

  it('reads the images of people held out alone, however many others there are', async () => {
    const options = { people: 60, judgements: 14, images: 2_000 };
    const sparse = await smallTenant(join(directory, 'sparse'), PARENT, options);
    const found = await evaluateFeedback({ snapshot: sparse, model: PARENT, random: new Random(1) });
    expect(found!.people).toBeGreaterThan(2);
    expect(found!.times.judgements).toBeGreaterThan(5);
    sparse.close();
  });

  it('is none where nobody can be measured', async () => {
    const few = await smallTenant(join(directory, 'few'), PARENT, { people: 2, judgements: 4 });
    expect(await evaluateFeedback({ snapshot: few, model, random: new Random(1) })).toBeNull();
    few.close();
  });
});
