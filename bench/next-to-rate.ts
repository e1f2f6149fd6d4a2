/**
 * Do the questions of `nextToRate` teach more than random ones? With pictures that you bring:
 *
 *     npx tsx bench/next-to-rate.ts --images DIR --metadata FILE [--seed 1] [--people 2000] [--answers 8]
 *
 * FILE is a list of {file, artist, categories}, `file` relative to DIR. Simulated people over artists that the seed's
 * base model never saw answer questions about 32 pictures whose answers are known; then the model orders six others of
 * each. The pictures asked about are drawn, or chosen as the service chooses them. Prints the accuracy of both with
 * paired differences and 95 % intervals, and how many random answers the chosen ones equal; ends with 1 where the
 * interval over people of all kinds does not lie above 0.
 */
import { parseArgs } from 'node:util';
import { PreferenceModel, SHIPPED_MODEL } from '../src/inference/preferenceModel.ts';
import { chooseQuestions } from '../src/inference/questions.ts';
import { Random } from '../src/random.ts';
import { type Interval, meanInterval, pairedDifference, pairwiseAccuracy } from '../src/training/evaluation/metrics.ts';
import { scoreTasks } from '../src/training/evaluation/modelScorer.ts';
import { itemVectorsOf } from '../src/training/itemVectors.ts';
import { type Kind, SimulatedPeople } from '../src/training/simulation/people.ts';
import { imagesOfPart } from '../src/training/simulation/pictures.ts';
import type { Task } from '../src/training/tasks.ts';
import { loadPictures } from './support/pictures.ts';

const KINDS: readonly Kind[] = ['tags', 'artists', 'mixture', 'direction'];
/** Pictures a person can be asked about: so many of each side. */
const SIDE = 16;
/** Random answers that the chosen ones are held against. */
const COUNTS = [4, 6, 7, 8, 9, 10, 11, 12, 14, 16, 24, 2 * SIDE];
const TARGETS = 200;
const PERCENT = 100;

const { values } = parseArgs({
  options: {
    images: { type: 'string' },
    metadata: { type: 'string' },
    seed: { type: 'string', default: '1' },
    people: { type: 'string', default: '2000' },
    answers: { type: 'string', default: '8' },
  },
});
const { pictures, split, features, z } = await loadPictures(values, Number(values.seed));
const answers = Number(values.answers);
const people = new SimulatedPeople({ pictures, split, z });
const model = await PreferenceModel.load(SHIPPED_MODEL);
const vectors = await itemVectorsOf(model, features);
const metrics = vectors.map((vector) => model.imageMetric(vector));
const shown = new Random('targets').choose(imagesOfPart(pictures, split, 'test'), TARGETS).map((i) => metrics[i]!);

const rows: Record<string, Record<string, string>> = {};
const all = { chosen: [] as number[], drawn: [] as number[] };
const points = (share: number) => (PERCENT * share).toFixed(1);
const shown95 = ({ mean, low, high }: Interval) => `${points(mean)} [${points(low)}, ${points(high)}]`;
for (const kind of KINDS) {
  const tasks = drawPeople(kind);
  const drawn = (count: number) => (task: Task, person: number) =>
    new Random(`drawn/${kind}/${person}`).choose([...task.history.keys()], count);
  const chosen = ({ history }: Task) =>
    chooseQuestions({
      ...{ candidates: history.map(({ image }) => metrics[image]!), targets: shown, judged: [], count: answers },
    });
  const byCount: { count: number; accuracy: number }[] = [];
  for (const count of COUNTS) {
    byCount.push({ count, accuracy: meanInterval(await accuracies(tasks, drawn(count))).mean });
  }
  const ofChosen = await accuracies(tasks, chosen);
  const ofDrawn = await accuracies(tasks, drawn(answers));
  all.chosen.push(...ofChosen);
  all.drawn.push(...ofDrawn);
  const reached = byCount.find(({ accuracy }) => accuracy >= meanInterval(ofChosen).mean)?.count;
  rows[kind] = {
    [`${answers} drawn, %`]: points(meanInterval(ofDrawn).mean),
    [`${answers} chosen, %`]: points(meanInterval(ofChosen).mean),
    'difference, points [95 %]': shown95(pairedDifference(ofChosen, ofDrawn)),
    'as good as drawn': reached === undefined ? `more than ${2 * SIDE}` : String(reached),
  };
}
const difference = pairedDifference(all.chosen, all.drawn);
rows['all'] = {
  [`${answers} drawn, %`]: points(meanInterval(all.drawn).mean),
  [`${answers} chosen, %`]: points(meanInterval(all.chosen).mean),
  'difference, points [95 %]': shown95(difference),
};
if (!(difference.low > 0)) process.exitCode = 1;
console.log(`${values.people} people of each kind, seed ${values.seed}, standard errors over people:`);
console.table(rows);
await model.close();

function drawPeople(kind: Kind): Task[] {
  const random = new Random(`next-to-rate/${values.seed}/${kind}`);
  const shape = { likes: SIDE, dislikes: SIDE, likedTargets: 3, dislikedTargets: 3 };
  return Array.from({ length: Number(values.people) }, (_, i) =>
    people.sampleTask(random.split(i), kind, 'test', shape),
  );
}

/** Pairwise accuracy of each person once they have answered what `ask` names by its place in their history. */
async function accuracies(
  tasks: readonly Task[],
  ask: (task: Task, person: number) => readonly number[],
): Promise<number[]> {
  const answered = tasks.map((task, i) => ({ ...task, history: ask(task, i).map((place) => task.history[place]!) }));
  return (await scoreTasks(model, vectors, answered)).map(({ scores }, i) => {
    const margins = scores.map(({ like, dislike }) => like - dislike);
    const likedCount = tasks[i]!.liked.length;
    return pairwiseAccuracy(margins.slice(0, likedCount), margins.slice(likedCount));
  });
}
