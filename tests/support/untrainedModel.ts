/** A preference model whose parameters were drawn and never trained: real in every part but its taste. */
import { PreferenceModel } from '../../src/inference/preferenceModel.ts';
import { BASE_ARCHITECTURE } from '../../src/model/architecture.ts';
import { encodeWeights, sha256Of } from '../../src/model/artifact.ts';
import { initialParameters } from '../../src/model/parameters.ts';
import { Random } from '../../src/random.ts';

/** Reads these encoders; another seed is another tower. */
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
  const weights = encodeWeights({ parameters, transforms });
  return PreferenceModel.open({
    manifest: {
      format: 'palate-model-1',
      name: `untrained-${seed}`,
      description: 'Drawn, not trained.',
      licence: 'Apache-2.0',
      weights: { file: 'weights.bin', sha256: sha256Of(weights), bytes: weights.length },
      architecture: BASE_ARCHITECTURE,
      encoders,
      inputTransforms: { image: { inputs: 1664, scale: 16 }, text: { inputs: 384, scale: 8 } },
      calibration: {
        temperature: 1,
        offset: 0,
        likeRateWeight: 0,
        standardErrors: [{ judgements: 0, logit: 1 }],
      },
      training: {},
    },
    parameters,
    transforms,
  });
}
