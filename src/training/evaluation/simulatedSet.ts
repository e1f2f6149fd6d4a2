/** Simulated people as an evaluation measures them: so many of each kind, each with targets and the longest history. */
import type { Random } from '../../random.ts';
import type { Kind, SimulatedPeople } from '../simulation/people.ts';
import type { Part } from '../simulation/pictures.ts';
import type { HistoryLength } from '../tasks.ts';
import { type EvaluationSet, HISTORY_LENGTHS } from './evaluation.ts';

/** Each liked target meets the same three disliked ones: top-k of four. */
export const TARGETS = { likedTargets: 3, dislikedTargets: 3 };

export interface EvaluationSetOptions {
  readonly part: Part;
  readonly kinds: readonly Kind[];
  /** People of each kind: 3,000 give a standard error below half a point. */
  readonly count: number;
  readonly lengths?: readonly HistoryLength[];
  readonly flipRate?: number;
}

/** Draws the people of an evaluation; the same generator gives the same people. */
export function buildEvaluationSet(
  simulated: SimulatedPeople,
  random: Random,
  options: EvaluationSetOptions,
): EvaluationSet {
  const lengths = options.lengths ?? HISTORY_LENGTHS;
  const sides = lengths.flatMap((length) =>
    length === 'all' ? [] : typeof length === 'number' ? [length] : [length.likes, length.dislikes],
  );
  const longest = Math.max(...sides);
  const shape = { likes: longest, dislikes: longest, ...TARGETS, flipRate: options.flipRate ?? 0 };
  const people = options.kinds.map((kind) => {
    const draw = random.split(kind);
    const tasks = Array.from({ length: options.count }, (_, i) =>
      simulated.sampleTask(draw.split(i), kind, options.part, shape),
    );
    return [kind, tasks] as const;
  });
  return { lengths, people: new Map(people) };
}
