/**
 * Who a base model is measured on and what it is held against: simulated people of a taste of their own beside scorers
 * that read their history, and people who share a sense of quality beside scorers of the population as well. Everything
 * is fitted on people and pictures of training and chosen on those of validation.
 */
import type { Random } from '../../random.ts';
import { momentsOf, standardise } from '../fitting/inputTransform.ts';
import { type Matrix, takeRows } from '../fitting/linearAlgebra.ts';
import { fitMetricStart } from '../fitting/metricStart.ts';
import type { Kind, SimulatedPeople } from '../simulation/people.ts';
import { imagesOfPart, type Part, type Pictures, type Split } from '../simulation/pictures.ts';
import type { Task } from '../tasks.ts';
import { chanceScorer, personalScorers, withPrior } from './baselineScorers.ts';
import { InnerProducts } from './baselines.ts';
import { type EvaluationSet, named, type Scorer } from './evaluation.ts';
import { contentScorer, fitContentModel, fitPrior, meanRating, popularityScorer } from './populationPrior.ts';
import { buildQualityEvaluation } from './qualitySet.ts';
import { buildEvaluationSet, type EvaluationSetOptions } from './simulatedSet.ts';

/** People of each kind that are measured, and of each kind that scorers are chosen on. */
export interface EvaluationSize {
  readonly people: number;
  readonly tuningPeople: number;
}

export interface MeasuredPeople {
  readonly set: EvaluationSet;
  readonly scorers: readonly Scorer[];
}

/** One set of features of all pictures, and how it is called. */
export interface FeatureSpace {
  readonly name: string;
  readonly features: Matrix;
}

export interface MeasuredOver {
  readonly pictures: Pictures;
  readonly split: Split;
  /** (images, dimensions): the model's input, in which simulated tastes lie. */
  readonly z: Matrix;
  readonly spaces: readonly FeatureSpace[];
}

const KINDS: readonly Kind[] = ['tags', 'artists', 'mixture', 'direction'];
const TUNING_KINDS: readonly Kind[] = ['tags', 'artists'];
const STANDARDISED = 'plain: standardised';

/** What simple scorers read: the encoder's features, the model's input, and a discriminant of artists on it. */
export function featureSpaces(
  { pictures, split, features, z }: { pictures: Pictures; split: Split; features: Matrix; z: Matrix },
  dimensions: number,
): FeatureSpace[] {
  const trained = imagesOfPart(pictures, split, 'train');
  const { artists } = fitMetricStart(takeRows(z, trained), trained, { pictures, split }, dimensions);
  return [
    { name: STANDARDISED, features: standardise(features, momentsOf(takeRows(features, trained))) },
    { name: 'plain: input transform', features: z },
    { name: 'LDA', features: artists.apply(z) },
  ];
}

/** People of a taste of their own: of every kind at every length, unless some are named. */
export function tasteEvaluation(
  people: SimulatedPeople,
  over: MeasuredOver,
  size: EvaluationSize,
  random: Random,
  measured: Partial<Pick<EvaluationSetOptions, 'kinds' | 'lengths'>> = {},
): MeasuredPeople {
  const options = { part: 'validation', kinds: TUNING_KINDS, count: size.tuningPeople, lengths: [8] } as const;
  const tuning = [...buildEvaluationSet(people, random.split('tuning'), options).people.values()].flat();
  const personal = over.spaces.flatMap((space) => scorersOn(space, over, tuning));
  return {
    set: buildEvaluationSet(people, random.split('people'), {
      ...{ part: 'test', kinds: KINDS, count: size.people },
      ...measured,
    }),
    scorers: [chanceScorer, ...personal.map(({ name, score }) => named(name, score))],
  };
}

/** People who share a sense of quality. The weakest features are left out, since every scorer comes twice here. */
export function qualityEvaluation(over: MeasuredOver, size: EvaluationSize, random: Random): MeasuredPeople {
  const { pictures, split, z } = over;
  const options = { pictures, split, z, count: size.people, tuningCount: size.tuningPeople };
  const { set, tuning, rated } = buildQualityEvaluation(random, options);
  const content = fitContentModel(z, rated);
  const prior = fitPrior(content, tuning);
  const spaces = over.spaces.filter(({ name }) => name !== STANDARDISED);
  const personal = spaces.flatMap((space) => scorersOn(space, over, tuning));
  return {
    set,
    scorers: [
      chanceScorer,
      named('popularity', popularityScorer(meanRating(rated))),
      named('population content model', contentScorer(content)),
      named('population prior (popularity and content)', prior),
      ...personal.map(({ name, score }) => named(name, score)),
      ...personal.map((scorer) => withPrior(scorer, prior, tuning)),
    ],
  };
}

function scorersOn({ name, features }: FeatureSpace, { pictures, split }: MeasuredOver, tuning: readonly Task[]) {
  const products = (part: Part) => new InnerProducts(features, imagesOfPart(pictures, split, part));
  return personalScorers(name, products('test'), products('validation'), tuning);
}
