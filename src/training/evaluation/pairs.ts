/**
 * The pairs that an evaluation counts: every liked target of a person with every disliked one. Their layout is made
 * once for some people and serves every scorer and every history length, so that all comparisons are paired.
 */
import { type Task, targetsOf } from '../tasks.ts';
import type { CrossedItems } from './crossedBootstrap.ts';
import { OTHERS_OF_TOP, topAccuracy } from './metrics.ts';

/** Pairs of `all`; of targets drawn with the same thing (one prompt, say); of those where the person disagrees with others. */
export type Subset = 'all' | 'same cluster' | 'against the mean';

export interface PairLayout {
  readonly people: number;
  readonly count: number;
  /** Of each pair, the number of its person; pairs of one person lie together, in liked × disliked order. */
  readonly person: Int32Array;
  /** Of each pair, the numbers of the clusters of its liked and of its disliked target. */
  readonly liked: Int32Array;
  readonly disliked: Int32Array;
  /**
   * What top-k is measured on: of each liked target of people with three disliked ones or more, person after person,
   * its person and its cluster.
   */
  readonly targets: CrossedItems;
  /** Places of the pairs of each subset. */
  readonly subsets: Readonly<Record<Subset, Int32Array>>;
}

/** Lays out the pairs of some people. A target without a cluster is one of its own. */
export function layOutPairs(tasks: readonly Task[]): PairLayout {
  const numberOf = new Map<string, number>();
  const numbered = (key: string): number => {
    const known = numberOf.get(key);
    if (known !== undefined) return known;
    numberOf.set(key, numberOf.size);
    return numberOf.size - 1;
  };
  const person: number[] = [];
  const liked: number[] = [];
  const disliked: number[] = [];
  const same: number[] = [];
  const against: number[] = [];
  const targetPerson: number[] = [];
  const targetCluster: number[] = [];
  for (const [p, task] of tasks.entries()) {
    const clusters = targetsOf(task).map((image, t) =>
      numbered(task.clusters ? `cluster ${task.clusters[t]}` : `image ${image}`),
    );
    for (let i = 0; i < task.liked.length; i++) {
      if (task.disliked.length >= OTHERS_OF_TOP) {
        targetPerson.push(p);
        targetCluster.push(clusters[i]!);
      }
      for (let j = task.liked.length; j < clusters.length; j++) {
        if (clusters[i] === clusters[j]) same.push(person.length);
        if (disagrees(task, i, j)) against.push(person.length);
        person.push(p);
        liked.push(clusters[i]!);
        disliked.push(clusters[j]!);
      }
    }
  }
  return {
    people: tasks.length,
    count: person.length,
    person: Int32Array.from(person),
    liked: Int32Array.from(liked),
    disliked: Int32Array.from(disliked),
    targets: { person: Int32Array.from(targetPerson), clusters: [Int32Array.from(targetCluster)] },
    subsets: {
      all: Int32Array.from({ length: person.length }, (_, i) => i),
      'same cluster': Int32Array.from(same),
      'against the mean': Int32Array.from(against),
    },
  };
}

/** Others like the disliked target better than the liked one, in the mean; both must have been judged by some. */
function disagrees({ popularity }: Task, liked: number, disliked: number): boolean {
  const [a, b] = [popularity?.[liked], popularity?.[disliked]];
  return !!a && !!b && a.count > 0 && b.count > 0 && a.sum / a.count < b.sum / b.count;
}

/** Of each pair: 1 where the liked target scores higher, ½ where they tie, else 0. Scores are of `targetsOf(task)`. */
export function pairResults(
  tasks: readonly Task[],
  scores: readonly ArrayLike<number>[],
  layout: PairLayout,
): Float32Array {
  const won = new Float32Array(layout.count);
  let pair = 0;
  for (const [p, task] of tasks.entries()) {
    const own = scores[p]!;
    for (let i = 0; i < task.liked.length; i++) {
      for (let j = task.liked.length; j < own.length; j++) {
        won[pair++] = own[i]! > own[j]! ? 1 : own[i] === own[j] ? 0.5 : 0;
      }
    }
  }
  return won;
}

/** Top-k of one liked and three disliked for each of the layout's `targets`. */
export function topResults(
  tasks: readonly Task[],
  scores: readonly ArrayLike<number>[],
  layout: PairLayout,
  k: number,
): Float32Array {
  const hits = tasks.flatMap((task, p) => {
    const own = Array.from(scores[p]!);
    const disliked = own.slice(task.liked.length);
    if (disliked.length < OTHERS_OF_TOP) return [];
    return own.slice(0, task.liked.length).map((score) => topAccuracy(score, disliked, k));
  });
  return Float32Array.from({ length: layout.targets.person.length }, (_, i) => hits[i]!);
}
