/** Training runs on a problem that can be learned: phases, what is frozen, when it stops. */
import { openSession, type Session, type Tensor, type Tensors } from '../../src/inference/session.ts';
import { initialParameters, parameterLayout } from '../../src/model/parameters.ts';
import { type BatchShape, trainingGraph } from '../../src/model/trainingGraph.ts';
import { Random } from '../../src/random.ts';
import { phases } from '../../src/training/base/recipe.ts';
import { Batcher } from '../../src/training/batches.ts';
import { pairwiseAccuracy } from '../../src/training/evaluation/metrics.ts';
import { dot, matrix, row } from '../../src/training/fitting/linearAlgebra.ts';
import type { Task } from '../../src/training/tasks.ts';
import { type Phase, type StepReport, type TrainerOptions, trainPhase } from '../../src/training/trainer.ts';
import { SMALL_ARCHITECTURE as ARCHITECTURE } from '../support/model.ts';

/**
 * A problem that can be learned: a taste turns on the first three numbers of a picture, the other nine are louder and
 * tell nothing. Who begins with all twelve alike has to find that out.
 */
const TELLING = 3;
const NOISE = 2;
const PICTURES = 800;
const z = (() => {
  const random = new Random('pictures');
  const size = ARCHITECTURE.imageInputs;
  return matrix(
    PICTURES,
    size,
    Array.from({ length: PICTURES * size }, (_, i) => (i % size < TELLING ? 1 : NOISE) * random.normal()),
  );
})();
const prompts = matrix(1, ARCHITECTURE.textInputs);
const SHAPE: BatchShape = { users: 32, judgements: 8, pairs: 2 };

/** A new person, who judged `SHAPE.judgements` of one half of the pictures: the first half for learning. */
function task(random: Random, half: 0 | 1): Task {
  const taste = Array.from({ length: TELLING }, () => random.normal());
  const draw = (count: number, sign: number) => {
    const images: number[] = [];
    while (images.length < count) {
      const image = (half * PICTURES) / 2 + random.int(PICTURES / 2);
      if (sign * dot(taste, row(z, image)) > 0) images.push(image);
    }
    return images;
  };
  const judged = SHAPE.judgements / 2;
  const judge = (images: number[], sentiment: 'LIKE' | 'DISLIKE') =>
    images.map((image) => ({ image, sentiment, weight: 1 }));
  return {
    history: [...judge(draw(judged, 1), 'LIKE'), ...judge(draw(judged, -1), 'DISLIKE')],
    liked: draw(SHAPE.pairs, 1),
    disliked: draw(SHAPE.pairs, -1),
  };
}

const layout = parameterLayout(ARCHITECTURE);
const start = initialParameters(ARCHITECTURE, new Random('start'));
const LOSSES = { base: 1, contrastive: 1, token: 1, information: 1, twins: 1 };
const phase = (changes: Partial<Phase> = {}): Phase => ({
  name: 'toy',
  steps: 120,
  learningRate: 0.01,
  losses: LOSSES,
  rate: () => 1,
  patience: 100,
  ...changes,
});

/** Batches of people of the first half; the same seed gives the same batches. */
function batches(seed: string): () => Tensors {
  const batcher = new Batcher(ARCHITECTURE, SHAPE, { images: z, prompts }, seed);
  const random = new Random(seed);
  return () =>
    batcher.feeds(
      Array.from({ length: SHAPE.users }, () => task(random, 0)),
      random,
    );
}

const flat = (data: Float32Array): Tensor => ({ dtype: 'float32', dims: [data.length], data });
const scalar = (value: number): Tensor => ({ dtype: 'float32', dims: [], data: Float32Array.of(value) });

let trainingStep: Session;
beforeAll(async () => {
  trainingStep = await openSession(trainingGraph(ARCHITECTURE, SHAPE, LOSSES, { exposeGradient: true }));
});
afterAll(() => trainingStep.close());

