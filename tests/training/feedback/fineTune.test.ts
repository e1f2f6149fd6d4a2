/** A tenant's training: better on people it never met, the same twice, ended and gone on with, and declined in time. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PreferenceModel } from '../../../src/inference/preferenceModel.ts';
import { type ModelArtifact, towerHash } from '../../../src/model/artifact.ts';
import { parameterLayout } from '../../../src/model/parameters.ts';
import { Random } from '../../../src/random.ts';
import { pairwiseAccuracy } from '../../../src/training/evaluation/metrics.ts';
import { scoreTasks } from '../../../src/training/evaluation/modelScorer.ts';
import { FeedbackBatcher } from '../../../src/training/feedback/batches.ts';
import type { CurvePoint } from '../../../src/training/feedback/checkpoint.ts';
import { type FineTuned, type FineTuneInput, fineTune } from '../../../src/training/feedback/fineTune.ts';
import { heldOutTasks, vectorsOf } from '../../../src/training/feedback/heldOut.ts';
import { fitRidge } from '../../../src/training/feedback/prior.ts';
import type { Snapshot } from '../../../src/training/feedback/snapshot.ts';
import { thin } from '../../../src/training/feedback/thinning.ts';
import { expected } from '../../../src/training/fitting/ridge.ts';
import { SMALL_ARCHITECTURE, smallArtifact } from '../../support/model.ts';
import { smallTenant } from '../../support/tenantFeedback.ts';

/** Its own prior is silent; its history says something, if not much. */
const PARENT = smallArtifact({
  set: { 'prior.gain': 0, 'metricPath.image.kernelGain': 1, 'metricPath.image.prototypeGain': 2, 'head.output': 0 },
});
const SHAPE = { users: 16, judgements: 8, pairs: 2 };
const STEPS = 120;

let directory: string;
let snapshot: Snapshot;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'palate-tenant-'));
  snapshot = await smallTenant(join(directory, 'snapshot'), PARENT, { people: 900, judgements: 14 });
});
afterAll(async () => {
  snapshot.close();
  await rm(directory, { recursive: true, force: true });
});

const train = (changes: Partial<FineTuneInput> = {}): Promise<FineTuned> =>
  fineTune({ parent: PARENT, snapshot, seed: 1, steps: STEPS, shape: SHAPE, ...changes });
const trained = async (changes: Partial<FineTuneInput> = {}): Promise<ModelArtifact> => {
  const result = await train(changes);
  if (result.status !== 'TRAINED') throw new Error(result.reason);
  return result.artifact;
};

/** What a training with nothing special comes to; begun once. */
let once: Promise<ModelArtifact> | null = null;
const usual = (): Promise<ModelArtifact> => {
  once ??= trained();
  return once;
};

/** Mean pairwise accuracy on the people of the test part. */
async function accuracyOf(artifact: ModelArtifact, change: { history?: false; popularity?: false } = {}) {
  const people = heldOutTasks(snapshot, 'test', 1_000);
  const tasks = people.map(({ task: { popularity, ...task } }) => ({
    ...task,
    ...(change.history === false ? { history: [] } : {}),
    ...(change.popularity === false ? {} : { popularity }),
  }));
  const model = await PreferenceModel.open(artifact);
  const scored = await scoreTasks(model, vectorsOf(snapshot, people), tasks);
  await model.close();
  const accuracies = scored.map(({ scores }, i) => {
    const margins = scores.map(({ like, dislike }) => like - dislike);
    return pairwiseAccuracy(margins.slice(0, tasks[i]!.liked.length), margins.slice(tasks[i]!.liked.length));
  });
  return accuracies.reduce((sum, value) => sum + value, 0) / accuracies.length;
}

