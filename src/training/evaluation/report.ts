/**
 * An evaluation as rows: of each scorer on the people of one kind at one history length, accuracy with its interval over
 * people × clusters, and one scorer's paired difference to each other one. Knows outcomes only.
 */
import type { Random } from '../../random.ts';
import { type CrossedItems, crossedDraws, DRAWS, percentileInterval } from './crossedBootstrap.ts';
import { CrossedGroups } from './crossedError.ts';
import type { Outcome } from './evaluation.ts';
import { type Interval, meanInterval } from './metrics.ts';
import type { PairLayout, Subset } from './pairs.ts';

/** low and high: 95 %, by the bootstrap over people × clusters. */
export interface CrossedInterval extends Interval {
  /** Standard error over people × clusters; `standardError` is over people alone. */
  readonly crossedError: number;
}

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
  /** People weigh alike; a tie counts a half. */
  readonly pairwise: CrossedInterval;
  /** Top-1, top-2 and top-3 of one liked and three disliked, of `all`; null where nobody has three disliked targets. */
  readonly top: readonly [CrossedInterval, CrossedInterval, CrossedInterval] | null;
  /** Pairwise accuracy of the reference less this scorer's, on the same pairs and draws; null for the reference itself. */
  readonly difference: CrossedInterval | null;
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
  const won = outcomes.map((outcome) => Float32Array.from(places, (pair) => outcome.won[pair]!));
  const measures = new Measures(items, won, random.split(subset), draws);
  const tops = subset === 'all' ? topIntervals(outcomes, layout, random.split('top'), draws) : null;
  return outcomes.map(({ kind, length, scorer }, i) => {
    const against = outcomes.findIndex((other) => other.length === length && other.scorer === reference);
    return {
      ...{ kind, length, scorer, subset, people: measures.people, pairs: places.length },
      pairwise: measures.interval(i),
      top: tops?.[i] ?? null,
      difference: against < 0 || against === i ? null : measures.difference(against, i),
    };
  });
}

function topIntervals(outcomes: readonly Outcome[], { targets }: PairLayout, random: Random, draws: number) {
  if (targets.person.length === 0) return null;
  const tops = outcomes.flatMap(({ top }) => top);
  const measures = new Measures(targets, tops, random, draws);
  return outcomes.map((_, i) => {
    const of = (k: number) => measures.interval(3 * i + k);
    return [of(0), of(1), of(2)] as const;
  });
}

/** Columns of values of the same items, drawn together: what makes differences between them paired. */
class Measures {
  readonly people: number;
  readonly #items: CrossedItems;
  readonly #columns: readonly Float32Array[];
  readonly #drawn: readonly Float64Array[];
  readonly #groups: CrossedGroups;

  constructor(items: CrossedItems, columns: readonly Float32Array[], random: Random, draws: number) {
    this.people = new Set(items.person).size;
    this.#items = items;
    this.#columns = columns;
    this.#drawn = crossedDraws(items, columns, random, draws);
    this.#groups = new CrossedGroups(items);
  }

  interval(column: number): CrossedInterval {
    return this.#of(this.#columns[column]!, this.#drawn[column]!);
  }

  /** Of one column less another. */
  difference(one: number, other: number): CrossedInterval {
    const less = (a: ArrayLike<number>, b: ArrayLike<number>) => Float64Array.from(a, (value, i) => value - b[i]!);
    return this.#of(less(this.#columns[one]!, this.#columns[other]!), less(this.#drawn[one]!, this.#drawn[other]!));
  }

  #of(values: ArrayLike<number>, draws: Float64Array): CrossedInterval {
    const { mean, standardError } = meanInterval(meansOf(this.#items.person, values));
    return { mean, standardError, crossedError: this.#groups.standardError(values), ...percentileInterval(draws) };
  }
}

/** Each person's mean, people without an item left out. */
function meansOf(person: Int32Array, values: ArrayLike<number>): Float64Array {
  const sums = new Map<number, { sum: number; count: number }>();
  for (const [i, p] of person.entries()) {
    const known = sums.get(p);
    if (!known) sums.set(p, { sum: values[i]!, count: 1 });
    else {
      known.sum += values[i]!;
      known.count += 1;
    }
  }
  return Float64Array.from(sums.values(), ({ sum, count }) => sum / count);
}
