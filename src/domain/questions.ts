/**
 * What to ask a person next: images whose judgement would teach the model most about them (inference/questions.ts).
 */
import { setImmediate } from 'node:timers/promises';
import type { Database } from '../database/client.ts';
import { chooseQuestions } from '../inference/questions.ts';
import { Random } from '../random.ts';
import type { ImageCatalogue } from './imageCatalogue.ts';
import { readItemVectors } from './itemVectors.ts';
import { judgedImages } from './judged.ts';
import { activeModel, type ServingModel } from './models.ts';
import { checkFirst } from './pages.ts';
import type { Platform } from './platform.ts';
import { type JudgementRef, readUsers } from './userStates.ts';

/** The most questions at once: the last of them are chosen without knowing the first answers. */
const MAX_QUESTIONS = 20;
/** Images that questions are chosen from, drawn from all that the person has not judged. */
const CANDIDATES = 300;
/** Images that are to be scored well, drawn likewise. */
const TARGETS = 150;
/** The newest judgements that are taken into account. */
const JUDGEMENTS = 48;

export interface QuestionsRequest {
  readonly userId: string;
  /** Of one collection, or of all. */
  readonly collection: string | null;
  readonly first: number;
}

/** Throws BAD_USER_INPUT where `first` is not a whole number from 1 to 20. */
export function checkQuestions(first: number): void {
  checkFirst(first, MAX_QUESTIONS);
}

/** Of what is left to show a person, and of what they made of the rest, as much as questions are chosen by. */
interface Drawn {
  readonly candidates: readonly string[];
  readonly targets: readonly string[];
  readonly judgements: readonly JudgementRef[];
}

/**
 * The images to ask about, most telling first, in the requests' order: asked again with nothing changed, the same. A
 * user that is none of the tenant's is asked nothing; what was skipped is not asked about again.
 */
export async function questionsForMany(platform: Platform, requests: readonly QuestionsRequest[]): Promise<string[][]> {
  const { database } = platform;
  const model = await activeModel(platform);
  const userIds = [...new Set(requests.map(({ userId }) => userId))];
  const [users, judged, catalogue] = await Promise.all([
    readUsers(platform, model, userIds),
    judgedImages(database, userIds),
    platform.catalogues.holding(database, model),
  ]);
  const draw = ({ userId, collection }: QuestionsRequest): Drawn => {
    const user = users.get(userId);
    if (!user) return { candidates: [], targets: [], judgements: [] };
    const left = catalogue.chosen({ userId, collection, judged: judged.get(userId) }).map(({ id }) => id);
    const random = new Random(`questions/${userId}`);
    return {
      candidates: sample(random.split('candidates'), left, CANDIDATES),
      targets: sample(random.split('targets'), left, TARGETS),
      judgements: user.reading.judgements.slice(0, JUDGEMENTS),
    };
  };
  let drawn: Drawn[];
  do drawn = requests.map(draw);
  while (
    !(await catalogue.confirm(database, [...new Set(drawn.flatMap((one) => [...one.candidates, ...one.targets]))]))
  );

  const metrics = await imageMetrics(database, model, catalogue, drawn);
  const metricOf = (id: string): Float32Array[] => metrics.get(id) ?? [];
  const questions: string[][] = [];
  for (const [i, { candidates, targets, judgements }] of drawn.entries()) {
    const asked = candidates.filter((id) => metrics.has(id));
    const chosen = chooseQuestions({
      candidates: asked.flatMap(metricOf),
      targets: targets.flatMap(metricOf),
      judged: judgements.flatMap(({ imageId, weight }) => metricOf(imageId).map((vector) => ({ vector, weight }))),
      count: requests[i]!.first,
    });
    questions.push(chosen.map((c) => asked[c]!));
    await setImmediate(); // a person takes some 30 ms: whoever else waits goes first
  }
  return questions;
}

/**
 * Each alone in a list. An image that was judged may not be READY at this moment, and is read where it is in no memory;
 * those without an item vector are left out.
 */
async function imageMetrics(
  database: Database,
  { row, network }: ServingModel,
  catalogue: ImageCatalogue,
  drawn: readonly Drawn[],
): Promise<ReadonlyMap<string, Float32Array[]>> {
  const metrics = new Map<string, Float32Array[]>();
  const missing = new Set<string>();
  for (const { candidates, targets, judgements } of drawn) {
    for (const id of [...candidates, ...targets, ...judgements.map(({ imageId }) => imageId)]) {
      const known = catalogue.imageMetric(id);
      if (known) metrics.set(id, [known]);
      else missing.add(id);
    }
  }
  if (missing.size === 0) return metrics;
  const vectors = await readItemVectors(database, row.tower, [...missing]);
  for (const [id, vector] of vectors) metrics.set(id, [network.imageMetric(vector)]);
  return metrics;
}

function sample(random: Random, ids: readonly string[], count: number): string[] {
  return random.choose(ids, Math.min(count, ids.length));
}
