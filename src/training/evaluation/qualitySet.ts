/**
 * Simulated people who share a sense of quality, as an evaluation measures them: of three kinds by how many others are
 * known to have judged each target. What the population's scorers learn from is people of training over pictures of
 * training artists; what they are chosen by, people of validation.
 */
import type { Random } from '../../random.ts';
import type { Matrix } from '../fitting/linearAlgebra.ts';
import { imagesOfPart, type Part, type Pictures, type Split } from '../simulation/pictures.ts';
import { drawQuality, QualityPeople } from '../simulation/qualityPeople.ts';
import type { Task } from '../tasks.ts';
import { type EvaluationSet, lengthsFor } from './evaluation.ts';
import { type RatedImage, ratedImages } from './populationPrior.ts';
import { TARGETS } from './simulatedSet.ts';

/** q: what all share weighs as much as what each has of their own. */
const QUALITY_WEIGHT = 1;
/** Others who judged each target. */
const RATERS = [0, 2, 5] as const;
/** Pictures a person judges, targets included. */
const SEEN = 64;
const TRAINING_PEOPLE = 600;

export interface QualityEvaluation {
  /** Kinds of people by raters, with the same lengths for all. */
  readonly set: EvaluationSet;
  /** Of validation, with the raters of all kinds mixed. */
  readonly tuning: readonly Task[];
  /** What people of training made of pictures of training artists. */
  readonly rated: readonly RatedImage[];
}

export interface QualityEvaluationOptions {
  readonly pictures: Pictures;
  readonly split: Split;
  readonly z: Matrix;
  /** People of all three kinds together. */
  readonly count: number;
  readonly tuningCount: number;
}

export function buildQualityEvaluation(random: Random, options: QualityEvaluationOptions): QualityEvaluation {
  const { pictures, split, z, count, tuningCount } = options;
  const quality = { z, quality: drawQuality(random.split('quality'), z.columns), weight: QUALITY_WEIGHT };
  const clusterOf = (image: number) => pictures.artistOf[image]!;
  const peopleOf = (part: Part, people: number) =>
    new QualityPeople(random.split(part), people, imagesOfPart(pictures, split, part), clusterOf, quality);
  const tasksOf = (part: Part, people: number) => {
    const all = peopleOf(part, people);
    const draw = random.split(`${part} tasks`);
    return Array.from({ length: people }, (_, i) =>
      all.task(draw.split(i), i, { seen: SEEN, ...TARGETS, raters: RATERS[i % RATERS.length]! }),
    );
  };

  const trained = peopleOf('train', TRAINING_PEOPLE);
  const shown = random.split('train judgements');
  const histories = Array.from({ length: trained.count }, (_, i) => ({
    history: trained.judgements(shown.split(i), i, SEEN),
    liked: [],
    disliked: [],
  }));
  const tasks = tasksOf('test', count);
  const kinds = RATERS.map(
    (raters, kind) => [`quality, ${raters} others asked`, tasks.filter((_, i) => i % RATERS.length === kind)] as const,
  );
  return {
    set: { lengths: lengthsFor(tasks), people: new Map(kinds) },
    tuning: tasksOf('validation', tuningCount),
    rated: ratedImages(histories, clusterOf),
  };
}
