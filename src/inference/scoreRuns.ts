/**
 * What is scored in one run of the model, and in which shape. A score's last digit must not tell who else has asked just
 * then: of the shapes that hold a run, one is taken that the engine always computes in the same way.
 */
import type { ItemVector, UserState } from './userState.ts';

/** What others made of an image: Σ w r (like 1, dislike −1) and Σ w. The person's own judgement is not in it. */
export interface Popularity {
  readonly sum: number;
  readonly count: number;
}

export interface ScoreRequest {
  state: UserState;
  targets: readonly ItemVector[];
  /** Of each target; nothing known, if left out. */
  popularity?: readonly Popularity[];
}

/** Rows (users × targets) of one run at most: 8 MB of item vectors. */
const MAX_ROWS = 16_384;
/** With one user or one target the engine multiplies in another order: a run has two of both at least. */
const LEAST_TARGETS = 2;
/**
 * Numbers of a vector of the processor's, and of the longest: what is left beyond whole ones is computed by other means.
 */
const [VECTOR, LONGEST_VECTOR] = [8, 16];

/** Users, targets of each and judgements of each, as many as a run of these requests has room for. */
export function shapeOf(requests: readonly ScoreRequest[]): { users: number; targets: number; judgements: number } {
  const users = requests.length;
  let targets = Math.max(LEAST_TARGETS, ...requests.map((request) => request.targets.length));
  while ((users * targets) % LONGEST_VECTOR > 0) targets++;
  const most = Math.max(1, ...requests.map(({ state }) => state.recentJudged.length / 2));
  return { users, targets, judgements: VECTOR * Math.ceil(most / VECTOR) };
}

/** Some of a request's targets. */
export function partOf({ state, targets, popularity }: ScoreRequest, start: number, end: number): ScoreRequest {
  return {
    state,
    targets: targets.slice(start, end),
    ...(popularity ? { popularity: popularity.slice(start, end) } : {}),
  };
}

/** One request as two of the same person. */
export function halves(request: ScoreRequest): ScoreRequest[] {
  const { length } = request.targets;
  const middle = Math.ceil(length / 2);
  return [partOf(request, 0, middle), partOf(request, middle, length)];
}

/**
 * Indices of requests that run together, those with most targets first: each row is as long as the longest, and of one
 * that has less than half of that most would be padding.
 */
export function runsOf(requests: readonly ScoreRequest[]): number[][] {
  const order = [...requests.keys()]
    .filter((i) => requests[i]!.targets.length > 0)
    .sort((i, j) => requests[j]!.targets.length - requests[i]!.targets.length);
  const runs: number[][] = [];
  let widest = 0;
  for (const i of order) {
    const run = runs.at(-1);
    const { length } = requests[i]!.targets;
    if (run && (run.length + 1) * widest <= MAX_ROWS && 2 * length >= widest) run.push(i);
    else {
      runs.push([i]);
      widest = length;
    }
  }
  return runs;
}
