/** A model scores tasks as it serves. */
import { type ItemVector, PreferenceModel } from '../../../src/inference/preferenceModel.ts';
import { Random } from '../../../src/random.ts';
import { modelScorer, scoreTasks } from '../../../src/training/evaluation/modelScorer.ts';
import { type Task, targetsOf } from '../../../src/training/tasks.ts';
import { encodedItems, smallArtifact } from '../../support/model.ts';

describe('a model as a scorer of tasks', () => {
  let model: PreferenceModel;
  let vectors: ItemVector[];
  const random = new Random('tasks');
  const tasks = Array.from({ length: 12 }, (_, i): Task => {
    const images = random.choose([...Array(40).keys()], i + 5);
    return {
      history: images.slice(5).map((image) => ({
        image,
        sentiment: random.pick(['LIKE', 'DISLIKE'] as const),
        weight: random.pick([1, 2]),
      })),
      liked: images.slice(0, 2),
      disliked: images.slice(2, 5),
    };
  });
  beforeAll(async () => {
    model = await PreferenceModel.open(smallArtifact());
    vectors = await model.itemVectors(encodedItems('model scorer', 40));
  });
  afterAll(() => model.close());

  it('gives every target, liked ones first, the margin that serving gives it', async () => {
    const scores = await modelScorer('small', model, vectors).score(tasks);
    for (const [i, task] of tasks.entries()) {
      const [state] = await model.userStates([
        task.history.map(({ image, sentiment, weight }) => ({ item: vectors[image]!, sentiment, weight })),
      ]);
      const targets = [...task.liked, ...task.disliked].map((image) => vectors[image]!);
      const served = (await model.score([{ state: state!, targets }]))[0]!;
      expect(scores[i]).toHaveLength(5);
      for (const [t, { like, dislike }] of served.entries()) expect(scores[i]![t]).toBeCloseTo(like - dislike, 4);
    }
    expect(new Set(scores.flatMap((of) => Array.from(of))).size).toBe(60);
  });

  it('tells the model what others made of the targets, where that is known', async () => {
    const known = tasks.map((task) => ({
      ...task,
      popularity: targetsOf(task).map((_, t) => ({ sum: t === 0 ? 9 : -9, count: 9 })),
    }));
    const open = await PreferenceModel.open(smallArtifact({ set: { 'prior.gain': 5 } }));
    const margins = async (of: readonly Task[]) =>
      (await modelScorer('small', open, vectors).score(of)).map((scores) => Array.from(scores));
    const [without, informed] = [await margins(tasks), await margins(known)];
    for (const [i, own] of informed!.entries()) {
      const gained = own.map((margin, t) => margin - without![i]![t]!);
      expect(gained[0]).toBeGreaterThan(gained[1]! + 1);
    }
    await open.close();
  });

  it('also gives the states that calibration reads', async () => {
    const scored = await scoreTasks(model, vectors, tasks);
    for (const [i, { state, scores }] of scored.entries()) {
      const likes = tasks[i]!.history.filter(({ sentiment }) => sentiment === 'LIKE');
      expect(state.likes).toBe(likes.reduce((sum, { weight }) => sum + weight, 0));
      expect(scores).toHaveLength(targetsOf(tasks[i]!).length);
    }
  });
});
