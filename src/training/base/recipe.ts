/**
 * The recipe of base models: who they learn from, by which losses, and which parameters move. After the two phases of
 * the paper.
 */
import type { BatchShape } from '../../model/trainingGraph.ts';
import type { Random } from '../../random.ts';
import type { PromptedTask } from '../batches.ts';
import { type Kind, type SimulatedPeople, sampleHistoryCounts } from '../simulation/people.ts';
import type { PromptPeople } from '../simulation/promptPeople.ts';
import type { Phase } from '../trainer.ts';

/** One batch: 64 people, up to 16 + 16 judgements, 2 pairs each. */
export const BATCH: BatchShape = { users: 64, judgements: 32, pairs: 2 };
const LONGEST_SIDE = 16;

/** A training task is of one of these kinds, each as often as it stands here. */
const KINDS: readonly (Kind | 'prompts')[] = (
  [
    ['tags', 6],
    ['artists', 4],
    ['direction', 2],
    ['mixture', 2],
    ['group', 4],
    ['prompts', 2],
  ] as const
).flatMap(([kind, times]) => Array(times).fill(kind));
/** Share of histories' like–dislike pairs that are exchanged, at most: people do not always judge as they would. */
const MOST_NOISE = 0.15;

const isToken = (name: string): boolean => /^(tokens|tokenPath\.|probe$)|\.token(Keys|Values)$/.test(name);
const isCoefficient = (name: string): boolean => /^metricPath\.|^tokenPath\.gain$/.test(name);

/** What stays as the closed form made it: the population prior, and how pictures are compared by the metric path. */
const isFixed = (name: string): boolean => /^(prior|metric\.image|metricPath\.image)/.test(name);

/**
 * A parameter's share of the learning rate. The pictures' metric is fixed: of the artists that it was made from it
 * tells far more than of others, so that what it learns there costs 1 to 2 points of every kind of people held out.
 */
function rate(name: string): number {
  if (isFixed(name)) return 0;
  if (name.startsWith('metric.')) return 0.3;
  return isCoefficient(name) ? 3 : 1;
}

export interface BasePhase extends Phase {
  /** Profiles are measured too: the best weights are those that order pictures and tell people. */
  readonly profiles: boolean;
  /** Steps between two measurements; 50, if left out. */
  readonly measureEvery?: number;
}

/** Phase 1 trains the network, with the tokens silent; phase 2 network and tokens together. */
export function phases({
  network,
  tokens,
}: {
  readonly network: number;
  readonly tokens: number;
}): readonly [network: BasePhase, tokens: BasePhase] {
  return [
    {
      name: 'network',
      steps: network,
      learningRate: 1e-3,
      losses: { base: 1, contrastive: 1, token: 0, information: 0, twins: 0 },
      rate: (name) => (isToken(name) ? 0 : rate(name)),
      patience: 8,
      profiles: false,
    },
    {
      name: 'network and tokens',
      steps: tokens,
      learningRate: 3e-4,
      losses: { base: 1, contrastive: 1, token: 1, information: 0, twins: 1 },
      rate: (name) => (isToken(name) ? rate(name) : 0.3 * rate(name)),
      patience: 100,
      profiles: true,
    },
  ];
}

/** A person of a random kind, with a history of any length, some judgements wrong, some weights other than 1. */
export function sampleTrainingTask(people: SimulatedPeople, promptPeople: PromptPeople, random: Random): PromptedTask {
  const counts = sampleHistoryCounts(random, LONGEST_SIDE);
  const shape = {
    ...counts,
    likedTargets: BATCH.pairs,
    dislikedTargets: BATCH.pairs,
    flipRate: random.between(0, MOST_NOISE),
  };
  const kind = random.pick(KINDS);
  const task =
    kind === 'prompts' ? promptPeople.sampleTask(random, shape) : people.sampleTask(random, kind, 'train', shape);
  return { ...task, history: task.history.map((item) => ({ ...item, weight: sampleWeight(random) })) };
}

/** Most judgements weigh 1; one in five anything from a quarter to four. */
const sampleWeight = (random: Random): number => (random.int(5) === 0 ? Math.exp(random.between(-1.4, 1.4)) : 1);
