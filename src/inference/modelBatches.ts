/**
 * A model that many ask at once: histories and targets of all of them run together in batches, each in its turn. One is
 * made for a set of weights, whosever they are. It knows no tenant but as a lane, and no database.
 */
import { Batcher, type Waiting } from './batcher.ts';
import type { PreferenceModel, ScoreOptions, TargetMargin, TargetScore } from './preferenceModel.ts';
import { partOf, type ScoreRequest } from './scoreRuns.ts';
import type { ExecutionProvider } from './session.ts';
import type { Judgement, UserState } from './userState.ts';

export interface BatchOptions {
  /** How long what is asked waits for others, in milliseconds; 0 for no longer than the engine is busy. */
  readonly waitMs: number;
  /** Targets that may wait, of what people wait for; of histories as many as take the engine as long. */
  readonly maxQueuedTargets: number;
}

/** Waits for nobody and refuses nothing: for programs that ask alone. */
export const ALONE: BatchOptions = { waitMs: 0, maxQueuedTargets: Number.POSITIVE_INFINITY };

/**
 * Targets of a full batch: some 6 ms of one thread of a processor, for which more is hardly faster, and others would
 * wait longer. A GPU is busy with fewer than these for no shorter.
 */
const fullTargets = (provider: ExecutionProvider): number => (provider === 'cpu' ? 400 : 4_096);
/** One that runs, and the next. */
const AT_ONCE = 2;
/** Targets that take as long as one history. */
const TARGETS_A_HISTORY = 16;

type History = readonly Judgement[];
type Scores = (TargetScore | TargetMargin)[];
interface ScoreWork {
  readonly requests: readonly ScoreRequest[];
  readonly attention: boolean;
}

/** What one asker has a model do. */
export interface ModelTurn {
  /** As of {@link PreferenceModel.userStates}; OVERLOADED where too much waits or the asker's time is up. */
  userStates(histories: readonly History[]): Promise<UserState[]>;
  /** As of {@link PreferenceModel.score}; OVERLOADED where too much waits or the asker's time is up. */
  score(requests: readonly ScoreRequest[], options?: { attention?: true }): Promise<TargetScore[][]>;
  score(requests: readonly ScoreRequest[], options: ScoreOptions): Promise<TargetMargin[][]>;
}

export class ModelBatches {
  readonly #fullTargets: number;
  readonly #fullHistories: number;
  readonly #states: Batcher<readonly History[], UserState[]>;
  readonly #scores: Batcher<ScoreWork, Scores[]>;

  constructor(model: PreferenceModel, { waitMs, maxQueuedTargets }: BatchOptions) {
    this.#fullTargets = fullTargets(model.executionProvider);
    this.#fullHistories = this.#fullTargets / TARGETS_A_HISTORY;
    this.#states = new Batcher({
      run: (batch) => runStates(model, batch),
      maxRows: this.#fullHistories,
      maxRunning: AT_ONCE,
      waitMs,
      maxQueuedRows: maxQueuedTargets / TARGETS_A_HISTORY,
    });
    this.#scores = new Batcher({
      run: (batch) => runScores(model, batch),
      maxRows: this.#fullTargets,
      maxRunning: AT_ONCE,
      waitMs,
      maxQueuedRows: maxQueuedTargets,
    });
  }

  /** What an asker uses who waits like this. */
  turn(waiting: Waiting): ModelTurn {
    return {
      userStates: (histories) => this.#userStates(histories, waiting),
      score: (requests: readonly ScoreRequest[], { attention = true }: ScoreOptions = {}) =>
        this.#score(requests, attention, waiting) as Promise<TargetScore[][]>,
    };
  }

  async #userStates(histories: readonly History[], waiting: Waiting): Promise<UserState[]> {
    const works = packed(histories, this.#fullHistories, () => 1);
    const states = await Promise.all(works.map((work) => this.#states.submit(work, work.length, waiting)));
    return states.flat();
  }

  async #score(requests: readonly ScoreRequest[], attention: boolean, waiting: Waiting): Promise<Scores[]> {
    const pieces = requests.flatMap((request, i) =>
      piecesOf(request, this.#fullTargets).map((piece) => ({ i, piece })),
    );
    const works = packed(pieces, this.#fullTargets, ({ piece }) => piece.targets.length);
    const answers = await Promise.all(
      works.map((work) => {
        const asked = work.map(({ piece }) => piece);
        return this.#scores.submit({ requests: asked, attention }, targetsOf(asked), waiting);
      }),
    );
    const results: Scores[] = requests.map(() => []);
    const all = answers.flat();
    for (const [k, { i }] of pieces.entries()) results[i] = results[i]!.concat(all[k]!);
    return results;
  }
}

async function runStates(model: PreferenceModel, batch: readonly (readonly History[])[]): Promise<UserState[][]> {
  return split(await model.userStates(batch.flat()), batch);
}

/** Those with attention apart from those without: it is most of what the engine gives. */
async function runScores(model: PreferenceModel, batch: readonly ScoreWork[]): Promise<Scores[][]> {
  const answers = new Map<ScoreWork, Scores[]>();
  for (const attention of [true, false]) {
    const works = batch.filter((work) => work.attention === attention);
    if (works.length === 0) continue;
    const requests = works.map((work) => work.requests);
    const scores = split(await model.score(requests.flat(), { attention }), requests);
    for (const [i, work] of works.entries()) answers.set(work, scores[i]!);
  }
  return batch.map((work) => answers.get(work)!);
}

/** A request in pieces that fit into a batch: none where it has no targets. */
function piecesOf(request: ScoreRequest, most: number): ScoreRequest[] {
  const pieces: ScoreRequest[] = [];
  for (let start = 0; start < request.targets.length; start += most) {
    pieces.push(partOf(request, start, start + most));
  }
  return pieces;
}

const targetsOf = (requests: readonly ScoreRequest[]) => requests.reduce((sum, { targets }) => sum + targets.length, 0);

/** In their order, in lists of at most so many rows. */
function packed<Item>(items: readonly Item[], most: number, rowsOf: (item: Item) => number): Item[][] {
  const lists: Item[][] = [];
  let rows = most;
  for (const item of items) {
    if (rows + rowsOf(item) > most) {
      lists.push([]);
      rows = 0;
    }
    lists.at(-1)!.push(item);
    rows += rowsOf(item);
  }
  return lists;
}

/** What was asked together, by who asked. */
function split<Result>(results: readonly Result[], asked: readonly (readonly unknown[])[]): Result[][] {
  const left = [...results];
  return asked.map(({ length }) => left.splice(0, length));
}