/** Loss and logits of weights on a batch, by the graph that trains. */
async function forward(weights: Float32Array, batch: Tensors): Promise<{ base: number; logits: Float32Array }> {
  const zeros = () => flat(new Float32Array(layout.size));
  const still = {
    firstMoment: zeros(),
    secondMoment: zeros(),
    rates: zeros(),
    decay: zeros(),
    learningRate: scalar(0),
  };
  const corrections = { correction1: scalar(1), correction2: scalar(1) };
  const { base, logits } = await trainingStep.run({ ...batch, ...still, ...corrections, weights: flat(weights) });
  return { base: Number(base!.data[0]), logits: logits!.data as Float32Array };
}

/** Pairwise accuracy on people and pictures that no batch holds. */
const heldOut = (() => {
  const random = new Random('held out');
  const batcher = new Batcher(ARCHITECTURE, SHAPE, { images: z, prompts }, 'held out');
  const made = Array.from({ length: 8 }, () =>
    batcher.feeds(
      Array.from({ length: SHAPE.users }, () => task(random, 1)),
      random,
    ),
  );
  return async (weights: Float32Array): Promise<number> => {
    const accuracies: number[] = [];
    for (const batch of made) {
      const { logits } = await forward(weights, batch);
      const { users, pairs } = SHAPE;
      const margins = Array.from({ length: users * 2 * pairs }, (_, i) => logits[2 * i]! - logits[2 * i + 1]!);
      for (let u = 0; u < users; u++) {
        const own = margins.slice(u * 2 * pairs, (u + 1) * 2 * pairs);
        accuracies.push(pairwiseAccuracy(own.slice(0, pairs), own.slice(pairs)));
      }
    }
    return accuracies.reduce((sum, value) => sum + value, 0) / accuracies.length;
  };
})();

const asMeasured = (accuracy: number) => ({ accuracy, score: accuracy });

/** Rises at every measurement: the last averaged weights are handed back. */
const rising = () => {
  let measured = 0;
  return async () => ({ accuracy: measured, score: measured++ });
};

const train = (given: Float32Array, ofPhase: Phase, options: Partial<TrainerOptions> = {}) =>
  trainPhase(given, ofPhase, {
    architecture: ARCHITECTURE,
    shape: SHAPE,
    measureEvery: ofPhase.steps,
    nextBatch: batches('batches'),
    measure: rising(),
    ...options,
  });

