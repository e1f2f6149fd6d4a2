/**
 * People whose taste shows in the prompts as much as in the pictures. The data's own prompts name the artist, which is
 * the label, so prompts are drawn from a corpus and dealt to pictures: for these people liked pictures carry the
 * prompts they like, for some others whatever prompts there are, so that a model learns to tell which it is.
 */
import type { Random } from '../../random.ts';
import type { PromptedTask } from '../batches.ts';
import { dot, type Matrix, row } from '../fitting/linearAlgebra.ts';
import { targetsOf } from '../tasks.ts';
import type { Kind, SimulatedPeople, TaskShape } from './people.ts';

/** Noise on a person's judgement of a prompt, in deviations of the judgement itself. */
const PROMPT_NOISE = 0.7;
const PICTURE_KINDS: readonly Kind[] = ['tags', 'mixture'];

export class PromptPeople {
  readonly #people: SimulatedPeople;
  readonly #prompts: Matrix;

  /** @param prompts (prompts, textInputs): a corpus after the input transform */
  constructor(people: SimulatedPeople, prompts: Matrix) {
    this.#people = people;
    this.#prompts = prompts;
  }

  /** A task of a new person among the training artists; one in ten of its pictures has no prompt. */
  sampleTask(random: Random, shape: TaskShape): PromptedTask {
    const task = this.#people.sampleTask(random, random.pick(PICTURE_KINDS), 'train', shape);
    const judged = task.history.map(({ sentiment }) => sentiment === 'LIKE');
    const wanted = [...judged, ...targetsOf(task).map((_, i) => i < task.liked.length)];
    const matters = random.uniform() < 2 / 3;
    const dealt = (matters ? this.#byTaste(random, wanted) : wanted.map(() => random.int(this.#prompts.rows))).map(
      (prompt) => (random.int(10) === 0 ? null : prompt),
    );
    return { ...task, historyPrompts: dealt.slice(0, judged.length), targetPrompts: dealt.slice(judged.length) };
  }

  /** For each place a prompt that the person likes (true) or dislikes. */
  #byTaste(random: Random, wanted: readonly boolean[]): number[] {
    const taste = Float64Array.from({ length: this.#prompts.columns }, () => random.normal());
    const candidates = Array.from({ length: 4 * wanted.length }, () => random.int(this.#prompts.rows));
    const values = candidates.map((prompt) => dot(taste, row(this.#prompts, prompt)));
    const deviation = Math.sqrt(values.reduce((sum, v) => sum + v * v, 0) / Math.max(1, values.length));
    const noisy = values.map((value) => value + PROMPT_NOISE * deviation * random.normal());
    const order = [...candidates.keys()].sort((i, j) => noisy[j]! - noisy[i]!).map((i) => candidates[i]!);
    const best = random.shuffle(order.slice(0, (3 * order.length) >> 3));
    const worst = random.shuffle(order.slice(-((3 * order.length) >> 3)));
    return wanted.map((liked) => (liked ? best.pop() : worst.pop())!);
  }
}
