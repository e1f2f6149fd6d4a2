/** A model that serves: what it refuses to load, item vectors, and scores that no batch changes. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fromHalfFloats, toHalfFloats } from '../../src/halfFloats.ts';
import {
  type ItemVector,
  type Judgement,
  PreferenceModel,
  type ScoreRequest,
  SHIPPED_MODEL,
  type TargetScore,
} from '../../src/inference/preferenceModel.ts';
import { MAX_RECENT } from '../../src/inference/userState.ts';
import { itemVectorSize } from '../../src/model/architecture.ts';
import { encodeWeights, type ModelArtifact, sha256Of } from '../../src/model/artifact.ts';
import { parameterLayout } from '../../src/model/parameters.ts';
import { Random } from '../../src/random.ts';
import { encodedItems, SMALL_ARCHITECTURE, SMALL_EMBEDDINGS, smallArtifact } from '../support/model.ts';

const largestDifference = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Math.max(a.length === b.length ? 0 : Infinity, ...Array.from(a, (value, i) => Math.abs(value - b[i]!)));
const numbersOf = (score: TargetScore) => [
  score.like,
  score.dislike,
  score.value,
  score.standardError,
  ...score.tokenAttention,
  ...score.historyAttention,
];
const margin = ({ like, dislike }: TargetScore) => like - dislike;

/** `count` judgements of the items in turn, likes and dislikes of several weights mixed. */
function judge(items: readonly ItemVector[], count: number, seed = 'judgements'): Judgement[] {
  const random = new Random(seed);
  return Array.from({ length: count }, (_, i) => ({
    item: items[i % items.length]!,
    sentiment: random.pick(['LIKE', 'DISLIKE'] as const),
    weight: random.pick([0.5, 1, 1, 2]),
  }));
}

describe('loading a model', () => {
  const artifact = smallArtifact();
  const weights = encodeWeights(artifact);
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'palate-model-'));
  });
  afterEach(() => rm(directory, { recursive: true }));

  const store = async (manifest: string, bytes: Uint8Array | null = weights) => {
    await writeFile(join(directory, 'manifest.json'), manifest);
    if (bytes) await writeFile(join(directory, artifact.manifest.weights.file), bytes);
  };
  const manifestWith = (changes: object) => JSON.stringify({ ...artifact.manifest, ...changes });
  const failsBecause = async (reason: string) => {
    const error = await PreferenceModel.load(directory).catch((thrown) => thrown);
    expect(error.code).toBe('BAD_USER_INPUT');
    // jest's `Error` is not the file system's, so there the reason begins with "Error: ".
    expect(error.message.replace('read: Error: ', 'read: ')).toBe(
      `The model in ${directory} cannot be read: ${reason}`,
    );
  };

  it('gives the model that was stored', async () => {
    await store(manifestWith({}));
    const [stored, kept] = await Promise.all([PreferenceModel.load(directory), PreferenceModel.open(artifact)]);
    const items = encodedItems('stored', 5);
    expect(await stored.itemVectors(items)).toEqual(await kept.itemVectors(items));
    expect(stored.sha256).toBe(sha256Of(weights));
    expect(stored.towerHash).toBe(kept.towerHash);
    const { imageEncoder, textEncoder, layers, heads, tokens } = stored;
    expect({ imageEncoder, textEncoder, layers, heads, tokens }).toEqual({
      imageEncoder: 'a'.repeat(64),
      textEncoder: 'b'.repeat(64),
      layers: 2,
      heads: 2,
      tokens: 5,
    });
    await Promise.all([stored.close(), kept.close()]);
  });

  it('says which file is not there', async () => {
    await failsBecause(`ENOENT: no such file or directory, open '${join(directory, 'manifest.json')}'`);
    await store(manifestWith({}), null);
    await failsBecause(`ENOENT: no such file or directory, open '${join(directory, 'weights.bin')}'`);
  });

  it.each(['{"format": "palate-mo', ''])('says that the manifest is not JSON: %j', async (text) => {
    await store(text);
    await failsBecause('manifest.json is not JSON.');
  });

  it('says which field of the manifest does not fit', async () => {
    await store('null');
    await failsBecause('manifest.json does not fit: ✖ Invalid input: expected object, received null');
    await store(manifestWith({ format: 'palate-model-2' }));
    await failsBecause(
      'manifest.json is of the format "palate-model-2"; this version of Palate reads palate-model-1. Use the one that made it.',
    );
    await store(manifestWith({ format: 1 }));
    await failsBecause('manifest.json does not fit: ✖ Invalid input: expected "palate-model-1"\n  → at format');
    await store(manifestWith({ calibration: { ...artifact.manifest.calibration, temperature: 0 } }));
    await failsBecause(
      'manifest.json does not fit: ✖ Too small: expected number to be >0\n  → at calibration.temperature',
    );
  });

  it('refuses weights that are not those of the manifest', async () => {
    const changed = weights.slice();
    changed[100]! ^= 1;
    await store(manifestWith({}), changed);
    await failsBecause(
      `weights.bin: SHA-256 is ${sha256Of(changed)}, the manifest says ${sha256Of(weights)}. Copy the file again.`,
    );
  });

  it('refuses weights of another size than the architecture has', async () => {
    const needed = weights.length / 4;
    for (const bytes of [weights.slice(0, -8), new Uint8Array([...weights, 0, 0, 0, 0])]) {
      await store(manifestWith({ weights: { ...artifact.manifest.weights, sha256: sha256Of(bytes) } }), bytes);
      await failsBecause(`weights.bin holds ${bytes.length / 4} numbers; this architecture has ${needed}.`);
    }
  });
});

