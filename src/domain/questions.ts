/**
 * What to ask a person next: images whose judgement would teach the model most about them (inference/questions.ts).
 */
import { chooseQuestions } from '../inference/questions.ts';
import { Random } from '../random.ts';
import { activeModel } from './models.ts';
import { checkFirst } from './pages.ts';
import type { Platform } from './platform.ts';
import { type UnjudgedRequest, unjudgedImages } from './unjudged.ts';
import { readUsers } from './userStates.ts';

/** The most questions at once: the last of them are chosen without knowing the first answers. */
const MAX_QUESTIONS = 20;
/** Images that questions are chosen from, drawn from all that the person has not judged. */
const CANDIDATES = 400;
/** Images that are to be scored well, drawn likewise. */
const TARGETS = 200;
/** The newest judgements that are taken into account. */
const JUDGEMENTS = 64;

export interface QuestionsRequest extends UnjudgedRequest {
  readonly first: number;
}

/** Throws BAD_USER_INPUT where `first` is not a whole number from 1 to 20. */
export function checkQuestions(first: number): void {
  checkFirst(first, MAX_QUESTIONS);
}

/**
 * The images to ask about, most telling first, in the requests' order: asked again with nothing changed, the same. A user
 * that is none of the tenant's is asked nothing.
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
  const index = await platform.imageMetrics.holding(database, model, [...new Set(wanted)]);
  const vectorOf = (id: string): Float32Array[] => {
    const vector = index.get(id);
    return vector ? [vector] : [];
  };
  return drawn.map(({ candidates, targets, judgements }, i) => {
    const asked = candidates.filter((id) => index.has(id));
    const chosen = chooseQuestions({
      candidates: asked.flatMap(vectorOf),
      targets: targets.flatMap(vectorOf),
      judged: judgements.flatMap(({ imageId, weight }) => vectorOf(imageId).map((vector) => ({ vector, weight }))),
      count: requests[i]!.first,
    });
    return chosen.map((c) => asked[c]!);
  });
}

function sample(random: Random, ids: readonly string[], count: number): string[] {
  return random.choose(ids, Math.min(count, ids.length));
}
