/** People whose taste is in the prompts. */
import { Random } from '../../../src/random.ts';
import type { PromptedTask } from '../../../src/training/batches.ts';
import { pairwiseAccuracy } from '../../../src/training/evaluation/metrics.ts';
import { dot, matrix, row } from '../../../src/training/fitting/linearAlgebra.ts';
import { SimulatedPeople } from '../../../src/training/simulation/people.ts';
import { readPictures, splitPictures } from '../../../src/training/simulation/pictures.ts';
import { PromptPeople } from '../../../src/training/simulation/promptPeople.ts';

const random = new Random('prompt people');
const normals = (rows: number, columns: number) =>
  matrix(
    rows,
    columns,
    Array.from({ length: rows * columns }, () => random.normal()),
  );
const pictures = readPictures(
  Array.from({ length: 600 }, (_, i) => ({
    file: `${i}.jpg`,
    artist: `${Math.floor(i / 2)}`,
    categories: [`tag ${Math.floor(i / 2) % 7}`, `tag ${Math.floor(i / 2) % 5}`],
  })),
);
const people = new SimulatedPeople({ pictures, split: splitPictures(pictures, 1), z: normals(600, 16) });
const prompts = normals(500, 12);
const promptPeople = new PromptPeople(people, prompts);
const shape = { likes: 6, dislikes: 6, likedTargets: 2, dislikedTargets: 2 };
const sample = (i: number): PromptedTask => promptPeople.sampleTask(new Random('tasks').split(i), shape);
const tasks = Array.from({ length: 600 }, (_, i) => sample(i));

/** How well likes' prompts less dislikes' prompts, both of the history, order the targets by their prompts. */
function accuracyByPrompts({ history, liked, historyPrompts, targetPrompts }: PromptedTask): number {
  const direction = new Float64Array(prompts.columns);
  for (const [i, prompt] of historyPrompts!.entries()) {
    if (prompt === null) continue;
    const sign = history[i]!.sentiment === 'LIKE' ? 1 : -1;
    for (const [k, value] of row(prompts, prompt).entries()) direction[k]! += sign * value;
  }
  const scores = targetPrompts!.map((prompt) => (prompt === null ? 0 : dot(direction, row(prompts, prompt))));
  return pairwiseAccuracy(scores.slice(0, liked.length), scores.slice(liked.length));
}

describe('people of prompts', () => {
  it('are the same for the same seed', () => {
    expect(sample(7)).toEqual(tasks[7]);
    expect(sample(8)).not.toEqual(tasks[7]);
  });

  it('judge pictures of the training artists, each picture with a prompt of the corpus or none', () => {
    const train = new Set(splitPictures(pictures, 1).artists.train);
    for (const { history, liked, disliked, historyPrompts, targetPrompts } of tasks) {
      const images = [...history.map(({ image }) => image), ...liked, ...disliked];
      expect(images).toHaveLength(16);
      expect(images.every((image) => train.has(pictures.artistOf[image]!))).toBe(true);
      expect([historyPrompts!.length, targetPrompts!.length]).toEqual([12, 4]);
      for (const prompt of [...historyPrompts!, ...targetPrompts!]) {
        expect(prompt === null || (Number.isInteger(prompt) && prompt >= 0 && prompt < prompts.rows)).toBe(true);
      }
    }
  });

  it('leave one picture in ten without a prompt', () => {
    const dealt = tasks.flatMap(({ historyPrompts, targetPrompts }) => [...historyPrompts!, ...targetPrompts!]);
    expect(dealt.filter((prompt) => prompt === null).length / dealt.length).toBeCloseTo(0.1, 1);
  });

  it('show their taste in the prompts of what they like, for some two thirds of them', () => {
    const accuracies = tasks.map(accuracyByPrompts);
    const mean = accuracies.reduce((sum, value) => sum + value, 0) / accuracies.length;
    expect(mean).toBeGreaterThan(0.65);
    expect(mean).toBeLessThan(0.9);
    // Where prompts are dealt by lot, a quarter of such people has every pair of four the wrong way round or worse.
    const wrong = accuracies.filter((accuracy) => accuracy < 0.5).length / accuracies.length;
    expect(wrong).toBeGreaterThan(0.08);
  });

  it('may have judged nothing yet', () => {
    const task = promptPeople.sampleTask(new Random(1), { ...shape, likes: 0, dislikes: 0 });
    expect([task.history, task.historyPrompts, task.targetPrompts!.length]).toEqual([[], [], 4]);
  });
});