describe('item vectors', () => {
  let model: PreferenceModel;
  beforeAll(async () => {
    model = await PreferenceModel.open(smallArtifact());
  });
  afterAll(() => model.close());

  it('are an embedding and two metrics of length 1, the second one 0 without a prompt', async () => {
    const encoded = encodedItems('vectors', 6);
    const vectors = await model.itemVectors(encoded);
    for (const [i, vector] of vectors.entries()) {
      expect(vector).toHaveLength(itemVectorSize(SMALL_ARCHITECTURE));
      expect(Math.hypot(...model.imageMetric(vector))).toBeCloseTo(1, 2);
      const { width, imageMetric } = SMALL_ARCHITECTURE;
      expect(Math.hypot(...fromHalfFloats(vector.subarray(width + imageMetric)))).toBeCloseTo(
        encoded[i]!.text ? 1 : 0,
        2,
      );
    }
    expect(await model.itemVectors([])).toEqual([]);
  });

  it('need embeddings of the size that the model reads', async () => {
    const text = new Float32Array(SMALL_EMBEDDINGS.text);
    await expect(model.itemVectors([{ image: new Float32Array(7), text }])).rejects.toMatchObject({
      code: 'INTERNAL_SERVER_ERROR',
      message: 'An image embedding has 7 numbers; this model reads 20.',
    });
    await expect(model.itemVectors([{ image: new Float32Array(20), text: new Float32Array(384) }])).rejects.toThrow(
      'prompt embedding has 384 numbers; this model reads 10.',
    );
  });

  it('are shared by models whose tower is the same, whatever the rest', async () => {
    const blocks = await PreferenceModel.open(smallArtifact({ set: { 'block0.attentionOutput': 0.1, label: 1 } }));
    const metric = await PreferenceModel.open(smallArtifact({ set: { 'metric.imageBias': 0.1 } }));
    const otherEncoder = smallArtifact();
    const encoders = { image: 'c'.repeat(64), text: 'b'.repeat(64) };
    const encoder = await PreferenceModel.open({ ...otherEncoder, manifest: { ...otherEncoder.manifest, encoders } });
    expect(blocks.towerHash).toBe(model.towerHash);
    expect(new Set([model, metric, encoder].map(({ towerHash }) => towerHash)).size).toBe(3);
    await Promise.all([blocks, metric, encoder].map((other) => other.close()));
  });
});

