/**
 * Preference models with drawn weights, never trained: real in every operation, and of no taste. A small one, every
 * part awake, for what must be fast; one of the base model's sizes for what goes with real encoders.
 */
import { type EncodedItem, PreferenceModel } from '../../src/inference/preferenceModel.ts';
import { ALL_PARTS, type Architecture, BASE_ARCHITECTURE } from '../../src/model/architecture.ts';
import { encodeWeights, type ModelArtifact, sha256Of } from '../../src/model/artifact.ts';
import { initialParameters, parameterLayout } from '../../src/model/parameters.ts';
import { Random } from '../../src/random.ts';

export const SMALL_ARCHITECTURE: Architecture = {
  imageInputs: 12,
  textInputs: 6,
  width: 16,
  imageMetric: 8,
  textMetric: 4,
  layers: 2,
  heads: 2,
  hidden: 32,
  tokens: 5,
  history: 6,
  parts: ALL_PARTS,
};

/** Numbers of the embeddings that the small model's transforms read. */
export const SMALL_EMBEDDINGS = { image: 20, text: 10 };

export interface SmallModelOptions {
  readonly architecture?: Architecture;
  readonly seed?: string;
  /** Parameters to set to one value, by name, after the rest was drawn. */
  readonly set?: Readonly<Record<string, number>>;
  readonly calibration?: Partial<ModelArtifact['manifest']['calibration']>;
}

export function smallArtifact({
  architecture = SMALL_ARCHITECTURE,
  seed = 'small model',
  set = {},
  calibration = {},
}: SmallModelOptions = {}): ModelArtifact {
  const random = new Random(seed);
  const drawn = initialParameters(architecture, random);
  const parameters = drawn.map((value) => value + 0.2 * random.normal());
  const layout = parameterLayout(architecture);
  for (const [name, value] of Object.entries(set)) {
    const { start, end } = layout.range(name);
    parameters.fill(value, start, end);
  }
  const transform = (inputs: number, outputs: number) => ({
    mean: Float32Array.from({ length: inputs }, () => 0.1 * random.normal()),
    projection: Float32Array.from({ length: inputs * outputs }, () => random.normal()),
    scale: Math.sqrt(outputs),
  });
  const { image, text } = SMALL_EMBEDDINGS;
  const transforms = {
    image: transform(image, architecture.imageInputs),
    text: transform(text, architecture.textInputs),
  };
  return artifact('small', architecture, { image: 'a'.repeat(64), text: 'b'.repeat(64) }, parameters, transforms, {
    standardErrors: [
      { judgements: 0, logit: 2 },
      { judgements: 16, logit: 0.5 },
    ],
    ...calibration,
  });
}

/** Of the base model's sizes, for these encoders; another seed is another tower. */
export function untrainedModel(encoders: { image: string; text: string }, seed = 0): Promise<PreferenceModel> {
  const random = new Random(`untrained model ${seed}`);
  const { imageInputs, textInputs } = BASE_ARCHITECTURE;
  const transform = (inputs: number, outputs: number, scale: number) => ({
    mean: new Float32Array(inputs),
    projection: Float32Array.from({ length: inputs * outputs }, () => random.normal()),
    scale,
  });
  const parameters = initialParameters(BASE_ARCHITECTURE, random);
  const transforms = { image: transform(1664, imageInputs, 16), text: transform(384, textInputs, 8) };
  return PreferenceModel.open(artifact(`untrained-${seed}`, BASE_ARCHITECTURE, encoders, parameters, transforms));
}

/** The numbers with the manifest that fits them. */
function artifact(
  name: string,
  architecture: Architecture,
  encoders: { image: string; text: string },
  parameters: Float32Array,
  transforms: ModelArtifact['transforms'],
  calibration: SmallModelOptions['calibration'] = {},
): ModelArtifact {
  const weights = encodeWeights({ parameters, transforms });
  const { image, text } = transforms;
  return {
    manifest: {
      format: 'palate-model-1',
      name,
      description: 'Drawn, not trained.',
      licence: 'Apache-2.0',
      weights: { file: 'weights.bin', sha256: sha256Of(weights), bytes: weights.length },
      architecture,
      encoders,
      inputTransforms: {
        image: { inputs: image.mean.length, scale: image.scale },
        text: { inputs: text.mean.length, scale: text.scale },
      },
      calibration: {
        temperature: 1,
        offset: 0,
        likeRateWeight: 0,
        standardErrors: [{ judgements: 0, logit: 1 }],
        ...calibration,
      },
      training: {},
    },
    parameters,
    transforms,
  };
}

/** Embeddings of `count` images; every third has no prompt. */
export function encodedItems(seed: string, count: number): EncodedItem[] {
  const random = new Random(seed);
  const normals = (length: number) => Float32Array.from({ length }, () => random.normal());
  return Array.from({ length: count }, (_, i) => ({
    image: normals(SMALL_EMBEDDINGS.image),
    text: i % 3 === 2 ? null : normals(SMALL_EMBEDDINGS.text),
  }));
}
