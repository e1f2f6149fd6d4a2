/**
 * What to ask a person next: images whose judgement would teach the model most about them (inference/questions.ts).
 */
import { setImmediate } from 'node:timers/promises';
import { chooseQuestions } from '../inference/questions.ts';
import { Random } from '../random.ts';
import { activeModel, type ServingModel } from './models.ts';
import { checkFirst } from './pages.ts';
import type { Platform } from './platform.ts';
import { type UnjudgedRequest, unjudgedImages } from './unjudged.ts';
import { readUsers } from './userStates.ts';

/** The most questions at once: the last of them are chosen without knowing the first answers. */
const MAX_QUESTIONS = 20;
/** Images that questions are chosen from, drawn from all that the person has not judged. */
const CANDIDATES = 300;
/** Images that are to be scored well, drawn likewise. */
const TARGETS = 150;
/** The newest judgements that are taken into account. */
const JUDGEMENTS = 48;

export interface QuestionsRequest extends UnjudgedRequest {
  readonly first: number;
}

/** Throws BAD_USER_INPUT where `first` is not a whole number from 1 to 20. */
export function checkQuestions(first: number): void {
  checkFirst(first, MAX_QUESTIONS);
}

/**
 * The images to ask about, most telling first, in the requests' order: asked again with nothing changed, the same. A
 * user that is none of the tenant's is asked nothing.
 */
export async function questionsForMany(platform: Platform, requests: readonly QuestionsRequest[]): Promise<string[][]> {
  const { database } = platform;
  const model = await activeModel(platform);
  const [users, left] = await Promise.all([
    readUsers(platform, model, [...new Set(requests.map(({ userId }) => userId))]),
    unjudgedImages(database, requests),
  ]);
  const drawn = requests.map(({ userId }, i) => {
    const user = users.get(userId);
    if (!user) return { candidates: [], targets: [], judgements: [] };
    const random = new Random(`questions/${userId}`);
    return {
      candidates: sample(random.split('candidates'), left[i]!, CANDIDATES),
      targets: sample(random.split('targets'), left[i]!, TARGETS),
      judgements: user.reading.judgements.slice(0, JUDGEMENTS),
    };
  });
  const wanted = drawn.flatMap(({ candidates, targets, judgements }) => [
    ...candidates,
    ...targets,
    ...judgements.map(({ imageId }) => imageId),
  ]);
  const vectors = await imageVectors(platform, model, [...new Set(wanted)]);
  const vectorOf = (id: string): Float32Array[] => vectors.get(id) ?? [];
  const questions: string[][] = [];
  for (const [i, { candidates, targets, judgements }] of drawn.entries()) {
    const asked = candidates.filter((id) => vectors.has(id));
    const chosen = chooseQuestions({
      candidates: asked.flatMap(vectorOf),
      targets: targets.flatMap(vectorOf),
      judged: judgements.flatMap(({ imageId, weight }) => vectorOf(imageId).map((vector) => ({ vector, weight }))),
      count: requests[i]!.first,
    });
    questions.push(chosen.map((c) => asked[c]!));
    await setImmediate(); // a person takes some 30 ms: whoever else waits goes first
  }
  return questions;
}

/** Image metrics that stay as they are while others are taken in; each alone in a list. Those of no vector are left out. */
async function imageVectors(
  { database, imageMetrics }: Platform,
  model: ServingModel,
  imageIds: readonly string[],
): Promise<ReadonlyMap<string, Float32Array[]>> {
  const index = await imageMetrics.holding(database, model, imageIds);
  return new Map(
    imageIds.flatMap((id) => {
      const vector = index.get(id);
      return vector ? [[id, [vector.slice()]] as const] : [];
    }),
  );
}

function sample(random: Random, ids: readonly string[], count: number): string[] {
  return random.choose(ids, Math.min(count, ids.length));
}