describe('scores', () => {
  let model: PreferenceModel;
  let items: ItemVector[];
  beforeAll(async () => {
    model = await PreferenceModel.open(smallArtifact());
    items = await model.itemVectors(encodedItems('scores', 60));
  });
  afterAll(() => model.close());

  /** Opens a model for one use. */
  async function withModel<T>(artifact: ModelArtifact, use: (model: PreferenceModel) => Promise<T>): Promise<T> {
    const opened = await PreferenceModel.open(artifact);
    try {
      return await use(opened);
    } finally {
      await opened.close();
    }
  }

  it('of many requests of different sizes are those of each alone, in their order', async () => {
    const states = await model.userStates([0, 1, 5, 16, 40].map((count) => judge(items, count, `person ${count}`)));
    const requests: ScoreRequest[] = [3, 0, 17, 1, 8].map((count, i) => ({
      state: states[i]!,
      targets: items.slice(i, i + count),
      popularity: Array.from({ length: count }, (_, t) => ({ sum: t - 2, count: 5 })),
    }));
    const together = await model.score(requests);
    expect(together.map((scores) => scores.length)).toEqual([3, 0, 17, 1, 8]);
    for (const [i, request] of requests.entries()) {
      const alone = (await model.score([request]))[0]!;
      expect(together[i]!.flatMap(numbersOf)).toEqual(alone.flatMap(numbersOf)); // to the last digit
    }
    expect(new Set(together.flat().map(margin)).size).toBe(29);
  });

  it('of more targets than one run takes are those of each alone', async () => {
    const states = await model.userStates([judge(items, 4, 'a'), judge(items, 9, 'b'), judge(items, 2, 'c')]);
    const many = Array.from({ length: 9_000 }, (_, t) => items[(7 * t) % items.length]!);
    const requests = [many.slice(0, 2), many, many.slice(0, 8_000)].map((targets, i) => ({
      state: states[i]!,
      targets,
    }));
    const scores = await model.score(requests);
    expect(scores.map(({ length }) => length)).toEqual([2, 9_000, 8_000]);
    for (const [i, t] of [
      [0, 1],
      [1, 0],
      [1, 8_999],
      [2, 7_999],
    ] as const) {
      const alone = (await model.score([{ state: states[i]!, targets: [many[t]!] }]))[0]!;
      expect(largestDifference(numbersOf(scores[i]![t]!), numbersOf(alone[0]!))).toBeLessThan(1e-5);
    }
  });

  it('name the attention of every head and of every judgement that the blocks read', async () => {
    const states = await model.userStates([judge(items, 40), judge(items, 2), []]);
    const scores = await model.score(states.map((state) => ({ state, targets: items.slice(50) })));
    const heads = model.layers * model.heads;
    for (const [i, { blockJudgements }] of states.entries()) {
      for (const { tokenAttention, historyAttention } of scores[i]!) {
        expect(tokenAttention).toHaveLength(heads * model.tokens);
        for (let head = 0; head < heads; head++) {
          const own = tokenAttention.subarray(head * model.tokens, (head + 1) * model.tokens);
          expect(own.reduce((sum, share) => sum + share, 0)).toBeCloseTo(1, 5);
        }
        expect(historyAttention).toHaveLength(blockJudgements.length);
        // The rest is the target's own.
        expect(historyAttention.reduce((sum, share) => sum + share, 0)).toBeLessThan(1);
      }
    }
  });

  it('are P(like) by the calibration of the model, and surer the more was judged', async () => {
    const calibration = { temperature: 0.4, offset: 0.3, likeRateWeight: 0.5 };
    await withModel(smallArtifact({ calibration }), async (calibrated) => {
      const liked = (count: number): Judgement[] =>
        items.slice(0, count).map((item, i) => ({ item, sentiment: i % 4 ? 'LIKE' : 'DISLIKE', weight: 1 }));
      const states = await calibrated.userStates([liked(0), liked(4), liked(16)]);
      const errors = (await calibrated.score(states.map((state) => ({ state, targets: [items[40]!] })))).map(
        ([score], i) => {
          const { likes, dislikes } = states[i]!;
          const logOdds = 0.4 * margin(score!) + 0.3 + 0.5 * Math.log((likes + 1) / (dislikes + 1));
          expect(score!.value).toBeCloseTo(1 / (1 + Math.exp(-logOdds)), 6);
          return score!.standardError / (score!.value * (1 - score!.value));
        },
      );
      // Measured at 0 and at 16 judgements; 4 lie half way between in their square roots.
      expect(errors.map((error) => Number(error.toFixed(6)))).toEqual([2, 1.25, 0.5]);
    });
  });

  it('of a person who judged nothing tie at the calibrated like rate where nothing is known of people in general', async () => {
    const artifact = smallArtifact({ set: { 'prior.gain': 0 }, calibration: { offset: 0.7 } });
    await withModel(artifact, async (base) => {
      const [state] = await base.userStates([[]]);
      const scores = (await base.score([{ state: state!, targets: items }]))[0]!;
      expect(new Set(scores.map(margin))).toEqual(new Set([0]));
      expect(new Set(scores.map(({ value }) => value))).toEqual(new Set([1 / (1 + Math.exp(-0.7))]));
    });
  });

  it('of a person who judged nothing are the population prior alone', async () => {
    const { parameters } = smallArtifact();
    const range = parameterLayout(SMALL_ARCHITECTURE).range;
    const of = (name: string) => parameters.subarray(range(name).start, range(name).end);
    const [ridge, constant] = [of('prior.ridge'), of('prior.constant')[0]!];
    const pseudoCount = Math.exp(of('prior.logPseudoCount')[0]!);
    const popularity = items.map((_, t) => ({ sum: (t % 7) - 3, count: 3 + (t % 4) }));
    const [state] = await model.userStates([[]]);
    const scores = (await model.score([{ state: state!, targets: items, popularity }]))[0]!;
    for (const [t, item] of items.entries()) {
      const expected = fromHalfFloats(item).reduce((sum, value, i) => sum + value * ridge[i]!, constant);
      const { sum, count } = popularity[t]!;
      const prior = (of('prior.gain')[0]! * (sum + pseudoCount * expected)) / (count + pseudoCount);
      expect(margin(scores[t]!)).toBeCloseTo(prior, 5);
      expect(scores[t]!.value).toBeCloseTo(1 / (1 + Math.exp(-prior)), 5);
    }
    expect(new Set(scores.map(margin)).size).toBeGreaterThan(50);
  });

  it('read every judgement of a history longer than is kept one by one', async () => {
    const long = judge(items, MAX_RECENT + 100);
    const turned = long.map(
      (judgement, i): Judgement =>
        i < MAX_RECENT ? judgement : { ...judgement, sentiment: judgement.sentiment === 'LIKE' ? 'DISLIKE' : 'LIKE' },
    );
    const margins = async (history: Judgement[], by: PreferenceModel) => {
      const [state] = await by.userStates([history]);
      return (await by.score([{ state: state!, targets: items }]))[0]!.map(margin);
    };
    const moved = await withModel(smallArtifact({ set: { 'metricPath.image.prototypeGain': 8 } }), async (prototypes) =>
      largestDifference(await margins(long, prototypes), await margins(turned, prototypes)),
    );
    expect(moved).toBeGreaterThan(0.1);
    // What is left without the prototypes and the probe, both made from sums, reads the newest alone.
    const newestOnly = smallArtifact({
      set: { 'metricPath.image.prototypeGain': 0, 'metricPath.text.prototypeGain': 0, 'tokenPath.gain': 0 },
    });
    await withModel(newestOnly, async (kernel) => {
      expect(await margins(turned, kernel)).toEqual(await margins(long, kernel));
      const newer = judge(items, MAX_RECENT + 100, 'others');
      expect(largestDifference(await margins(newer, kernel), await margins(long, kernel))).toBeGreaterThan(0.1);
    });
  });

  it('are turned round when likes and dislikes change places', async () => {
    const history = judge(items, 12);
    const opposite = history.map((j): Judgement => ({ ...j, sentiment: j.sentiment === 'LIKE' ? 'DISLIKE' : 'LIKE' }));
    const silent = { 'head.output': 0, 'head.outputBias': 0, 'tokenPath.gain': 0, 'prior.gain': 0 };
    await withModel(smallArtifact({ set: silent }), async (metricOnly) => {
      const states = await metricOnly.userStates([history, opposite]);
      const [one, other] = await metricOnly.score(states.map((state) => ({ state, targets: items })));
      expect(
        largestDifference(
          one!.map(margin),
          other!.map((score) => -margin(score)),
        ),
      ).toBeLessThan(1e-5);
      expect(Math.max(...one!.map(margin))).toBeGreaterThan(0.05);
    });
  });
});