describe('a training run', () => {
  it('lowers the loss and orders the targets of people whom it never met better than before', async () => {
    const steps: StepReport[] = [];
    const before = await heldOut(start);
    const { weights, accuracy } = await train(start, phase(), {
      measureEvery: 40,
      measure: async (weights) => asMeasured(await heldOut(weights)),
      onStep: (report) => steps.push(report),
    });
    const mean = (some: StepReport[]) => some.reduce((sum, { base }) => sum + base, 0) / some.length;
    expect(accuracy).toBeGreaterThan(before + 0.1);
    expect(await heldOut(weights)).toBe(accuracy);
    expect(mean(steps.slice(-10))).toBeLessThan(0.9 * mean(steps.slice(0, 10)));
    expect(steps.map(({ step }) => step)).toEqual(Array.from({ length: 120 }, (_, i) => i + 1));
    expect(steps.filter(({ validationAccuracy }) => validationAccuracy !== null).map(({ step }) => step)).toEqual([
      40, 80, 120,
    ]);
    expect(steps[0]).toMatchObject({ phase: 'toy', steps: 120 });
    expect(Math.min(...steps.map(({ gradientNorm }) => gradientNorm))).toBeGreaterThan(0);
  });

  it('gives bit-identical weights from the same seed on one thread, and others from another', async () => {
    const short = phase({ steps: 15 });
    const run = async (seed: string) => (await train(start, short, { nextBatch: batches(seed) })).weights;
    const [first, again, other] = await Promise.all([run('a'), run('a'), run('b')]);
    expect(again).toEqual(first);
    expect(other).not.toEqual(first);
  });

  it('does not move what is frozen, by gradient or by decay, and moves everything else that learns', async () => {
    const frozen = (name: string) => name.startsWith('metric.') || name.startsWith('block0.');
    const { weights } = await train(start, phase({ steps: 10, rate: (name) => (frozen(name) ? 0 : 1) }));
    const moved = layout.specs
      .filter(({ name }) => {
        const { start: from, end } = layout.range(name);
        return weights.subarray(from, end).some((value, i) => value !== start[from + i]);
      })
      .map(({ name }) => name);
    expect(moved.filter(frozen)).toEqual([]);
    expect(moved).toEqual(expect.arrayContaining(['item.image', 'tokens', 'block1.queryKeyValue', 'head.output']));
  });

  it('stops when the measure has not risen for a while and gives back the weights that did best', async () => {
    const measures = [0.5, 0.6, 0.7, 0.65, 0.7, 0.9];
    const seen: Float32Array[] = [];
    let last = 0;
    const { weights, accuracy } = await train(start, phase({ patience: 2 }), {
      measureEvery: 5,
      // Accuracy falls where the score rises: it is the score that chooses.
      measure: async (measured) => {
        const score = measures[seen.push(measured.slice()) - 1]!;
        return { accuracy: 1 - score, score };
      },
      onStep: (report) => {
        last = report.step;
      },
    });
    expect(seen).toHaveLength(5); // the start, 0.6, the best, and two that are no better
    expect(last).toBe(20);
    expect(accuracy).toBeCloseTo(0.3, 12);
    expect(weights).toEqual(seen[2]);
    expect(weights).not.toEqual(seen[4]);
  });

  it('gives back the start where nothing did better', async () => {
    const { weights, accuracy } = await train(start, phase({ steps: 6 }), {
      measureEvery: 2,
      measure: async () => asMeasured(0.5),
    });
    expect(accuracy).toBe(0.5);
    expect(weights).toEqual(start);
  });

  it('of no steps is its start', async () => {
    const { weights } = await train(start, phase({ steps: 0 }));
    expect(weights).toEqual(start);
  });

  it('says at which step it diverged', async () => {
    await expect(train(start, phase({ steps: 20, learningRate: 1e30 }))).rejects.toMatchObject({
      code: 'INTERNAL_SERVER_ERROR',
      message: expect.stringMatching(/^Training diverged at step \d+: the loss is (NaN|Infinity)\.$/),
    });
  });
});

describe('the two phases', () => {
  const [network, tokens] = phases({ network: 20, tokens: 3 });
  let first: Float32Array;
  beforeAll(async () => {
    first = (await train(start, network)).weights;
  });

  it('leave the tokens silent in the first: its last logits do not depend on them', async () => {
    const batch = batches('held out')();
    const others = first.slice();
    const random = new Random('other tokens');
    for (const name of ['tokens', 'probe', 'tokenPath.directions', 'block0.tokenKeys', 'block1.tokenKeys']) {
      const { start: from, end } = layout.range(name);
      for (let i = from; i < end; i++) others[i] = random.normal();
    }
    const [trained, withOthers] = [await forward(first, batch), await forward(others, batch)];
    expect(withOthers.logits).toEqual(trained.logits);
    expect(Math.hypot(...trained.logits)).toBeGreaterThan(1);
  });

  it('begin the second with the last logits of the first', async () => {
    const batch = batches('held out')();
    const steps: StepReport[] = [];
    await train(first, tokens, { nextBatch: () => batch, onStep: (report) => steps.push(report) });
    expect(steps[0]!.base).toBe((await forward(first, batch)).base);
    expect(steps[2]!.base).not.toBe(steps[0]!.base);
  });

  it('move the tokens in the second, whose values began at 0', async () => {
    const { weights } = await train(first, tokens);
    for (const name of ['tokens', 'block0.tokenValues', 'block1.tokenValues', 'tokenPath.gain']) {
      const { start: from, end } = layout.range(name);
      expect(first.subarray(from, end)).toEqual(start.subarray(from, end));
      expect(weights.subarray(from, end)).not.toEqual(start.subarray(from, end));
    }
  });
});
