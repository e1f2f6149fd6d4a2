/**
 * From tasks to the training graph's inputs: which rows the blocks read, in which half, and the noise that keeps a few
 * hundred artists from being learned by heart. Knows where vectors lie, not where people come from.
 */
import { PalateError } from '../errors.ts';
import type { Tensors } from '../inference/session.ts';
import type { Architecture } from '../model/architecture.ts';
import { selectHistory } from '../model/history.ts';
import type { BatchShape } from '../model/trainingGraph.ts';
import { Random } from '../random.ts';
import { type Matrix, row } from './fitting/linearAlgebra.ts';
import { type HistoryItem, type Task, targetsOf } from './tasks.ts';

/** A task, and the prompts its pictures carry: rows of the text matrix, by place; without any, none has a prompt. */
export interface PromptedTask extends Task {
  readonly historyPrompts?: readonly (number | null)[];
  /** Of `targetsOf(task)`. */
  readonly targetPrompts?: readonly (number | null)[];
}

export interface BatchSource {
  /** (images, imageInputs): pictures after the input transform. */
  readonly images: Matrix;
  /** (prompts, textInputs): prompts after theirs. */
  readonly prompts: Matrix;
}

/** Standard deviation of the noise on each of a picture's numbers, which are of order 1. */
const NOISE = 0.15;
/** Drawn once: a batch needs half a million normal numbers, and a window at a random offset is as good. */
const NOISE_TABLE_SIZE = 1 << 20;

export class Batcher {
  readonly #architecture: Architecture;
  readonly #shape: BatchShape;
  readonly #source: BatchSource;
  readonly #noise: Float32Array;

  constructor(architecture: Architecture, shape: BatchShape, source: BatchSource, seed: number | string) {
    this.#architecture = architecture;
    this.#shape = shape;
    this.#source = source;
    const random = new Random(seed).split('noise');
    this.#noise = Float32Array.from({ length: NOISE_TABLE_SIZE }, () => NOISE * random.normal());
  }

  /**
   * The batch inputs of the training graph. Throws INVALID when there are not as many tasks as the batch has users,
   * or a task's history or targets do not fit the shape.
   */
  feeds(tasks: readonly PromptedTask[], random: Random): Tensors {
    const { users, judgements, pairs } = this.#shape;
    const { imageInputs, textInputs } = this.#architecture;
    if (tasks.length !== users) {
      throw new PalateError('INVALID', `A batch has ${users} people; ${tasks.length} tasks were given.`);
    }
    const rows = judgements + 2 * pairs;
    const image = new Float32Array(users * rows * imageInputs);
    const text = new Float32Array(users * rows * textInputs);
    const hasText = new Float32Array(users * rows);
    const judged = new Float32Array(users * judgements * 2);
    const fill = (place: number, picture: number, prompt: number | null | undefined) => {
      this.#addNoise(image, place * imageInputs, row(this.#source.images, picture), random);
      if (prompt === null || prompt === undefined) return;
      text.set(row(this.#source.prompts, prompt), place * textInputs);
      hasText[place] = 1;
    };
    for (const [u, task] of tasks.entries()) {
      this.#check(task);
      for (const [place, i] of placesOf(task.history, this.#architecture.history, random)) {
        const { image: picture, sentiment, weight } = task.history[i]!;
        fill(u * rows + place, picture, task.historyPrompts?.[i]);
        judged[2 * (u * judgements + place) + (sentiment === 'LIKE' ? 0 : 1)] = weight;
      }
      for (const [t, picture] of targetsOf(task).entries()) {
        fill(u * rows + judgements + t, picture, task.targetPrompts?.[t]);
      }
    }
    const float = (data: Float32Array, ...dims: number[]) => ({ dtype: 'float32' as const, dims, data });
    return {
      image: float(image, users, rows, imageInputs),
      text: float(text, users, rows, textInputs),
      hasText: float(hasText, users, rows, 1),
      judged: float(judged, users, judgements, 2),
      popularity: float(new Float32Array(users * 2 * pairs * 2), users, 2 * pairs, 2),
    };
  }

  #check({ history, liked, disliked }: Task): void {
    const { judgements, pairs } = this.#shape;
    if (history.length > judgements || liked.length !== pairs || disliked.length !== pairs) {
      throw new PalateError(
        'INVALID',
        `A task of ${history.length} judgements, ${liked.length} liked and ${disliked.length} disliked targets does not ` +
          `fit a batch of at most ${judgements} judgements and ${pairs} targets of each kind.`,
      );
    }
  }

  #addNoise(target: Float32Array, offset: number, vector: ArrayLike<number>, random: Random): void {
    const start = random.int(NOISE_TABLE_SIZE - vector.length);
    for (let i = 0; i < vector.length; i++) target[offset + i] = vector[i]! + this.#noise[start + i]!;
  }
}

/**
 * [place, index in the history] of every judgement, in a row whose blocks read the first `blockRows` places. What they
 * read is dealt in turn to the two halves of those places, likes and dislikes each, so that either half tells about as
 * much of the person.
 */
export function* placesOf(
  history: readonly HistoryItem[],
  blockRows: number,
  random: Random,
): Generator<[number, number]> {
  const read = selectHistory(
    history.map(({ sentiment }) => sentiment),
    blockRows,
  );
  const half = blockRows / 2;
  const next = [0, half];
  let turn = random.int(2);
  for (const sentiment of ['LIKE', 'DISLIKE']) {
    for (const i of random.shuffle(read.filter((i) => history[i]!.sentiment === sentiment))) {
      const side = next[turn]! < (turn + 1) * half ? turn : 1 - turn;
      yield [next[side]!++, i];
      turn = 1 - turn;
    }
  }
  const unread = new Set(read);
  let place = blockRows;
  for (const i of history.keys()) if (!unread.has(i)) yield [place++, i];
}