it('gives the base model’s scores the same last digit, whoever else asks', async () => {
  const model = await PreferenceModel.load(SHIPPED_MODEL);
  const random = new Random('last digits');
  const size = itemVectorSize(model.manifest.architecture);
  const items = Array.from({ length: 64 }, () =>
    toHalfFloats(Float32Array.from({ length: size }, () => 0.3 * random.normal())),
  );
  const judge = (count: number): Judgement[] =>
    Array.from({ length: count }, (_, i) => ({
      item: items[i % 64]!,
      sentiment: i % 3 ? 'LIKE' : 'DISLIKE',
      weight: 1,
    }));
  const states = await model.userStates([0, 1, 7, 33, 64, 150, 300].map(judge));
  const ask = (u: number, targets: number) => ({ state: states[u]!, targets: items.slice(0, targets) });
  for (const targets of [1, 2, 7, 50]) {
    const together = await model.score(
      states.map((_, u) => ask(u, targets)),
      { attention: false },
    );
    for (const u of states.keys()) {
      const [alone] = await model.score([ask(u, targets)], { attention: false });
      const [among] = await model.score([ask(u, targets), ask((u + 1) % states.length, 64)], { attention: false });
      expect([alone, among]).toEqual([together[u], together[u]]);
    }
  }
  await model.close();
});
