/**
 * What is measured of one preference model beside its ranking: its probabilities before and after calibration, what its
 * tokens tell, what they are worth, and the time a score takes. On any people's tasks, simulated or real.
 */
import { performance } from 'node:perf_hooks';
import { calibrated, sigmoid } from '../../inference/calibration.ts';
import type { ItemVector, PreferenceModel, UserState } from '../../inference/preferenceModel.ts';
import type { ModelArtifact } from '../../model/artifact.ts';
import { parameterLayout } from '../../model/parameters.ts';
import type { Random } from '../../random.ts';
import type { HistoryItem, Task } from '../tasks.ts';
import { type CalibrationReport, reportCalibration } from './calibrationReport.ts';
import { scoreTasks } from './modelScorer.ts';
import type { TokenInput } from './tokenReport.ts';

/** Before: P(like) = σ(s), the margin taken at its word. After: as it is served. */
export interface CalibrationBeforeAndAfter {
  readonly before: CalibrationReport;
  readonly after: CalibrationReport;
}

/** Every target of every task is one judgement. */
export async function measureCalibration(
  model: PreferenceModel,
  vectors: readonly ItemVector[],
  tasks: readonly Task[],
  random: Random,
): Promise<CalibrationBeforeAndAfter> {
  const { calibration } = model.manifest;
  const judgements = (await scoreTasks(model, vectors, tasks)).flatMap(({ state, scores }, i) =>
    scores.map(({ like, dislike }, t) => ({
      before: sigmoid(like - dislike),
      after: calibrated(calibration, like - dislike, state).value,
      liked: t < tasks[i]!.liked.length,
    })),
  );
  const report = (of: 'before' | 'after') =>
    reportCalibration(
      judgements.map((judgement) => judgement[of]),
      judgements.map(({ liked }) => liked),
      random.split(of),
    );
  return { before: report('before'), after: report('after') };
}

/** Profiles and states of people; those without a judgement have no profile and are left out. */
export async function readTokens(
  model: PreferenceModel,
  vectors: readonly ItemVector[],
  tasks: readonly Task[],
): Promise<TokenInput> {
  const judged = tasks.filter(({ history }) => history.length > 1);
  const statesOf = async (histories: readonly (readonly HistoryItem[])[]) =>
    model.userStates(histories.map((history) => history.map((item) => ({ ...item, item: vectors[item.image]! }))));
  const states = await statesOf(judged.map(({ history }) => history));
  const halves = judged.map(({ history }) => historyHalves(history));
  const first = await statesOf(halves.map(([half]) => half));
  const second = await statesOf(halves.map(([, half]) => half));
  const groups = judged.flatMap(({ group }) => (group === undefined ? [] : [group]));
  return {
    layers: model.layers,
    heads: model.heads,
    tokens: model.tokens,
    profiles: states.map(({ profile }) => profile!),
    halves: first.map((half, i) => [halfOf(half), halfOf(second[i]!)] as const),
    tastes: states.map(({ taste }) => taste),
    states: states.map(({ probe }) => probe),
    ...(groups.length === judged.length && groups.length > 0 ? { groups } : {}),
  };
}

const halfOf = ({ profile, taste }: UserState) => ({ profile: profile!, taste });

/** Two disjoint histories: each side's judgements dealt in turn, so that both halves reach as far back. */
export function historyHalves(history: readonly HistoryItem[]): readonly [HistoryItem[], HistoryItem[]] {
  const dealt = { LIKE: 0, DISLIKE: 1 };
  const halves: [HistoryItem[], HistoryItem[]] = [[], []];
  for (const item of history) halves[dealt[item.sentiment]++ % 2]!.push(item);
  // A history of two judgements on one side each would leave a half empty.
  if (halves[0].length === 0) halves[0].push(halves[1].pop()!);
  if (halves[1].length === 0) halves[1].push(halves[0].pop()!);
  return halves;
}

/** The same model with silent tokens: their values in every block and the token path's gain are 0. Items stay as they are. */
export function withoutTokens(artifact: ModelArtifact): ModelArtifact {
  const { architecture } = artifact.manifest;
  const layout = parameterLayout(architecture);
  const parameters = artifact.parameters.slice();
  const silent = Array.from({ length: architecture.layers }, (_, layer) => `block${layer}.tokenValues`);
  for (const name of [...silent, 'tokenPath.gain']) {
    const { start, end } = layout.range(name);
    parameters.fill(0, start, end);
  }
  return { ...artifact, parameters };
}

/** Medians on this machine, in microseconds. */
export interface ScoreTimes {
  /** A person's state from a history. */
  readonly state: number;
  /** A score, one target in a call. */
  readonly one: number;
  /** A score, 64 targets in a call. */
  readonly of64: number;
  /** Judgements in the history. */
  readonly judgements: number;
}

const TIMED_CALLS = 200;
const WARM_UP_CALLS = 20;
const TIMED_TARGETS = 64;

/** Times one person at a time, calls one after the other. */
export async function measureTimes(
  model: PreferenceModel,
  vectors: readonly ItemVector[],
  { history }: Task,
): Promise<ScoreTimes> {
  const judgements = history.map((item) => ({ ...item, item: vectors[item.image]! }));
  const [state] = await model.userStates([judgements]);
  const known = Object.values(vectors); // of some pictures alone, where places are left empty
  const targets = Array.from({ length: TIMED_TARGETS }, (_, i) => known[i % known.length]!);
  const score = (count: number) => () => model.score([{ state: state!, targets: targets.slice(0, count) }]);
  return {
    state: await median(() => model.userStates([judgements])),
    one: await median(score(1)),
    of64: (await median(score(TIMED_TARGETS))) / TIMED_TARGETS,
    judgements: history.length,
  };
}

async function median(call: () => Promise<unknown>): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < WARM_UP_CALLS + TIMED_CALLS; i++) {
    const start = performance.now();
    await call();
    if (i >= WARM_UP_CALLS) times.push(1e3 * (performance.now() - start));
  }
  return times.sort((a, b) => a - b)[TIMED_CALLS >> 1]!;
}
