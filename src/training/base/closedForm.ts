/**
 * The closed form that a base model starts from: input transforms, the image metric, and where the probe points, fitted
 * on training artists and people, with the network as the prototype scorer on them. Knows no file and no database.
 */
import { type Architecture, BASE_ARCHITECTURE } from '../../model/architecture.ts';
import { type ModelArtifact, seal } from '../../model/artifact.ts';
import type { InputTransformWeights } from '../../model/graphs.ts';
import { initialParameters, parameterLayout } from '../../model/parameters.ts';
import { Random } from '../../random.ts';
import type { Discriminant } from '../fitting/discriminant.ts';
import { InputTransform } from '../fitting/inputTransform.ts';
import { type Matrix, takeRows } from '../fitting/linearAlgebra.ts';
import { fitMetricStart } from '../fitting/metricStart.ts';
import { fitProbeStart, type ProbeStart } from '../fitting/probeStart.ts';
import { plantGroups, SimulatedPeople } from '../simulation/people.ts';
import { imagesOfPart, type Pictures, type Split, splitPictures } from '../simulation/pictures.ts';
import type { StepReport } from '../trainer.ts';

export interface BaseModelInput {
  readonly pictures: Pictures;
  /** (pictures, image encoder's numbers) */
  readonly features: Matrix;
  /** (prompts, text encoder's numbers): prompts as people write them, for the text statistics. */
  readonly promptEmbeddings: Matrix;
  readonly encoders: { readonly image: string; readonly text: string };
  readonly seed: number;
  /** Of the seed's split; 0, if left out. */
  readonly fold?: number;
  /** Steps of the two phases; 0 and 0 gives the closed form. */
  readonly steps: { readonly network: number; readonly tokens: number };
  readonly threads?: number;
  /** Of starting weights and people, where the split is to stay that of `seed`. */
  readonly trainingSeed?: number;
  readonly about: Pick<ModelArtifact['manifest'], 'name' | 'description' | 'licence' | 'training'>;
  onStep?(step: StepReport): void;
}

export interface BaseModel {
  readonly artifact: ModelArtifact;
  readonly split: Split;
  readonly transform: InputTransform;
  /** What the image metric starts as: e before the first step of training. */
  readonly metric: Discriminant;
  /** Between artists alone: what a simple scorer could use. */
  readonly artists: Discriminant;
}

/** What is fitted in closed form, whatever the network around it. */
export interface ClosedFormFit {
  readonly split: Split;
  readonly transform: InputTransform;
  readonly textTransform: InputTransform;
  readonly metric: Discriminant;
  readonly artists: Discriminant;
  /** Where the probe points. */
  readonly probe: ProbeStart;
}

type FitSizes = Pick<Architecture, 'imageInputs' | 'textInputs' | 'imageMetric'>;

/** Fits on the training part alone: half a minute for 3,000 pictures. */
export function fitClosedForm(
  { pictures, features, promptEmbeddings, seed, fold }: BaseModelInput,
  { imageInputs, textInputs, imageMetric }: FitSizes = BASE_ARCHITECTURE,
): ClosedFormFit {
  const split = splitPictures(pictures, seed, fold);
  const trainImages = imagesOfPart(pictures, split, 'train');
  const transform = InputTransform.fit(takeRows(features, trainImages), {
    dimensions: imageInputs,
    scale: Math.sqrt(imageInputs),
  });
  const textTransform = InputTransform.fit(promptEmbeddings, { dimensions: textInputs, scale: Math.sqrt(textInputs) });
  const z = transform.apply(features);
  const trainZ = takeRows(z, trainImages);
  const { metric, artists } = fitMetricStart(trainZ, trainImages, { pictures, split }, imageMetric);
  const random = new Random(seed).split('probe');
  const groups = plantGroups(random.split('groups'), PROBE_GROUPS, z.columns);
  const people = new SimulatedPeople({ pictures, split, z, groups });
  const probe = fitProbeStart(people, metric.apply(z), random);
  return { split, transform, textTransform, metric, artists, probe };
}

/** Planted groups among the people whom the probe learns to tell apart. */
const PROBE_GROUPS = 24;

/**
 * The closed form: the network that starts as the prototype scorer on what was fitted.
 * @param fit of the same input and sizes, where it is at hand
 */
export function closedForm(
  input: BaseModelInput,
  architecture: Architecture = BASE_ARCHITECTURE,
  fit: ClosedFormFit = fitClosedForm(input, architecture),
): BaseModel {
  const { features, promptEmbeddings, seed } = input;
  const { split, transform, textTransform, metric: start, artists, probe } = fit;
  const { imageInputs, imageMetric, textMetric } = architecture;
  const random = new Random(input.trainingSeed ?? seed);
  const parameters = initialParameters(architecture, random.split('parameters'));
  const layout = parameterLayout(architecture);
  const metric = layout.range('metric.image').start; // (imageInputs, imageMetric)
  const { weights } = start; // (imageMetric, imageInputs)
  for (let out = 0; out < imageMetric; out++) {
    for (let i = 0; i < imageInputs; i++) {
      parameters[metric + i * imageMetric + out] = weights.data[out * imageInputs + i]!;
    }
  }
  parameters.set(start.bias, layout.range('metric.imageBias').start);
  // Prompts have no classes to tell apart: their metric starts as their leading components, and so does what the
  // blocks read of a picture.
  const leading = (name: string, outputs: number) => {
    const { start, end } = layout.range(name);
    parameters.fill(0, start, end);
    for (let i = 0; i < outputs; i++) parameters[start + i * outputs + i] = 1;
  };
  leading('metric.text', textMetric);
  leading('item.image', architecture.width);
  parameters.set(probe.weights(architecture.width, random.split('probe')), layout.range('probe').start);

  const transforms = { image: transformWeights(transform), text: transformWeights(textTransform) };
  const uncalibrated = {
    temperature: 1,
    offset: 0,
    likeRateWeight: 0,
    standardErrors: [{ judgements: 0, logit: 1 }],
  };
  const manifest: ModelArtifact['manifest'] = {
    format: 'palate-model-1',
    ...input.about,
    weights: { file: 'weights.bin', sha256: '', bytes: 1 },
    architecture,
    encoders: input.encoders,
    inputTransforms: {
      image: { inputs: features.columns, scale: transform.scale },
      text: { inputs: promptEmbeddings.columns, scale: textTransform.scale },
    },
    calibration: uncalibrated,
  };
  return { artifact: seal({ manifest, parameters, transforms }), split, transform, metric: start, artists };
}

function transformWeights({ mean, projection, scale }: InputTransform): InputTransformWeights {
  return { mean: Float32Array.from(mean), projection: Float32Array.from(projection.data), scale };
}
