/** The base model over drawn pictures: the closed form that it starts from, and what a short training makes of it. */
import { PreferenceModel } from '../../../src/inference/preferenceModel.ts';
import { BASE_ARCHITECTURE } from '../../../src/model/architecture.ts';
import { encodeWeights, parseManifest, sha256Of } from '../../../src/model/artifact.ts';
import { Random } from '../../../src/random.ts';
import { trainBaseModel } from '../../../src/training/base/baseModel.ts';
import { type BaseModel, type BaseModelInput, closedForm } from '../../../src/training/base/closedForm.ts';
import { pairwiseAccuracy } from '../../../src/training/evaluation/metrics.ts';
import { scoreTasks } from '../../../src/training/evaluation/modelScorer.ts';
import { dot, matrix, row } from '../../../src/training/fitting/linearAlgebra.ts';
import { itemVectorsOf } from '../../../src/training/itemVectors.ts';
import { SimulatedPeople } from '../../../src/training/simulation/people.ts';
import { readPictures } from '../../../src/training/simulation/pictures.ts';
import { type Task, targetsOf } from '../../../src/training/tasks.ts';

const ARTISTS = 600;
const PICTURES_EACH = 2;
const FEATURES = 257;

/** Two pictures of each of 600 artists, which look alike; artists of one tag are a little alike too. */
function syntheticInput(): BaseModelInput {
  const random = new Random('features');
  const normals = () => Float64Array.from({ length: FEATURES }, () => random.normal());
  const tags = Array.from({ length: 10 }, normals);
  const artists = Array.from({ length: ARTISTS }, () => {
    const own = random.choose([...tags.keys()], 2);
    const style = normals().map((value, i) => value + own.reduce((sum, tag) => sum + tags[tag]![i]!, 0));
    return { style, categories: own.map((tag) => `tag ${tag}`) };
  });
  const metadata = Array.from({ length: ARTISTS * PICTURES_EACH }, (_, i) => {
    const artist = Math.floor(i / PICTURES_EACH);
    return { file: `${i}.jpg`, artist: `artist ${artist}`, categories: artists[artist]!.categories };
  });
  const features = metadata.flatMap((_, i) =>
    Array.from(artists[Math.floor(i / PICTURES_EACH)]!.style, (value) => 5 + value + random.normal()),
  );
  return {
    pictures: readPictures(metadata),
    features: matrix(metadata.length, FEATURES, features),
    promptEmbeddings: matrix(
      200,
      70,
      Array.from({ length: 200 * 70 }, () => random.normal()),
    ),
    encoders: { image: 'a'.repeat(64), text: 'b'.repeat(64) },
    seed: 1,
    steps: { network: 0, tokens: 0 },
    about: { name: 'synthetic', description: 'A test.', licence: 'Apache-2.0', training: { pictures: 1200 } },
  };
}

