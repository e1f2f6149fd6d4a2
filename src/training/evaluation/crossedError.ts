/**
 * The standard error of a mean over people of each person's mean, where both people and clusters are drawn: two items
 * count as dependent where they share a person or a cluster (Cameron, Gelbach & Miller 2011, "Robust inference with
 * multiway clustering"; for pairs, Aronow, Samii & Assenova 2015). Right in expectation, where the bootstrap's interval
 * is wide to be safe. Knows numbers only.
 */
import type { CrossedItems } from './crossedBootstrap.ts';

/** Items that share something, by number; those that share nothing of the kind have −1. */
interface Grouping {
  readonly of: Int32Array;
  readonly count: number;
  /** Whether what its items share adds to the variance or was counted twice. */
  readonly sign: 1 | -1;
}

/** What the items share, found once for any number of columns. */
export class CrossedGroups {
  readonly #person: Int32Array;
  readonly #share: Float64Array;
  /** Together V = by person + by cluster − by both; a pair of clusters in common would count twice as a cluster. */
  readonly #groupings: readonly (readonly Grouping[])[];

  constructor({ person, clusters }: CrossedItems) {
    this.#person = person;
    const sizes = new Map<number, number>();
    for (const p of person) sizes.set(p, (sizes.get(p) ?? 0) + 1);
    this.#share = Float64Array.from(person, (p) => 1 / (sizes.get(p)! * sizes.size));
    const [first, second] = clusters;
    if (!first) {
      this.#groupings = [];
      return;
    }
    // A cluster's items are those that have it in either role; a second role in the same cluster adds nothing.
    const other = second?.map((cluster, i) => (cluster === first[i] ? -1 : cluster));
    const both = other?.map((cluster, i) => (cluster < 0 ? -1 : i));
    const keys = (of: Int32Array, key: (i: number) => string) => Array.from(of, (c, i) => (c < 0 ? null : key(i)));
    const dyad = (i: number) => [first[i]!, other![i]!].sort((a, b) => a - b).join('/');
    const sets = (within: (i: number) => string, sign: 1 | -1): Grouping[][] => {
      const cluster = number([
        keys(first, (i) => `${within(i)}${first[i]}`),
        ...(other ? [keys(other, (i) => `${within(i)}${other[i]}`)] : []),
      ]);
      const dyads = both ? number([keys(both, (i) => `${within(i)}${dyad(i)}`)]) : [];
      return [
        cluster.map((grouping) => ({ ...grouping, sign })),
        dyads.map((grouping) => ({ ...grouping, sign: sign === 1 ? -1 : 1 })),
      ];
    };
    this.#groupings = [...sets(() => '', 1), ...sets((i) => `${person[i]}:`, -1)];
  }

  /** Of the mean over people of their means. Never below the error over people alone, which it is without clusters. */
  standardError(values: ArrayLike<number>): number {
    let mean = 0;
    for (let i = 0; i < values.length; i++) mean += this.#share[i]! * values[i]!;
    const parts = Float64Array.from(this.#share, (share, i) => share * (values[i]! - mean));
    const people = squares(parts, [{ of: this.#person, count: largest(this.#person) + 1, sign: 1 }]);
    const crossed = this.#groupings.reduce((sum, set) => sum + squares(parts, set), people);
    return Math.sqrt(Math.max(people, crossed));
  }
}

/** Σ over groups of the squared sum of their items' parts; several roles fill the same groups. */
function squares(parts: Float64Array, roles: readonly Grouping[]): number {
  const [role] = roles;
  if (!role) return 0;
  const sums = new Float64Array(role.count);
  for (const { of } of roles) {
    for (let i = 0; i < parts.length; i++) if (of[i]! >= 0) sums[of[i]!]! += parts[i]!;
  }
  let total = 0;
  for (const sum of sums) total += sum * sum;
  return role.sign * total;
}

/** Numbers for keys that the roles share. */
function number(roles: readonly (readonly (string | null)[])[]): Omit<Grouping, 'sign'>[] {
  const numbers = new Map<string, number>();
  const numbered = roles.map((keys) =>
    Int32Array.from(keys, (key) => {
      if (key === null) return -1;
      if (!numbers.has(key)) numbers.set(key, numbers.size);
      return numbers.get(key)!;
    }),
  );
  return numbered.map((of) => ({ of, count: numbers.size }));
}

function largest(values: Int32Array): number {
  let most = -1;
  for (const value of values) if (value > most) most = value;
  return most;
}