describe('training on a tenant’s feedback', () => {
  it('learns what people in general like, and each history adds to it, on people it never met', async () => {
    const artifact = await usual();
    const parent = await accuracyOf(PARENT);
    const priorAlone = await accuracyOf(artifact, { history: false, popularity: false });
    const both = await accuracyOf(artifact);
    expect(priorAlone).toBeGreaterThan(0.6);
    expect(both).toBeGreaterThan(priorAlone + 0.02);
    expect(both).toBeGreaterThan(parent + 0.02);
  });

  it('leaves the item tower as it is and says where the model comes from', async () => {
    const artifact = await usual();
    expect(towerHash(artifact)).toBe(towerHash(PARENT));
    expect(artifact.manifest.name).toBe('tenant');
    expect(artifact.manifest.training).toMatchObject({
      parent: PARENT.manifest.weights.sha256,
      feedback: snapshot.manifest.sha256,
      seed: 1,
    });
  });

  it('is the same to the last bit for a seed, and goes on from a checkpoint as if it had not been ended', async () => {
    const checkpoint = join(directory, 'checkpoint');
    const told: number[][] = [];
    const pointOf = ({ step, base, contrastive, loss }: CurvePoint) => [step, base, contrastive, loss];
    const whole = await trained({ onStep: (step) => told.push(pointOf(step)) });
    const { start, end } = parameterLayout(SMALL_ARCHITECTURE).range('tokens');
    expect(whole.parameters.subarray(start, end)).not.toEqual(PARENT.parameters.subarray(start, end));
    const ending = new AbortController();
    const ended = train({
      checkpoint,
      signal: ending.signal,
      onStep: ({ step }) => {
        if (step === 70) ending.abort(new Error('ended'));
      },
    });
    await expect(ended).rejects.toThrow('ended');
    const steps: number[] = [];
    const before: number[][] = [];
    const resumed = await trained({
      checkpoint,
      onResumed: (curve) => before.push(...curve.map(pointOf)),
      onStep: ({ step }) => steps.push(step),
    });
    expect(steps[0]).toBe(51);
    expect(before).toEqual(told.slice(0, 50));
    expect(Buffer.from(resumed.parameters.buffer).equals(Buffer.from(whole.parameters.buffer))).toBe(true);
    expect(resumed.manifest.weights.sha256).toBe(whole.manifest.weights.sha256);
  });

  it('begins anew beside a checkpoint of another run, and refuses a damaged one by its file', async () => {
    const checkpoint = join(directory, 'checkpoint');
    const steps: number[] = [];
    await train({ checkpoint, seed: 3, steps: 50, onStep: ({ step }) => steps.push(step) });
    expect(steps[0]).toBe(1);
    const bytes = await readFile(checkpoint);
    bytes[bytes.length - 1]! ^= 1;
    await writeFile(checkpoint, bytes);
    await expect(train({ checkpoint, seed: 3, steps: 50 })).rejects.toThrow(/checkpoint .* is damaged/);
  });

  it('can give the model another number of tokens', async () => {
    for (const tokens of [3, 8]) {
      const artifact = await trained({ tokens, steps: 0 });
      expect(artifact.manifest.architecture.tokens).toBe(tokens);
      const { start } = parameterLayout(artifact.manifest.architecture).range('tokens');
      const before = parameterLayout(SMALL_ARCHITECTURE).range('tokens').start;
      const kept = 3 * SMALL_ARCHITECTURE.width;
      expect([...artifact.parameters.subarray(start, start + kept)]).toEqual([
        ...PARENT.parameters.subarray(before, before + kept),
      ]);
      await (await PreferenceModel.open(artifact)).close();
    }
  });

  it('declines where there is too little feedback, and says how much is missing', async () => {
    const few = await smallTenant(join(directory, 'few'), PARENT, { people: 30, judgements: 10 });
    expect(await train({ snapshot: few })).toEqual({
      status: 'DECLINED',
      reason: expect.stringMatching(
        /needs 500 likes and dislikes .*\(there are 300\); 5 such people among those held out .* \(there are \d and \d\)\.$/,
      ),
    });
    few.close();
  });

  it('refuses a snapshot of another tower', async () => {
    await expect(train({ parent: smallArtifact({ seed: 'another tower' }) })).rejects.toThrow(
      /item vectors are of the tower \w{64}; the model small reads those of \w{64}/,
    );
  });

  it('has a silent prior where people share no sense of quality', async () => {
    const alone = await smallTenant(join(directory, 'alone'), PARENT, { people: 300, judgements: 14, quality: 0 });
    const artifact = await trained({ snapshot: alone, steps: 0 });
    const at = (name: string) => artifact.parameters[parameterLayout(SMALL_ARCHITECTURE).range(name).start]!;
    expect(Math.abs(at('prior.gain'))).toBeLessThan(0.3);
    alone.close();
  });
});

describe('the population ridge', () => {
  it('foretells an image without what was made of it', () => {
    const ridge = fitRidge(snapshot);
    const item = Float32Array.from({ length: snapshot.manifest.itemSize }, (_, i) => Math.sin(i));
    const images = [...Array(20).keys()];
    expect(images.every((image) => expected(ridge.without(image), item) !== expected(ridge, item))).toBe(true);
    // Images of one fold share a ridge; there are five.
    expect(new Set(images.map((image) => expected(ridge.without(image), item))).size).toBe(5);
  });
});

describe('a batch of feedback', () => {
  const batcher = () =>
    new FeedbackBatcher({
      snapshot,
      architecture: SMALL_ARCHITECTURE,
      shape: SHAPE,
      ridge: fitRidge(snapshot),
      pseudoCount: 3,
      random: new Random('batches'),
    });

  it('depends on its step alone', () => {
    const first = batcher();
    first.feeds(1);
    expect(first.feeds(2)).toEqual(batcher().feeds(2));
    expect(first.feeds(3)).not.toEqual(first.feeds(2));
  });

  it('never shows a target in its history', () => {
    const { items, judged } = batcher().feeds(1);
    const { itemSize } = snapshot.manifest;
    const rows = SHAPE.judgements + 2 * SHAPE.pairs;
    const row = (u: number, r: number) =>
      String((items!.data as Float32Array).subarray((u * rows + r) * itemSize, (u * rows + r + 1) * itemSize));
    let read = 0;
    for (let u = 0; u < SHAPE.users; u++) {
      const places = [...Array(SHAPE.judgements).keys()].filter(
        (place) =>
          judged!.data[2 * (u * SHAPE.judgements + place)] || judged!.data[2 * (u * SHAPE.judgements + place) + 1],
      );
      read += places.length;
      const history = new Set(places.map((place) => row(u, place)));
      for (let t = 0; t < 2 * SHAPE.pairs; t++) expect(history.has(row(u, SHAPE.judgements + t))).toBe(false);
    }
    expect(read).toBeGreaterThan(SHAPE.users);
  });
});

describe('thinned popularity', () => {
  it('is some of the judgements, in the same proportion, from none to all', () => {
    const random = new Random('thin');
    const drawn = Array.from({ length: 4_000 }, () => thin({ sum: 10, count: 20 }, random));
    const counts = new Set(drawn.map(({ count }) => count));
    expect(Math.min(...counts)).toBe(0);
    expect(Math.max(...counts)).toBe(20);
    const total = (of: (p: { sum: number; count: number }) => number) => drawn.reduce((sum, p) => sum + of(p), 0);
    expect(total(({ sum }) => sum) / total(({ count }) => count)).toBeCloseTo(0.5, 1.5);
    expect(drawn.every(({ sum, count }) => Math.abs(sum) <= count)).toBe(true);
    expect(thin({ sum: 0, count: 0 }, random)).toEqual({ sum: 0, count: 0 });
  });
});