describe('the base model before its first step', () => {
  const input = syntheticInput();
  let base: BaseModel;
  let model: PreferenceModel;
  beforeAll(async () => {
    base = await trainBaseModel(input);
    model = await PreferenceModel.open(base.artifact);
  }, 120_000); // a thousand people for the calibration, seven seconds on an idle core
  afterAll(() => model.close());

  /** People of every kind that has no planted group, with weights other than 1. */
  function tasks(likes: number, dislikes: number): Task[] {
    const z = base.transform.apply(input.features);
    const people = new SimulatedPeople({ pictures: input.pictures, split: base.split, z });
    const random = new Random('tasks');
    return (['tags', 'artists', 'direction', 'mixture'] as const).flatMap((kind) =>
      Array.from({ length: 40 }, (_, i) => {
        const shape = { likes, dislikes, likedTargets: 3, dislikedTargets: 3 };
        const task = people.sampleTask(random.split(`${kind}/${i}`), kind, 'test', shape);
        return { ...task, history: task.history.map((item, k) => ({ ...item, weight: k % 3 ? 1 : 2.5 })) };
      }),
    );
  }

  const margins = async (of: Task[]) =>
    (await scoreTasks(model, await itemVectorsOf(model, input.features), of)).map(({ scores }) =>
      scores.map(({ like, dislike }) => like - dislike),
    );

  it.each([
    [8, 8],
    [5, 1],
    [0, 3],
  ])(
    'scores %i likes and %i dislikes by a₁ (U₊ − U₋) of the style and a₂ G e·(μ₊ − μ₋) of the components, e the closed form',
    async (likes, dislikes) => {
      const [KERNEL_GAIN, PROTOTYPE_GAIN, PSEUDO_COUNT, SHARPNESS, REST] = [0.95, 3.8, 1, 7.5, 0.1];
      const STYLE = BASE_ARCHITECTURE.imageMetric - BASE_ARCHITECTURE.components!;
      const e = base.metric.apply(base.transform.apply(input.features));
      const style = (image: number) => row(e, image).subarray(0, STYLE);
      const component = (image: number) => row(e, image).subarray(STYLE);
      const logDensity = (task: Task, side: 'LIKE' | 'DISLIKE', target: number) => {
        const judged = task.history.filter(({ sentiment }) => sentiment === side);
        const kernels = judged.map((item) => item.weight * Math.exp(SHARPNESS * dot(style(item.image), style(target))));
        const rest = PSEUDO_COUNT * Math.exp(SHARPNESS * REST);
        const count = judged.reduce((sum, { weight }) => sum + weight, PSEUDO_COUNT);
        return Math.log(kernels.reduce((sum, kernel) => sum + kernel, rest) / count);
      };
      const prototype = (task: Task, side: 'LIKE' | 'DISLIKE') => {
        const judged = task.history.filter(({ sentiment }) => sentiment === side);
        const total = judged.reduce((sum, { weight }) => sum + weight, PSEUDO_COUNT);
        return Float64Array.from({ length: e.columns - STYLE }, (_, k) =>
          judged.reduce((sum, { image, weight }) => sum + (weight * component(image)[k]!) / total, 0),
        );
      };
      const agreement = ({ history }: Task, part: typeof style) => {
        const signed = (k: number) =>
          history.reduce((sum, h) => sum + (h.sentiment === 'LIKE' ? 1 : -1) * h.weight * part(h.image)[k]!, 0);
        const together = part(0).reduce((sum, _, k) => sum + signed(k) ** 2, 0);
        const lengths = history.reduce((sum, { image, weight }) => sum + weight * dot(part(image), part(image)), 0);
        const weight = history.reduce((sum, h) => sum + h.weight, 0);
        return (together - lengths) / (together + lengths + (lengths * weight) / 20);
      };
      const people = tasks(likes, dislikes);
      const expected = people.map((task) => {
        const [liked, disliked] = [prototype(task, 'LIKE'), prototype(task, 'DISLIKE')];
        const direction = liked.map((value, k) => value - disliked[k]!);
        const gate = Math.exp(6 * agreement(task, component) - 2 * agreement(task, style));
        return targetsOf(task).map((image) => {
          const kernel = logDensity(task, 'LIKE', image) - logDensity(task, 'DISLIKE', image);
          return KERNEL_GAIN * kernel + PROTOTYPE_GAIN * gate * dot(component(image), direction);
        });
      });
      const served = await margins(people);
      const differences = served.flatMap((own, i) => own.map((value, t) => Math.abs(value - expected[i]![t]!)));
      // Item vectors are half floats: numbers of order 0.1 to 4 digits.
      expect(Math.max(...differences)).toBeLessThan(0.005);
      expect(Math.max(...expected.flat()) - Math.min(...expected.flat())).toBeGreaterThan(1);
    },
  );

  it('orders the targets of people by artists whom it never met better than chance, and ties without a history', async () => {
    const accuracy = (scores: number[][]) =>
      scores.reduce((sum, own) => sum + pairwiseAccuracy(own.slice(0, 3), own.slice(3)), 0) / scores.length;
    expect(new Set((await margins(tasks(0, 0))).flat())).toEqual(new Set([0]));
    expect(accuracy(await margins(tasks(8, 8)))).toBeGreaterThan(0.65);
  });

  it('has a manifest that reads, the weights that it names, and a calibration fitted on validation people', () => {
    const { manifest } = base.artifact;
    const bytes = encodeWeights(base.artifact);
    expect(parseManifest(JSON.stringify(manifest))).toEqual(manifest);
    expect(manifest.weights).toEqual({ file: 'weights.bin', sha256: sha256Of(bytes), bytes: bytes.length });
    expect(manifest).toMatchObject({ ...input.about, architecture: BASE_ARCHITECTURE, encoders: input.encoders });
    const { temperature, offset, likeRateWeight, standardErrors } = manifest.calibration;
    expect(temperature).toBeGreaterThan(0.1);
    expect(Math.abs(offset)).toBeLessThan(0.3);
    expect(likeRateWeight).toBeGreaterThan(0.3); // rated people like from a tenth to nine tenths of what they see
    expect(standardErrors.map(({ judgements }) => judgements)).toEqual([0, 2, 4, 8, 16, 256]);
    expect(standardErrors[0]!.logit).toBeGreaterThan(standardErrors.at(-1)!.logit);
  });

  it('is the same from the same seed, and its people and weights are others from another', () => {
    const again = closedForm(input);
    const other = closedForm({ ...input, seed: 2 });
    expect(again.artifact.parameters).toEqual(base.artifact.parameters);
    expect(other.split.artists).not.toEqual(base.split.artists);
    expect(other.artifact.parameters).not.toEqual(base.artifact.parameters);
  });
});
