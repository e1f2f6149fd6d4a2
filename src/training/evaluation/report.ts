/**
 * An evaluation as rows: of each scorer on the people of one kind at one history length, accuracy with its interval over
 * people × clusters, and one scorer's paired difference to each other one. Knows outcomes only.
 */
import type { Random } from '../../random.ts';
import { crossedDraws, DRAWS, percentileInterval } from './crossedBootstrap.ts';
import { type Outcome, personMeans } from './evaluation.ts';
import { type Interval, meanInterval } from './metrics.ts';
import type { PairLayout, Subset } from './pairs.ts';

export interface ReportRow {
  readonly kind: string;
  /** Likes + dislikes that were read, such as `8+8`, or `all`. */
  readonly length: string;
  readonly scorer: string;
  /** Which pairs are counted. */
  readonly subset: Subset;
  /** People with such a pair, and the pairs. */
  readonly people: number;
  readonly pairs: number;
  /** People weigh alike; a tie counts a half. The standard error is over people, the interval over people × clusters. */
  readonly pairwise: Interval;
  /** Top-1, top-2 and top-3 of one liked and three disliked, of `all`; null where nobody has three disliked targets. */
  readonly top: readonly [Interval, Interval, Interval] | null;
  /** Pairwise accuracy of the reference less this scorer's, on the same pairs and draws; null for the reference itself. */
  readonly difference: Interval | null;
}

export interface SummaryOptions {
  /** The scorer that the others are held against. */
  readonly reference?: string;
  /** Of the bootstrap: the same generator gives the same intervals. */
  readonly random: Random;
  /** Of the bootstrap; 1,000 by default. */
  readonly draws?: number;
}

const SUBSETS: readonly Subset[] = ['all', 'same cluster', 'against the mean'];

/** One row for each outcome and each subset that has pairs: by people, then by subset, outcomes in their order. */
export function summarise(outcomes: readonly Outcome[], options: SummaryOptions): ReportRow[] {
  const layouts = [...new Set(outcomes.map(({ layout }) => layout))];
  return layouts.flatMap((layout) => {
    const ours = outcomes.filter((outcome) => outcome.layout === layout);
    return SUBSETS.filter((subset) => layout.subsets[subset].length > 0).flatMap((subset) =>
      subsetRows(ours, layout, subset, options),
    );
  });
}

function subsetRows(
  outcomes: readonly Outcome[],
  layout: PairLayout,
  subset: Subset,
  { reference, random, draws = DRAWS }: SummaryOptions,
): ReportRow[] {
  const places = layout.subsets[subset];
  const at = (of: Int32Array) => Int32Array.from(places, (pair) => of[pair]!);
  const items = { person: at(layout.person), clusters: [at(layout.liked), at(layout.disliked)] };
  const drawn = crossedDraws(
    items,
    outcomes.map(({ won }) => Float32Array.from(places, (pair) => won[pair]!)),
    random.split(subset),
    draws,
  );
  const means = outcomes.map(({ won }) => personMeans(layout, won, places).filter((value) => !Number.isNaN(value)));
  const tops = subset === 'all' ? topIntervals(outcomes, layout, random.split('top'), draws) : null;
  return outcomes.map((outcome, i) => {
    const { kind, length, scorer } = outcome;
    const against = outcomes.findIndex((other) => other.length === length && other.scorer === reference);
    const difference =
      against < 0 || against === i
        ? null
        : interval(
            means[against]!.map((value, p) => value - means[i]![p]!),
            drawn[against]!.map((value, d) => value - drawn[i]![d]!),
          );
    return {
      ...{ kind, length, scorer, subset, people: means[i]!.length, pairs: places.length },
      pairwise: interval(means[i]!, drawn[i]!),
      top: tops?.[i] ?? null,
      difference,
    };
  });
}

function topIntervals(outcomes: readonly Outcome[], { targets }: PairLayout, random: Random, draws: number) {
  if (targets.person.length === 0) return null;
  const drawn = crossedDraws(
    targets,
    outcomes.flatMap(({ top }) => top),
    random,
    draws,
  );
  return outcomes.map(({ top }, i) => {
    const of = (k: 0 | 1 | 2) => interval(meansOf(targets.person, top[k]), drawn[3 * i + k]!);
    return [of(0), of(1), of(2)] as const;
  });
}

/** Each person's mean, people without any left out. */
function meansOf(person: Int32Array, values: ArrayLike<number>): Float64Array {
  const sums = new Map<number, { sum: number; count: number }>();
  for (const [i, p] of person.entries()) {
    const known = sums.get(p) ?? { sum: 0, count: 0 };
    sums.set(p, { sum: known.sum + values[i]!, count: known.count + 1 });
  }
  return Float64Array.from(sums.values(), ({ sum, count }) => sum / count);
}

function interval(people: ArrayLike<number>, draws: Float64Array): Interval {
  const { mean, standardError } = meanInterval(people);
  return { mean, standardError, ...percentileInterval(draws) };
}
