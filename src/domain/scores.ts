/**
 * Scoring and ranking: how much users would like images. However many users and images are asked for together, the
 * rows are read in one batch and the model runs once. Reasons are explanations.ts.
 */
import type { Database } from '../database/client.ts';
import { PalateError } from '../errors.ts';
import type { Popularity } from '../inference/preferenceModel.ts';
import type { Candidate } from './candidates.ts';
import { activeModel, type ServingModel } from './models.ts';
import type { Platform } from './platform.ts';
import { readPopularity } from './popularity.ts';
import { type Reading, type ReadUser, readUsers } from './userStates.ts';

/** The most candidates that one ranking takes. */
export const MAX_CANDIDATES = 200;

/** Images to score for one user, by their ids in the database. */
export interface ScoreRequest {
  userId: string;
  imageIds: readonly string[];
}

export interface Score {
  imageId: string;
  /** Logits: l⁺ and l⁻. */
  like: number;
  dislike: number;
  /** P(like), 0 to 1, calibrated. */
  value: number;
  /** Of value. */
  standardError: number;
  /** What the model had read of the user. */
  reading: Reading;
}

export interface NotScored {
  /** Which of the request's images, from 0. */
  position: number;
  code: 'NOT_FOUND' | 'NOT_READY' | 'INVALID';
  message: string;
}

export interface Ranking {
  /** Best first; equal ones in the order given. */
  scores: Score[];
  notScored: NotScored[];
}

/** From the user's own judgements, or from the model's prior alone. */
export function basisOf(reading: Reading): 'PERSONAL' | 'COLD_START' {
  return reading.judgements.length > 0 ? 'PERSONAL' : 'COLD_START';
}

/** Throws BAD_USER_INPUT for more candidates than one ranking takes. */
export function checkCandidates(imageIds: readonly string[]): void {
  if (imageIds.length <= MAX_CANDIDATES) return;
  throw new PalateError(
    'BAD_USER_INPUT',
    `imageIds has ${imageIds.length} candidates; rank takes at most ${MAX_CANDIDATES}.`,
  );
}

/**
 * Answers requests in their order, all in one batch. An image that cannot be scored stands in `notScored` and keeps no
 * other from being scored; of an image given twice, the second is INVALID. A user that is none of the tenant's has
 * nothing scored: every image is NOT_FOUND.
 */
export async function scoreMany(platform: Platform, requests: readonly ScoreRequest[]): Promise<Ranking[]> {
  const model = await activeModel(platform);
  const userIds = [...new Set(requests.map(({ userId }) => userId))];
  const imageIds = [...new Set(requests.flatMap((request) => request.imageIds))];
  const [users, images] = await Promise.all([
    readUsers(platform, model, userIds),
    platform.candidates.read(model.row.tower, imageIds),
  ]);

  const sorted = requests.map(({ userId, imageIds }) => sortOut(users.get(userId), imageIds, images));
  const scores = await scoreTargets(
    platform.database,
    model,
    sorted.flatMap(({ user, targets }) => (user ? [{ user, targets }] : [])),
  );
  let next = 0;
  const rankings = sorted.map(({ user, notScored }) => ({
    scores: user ? bestFirst(scores[next++]!) : [],
    notScored,
  }));
  platform.shownScores.add(rankings.map((ranking) => ranking.scores));
  return rankings;
}

type Target = { imageId: string; vector: Uint16Array };

/** One pass of the model over several users and the targets of each; scores in the order of the targets. */
export async function scoreTargets(
  database: Database,
  model: ServingModel,
  requests: readonly { user: ReadUser; targets: readonly Target[] }[],
): Promise<Score[][]> {
  const asked = requests.filter(({ targets }) => targets.length > 0);
  if (asked.length === 0) return requests.map(() => []);
  const popularity = model.network.readsPopularity ? await popularityOf(database, asked) : null;
  const answers = await model.turn.score(
    asked.map(({ user, targets }, i) => ({
      state: user.state,
      targets: targets.map(({ vector }) => vector),
      ...(popularity ? { popularity: popularity[i]! } : {}),
    })),
    { attention: false },
  );
  const byRequest = new Map(asked.map((request, i) => [request, answers[i]!]));
  return requests.map((request) =>
    (byRequest.get(request) ?? []).map(({ like, dislike, value, standardError }, i) => ({
      imageId: request.targets[i]!.imageId,
      like,
      dislike,
      value,
      standardError,
      reading: request.user.reading,
    })),
  );
}

/** What others made of each request's targets. */
async function popularityOf(
  database: Database,
  requests: readonly { user: ReadUser; targets: readonly Target[] }[],
): Promise<Popularity[][]> {
  const pairs = requests.flatMap(({ user, targets }) =>
    targets.map(({ imageId }) => ({ userId: user.reading.userId, imageId })),
  );
  const found = await readPopularity(database, pairs);
  let next = 0;
  return requests.map(({ targets }) => targets.map(() => found[next++]!));
}

/** Greatest margin first: value may round to the same number where the margin still tells. Stable. */
export function bestFirst(scores: readonly Score[]): Score[] {
  return [...scores].sort((a, b) => b.like - b.dislike - (a.like - a.dislike));
}

/** Parts the images that can be scored for a user from those that cannot, and says why not. */
function sortOut(user: ReadUser | undefined, imageIds: readonly string[], images: ReadonlyMap<string, Candidate>) {
  const targets: Target[] = [];
  const notScored: NotScored[] = [];
  const seen = new Set<string>();
  for (const [position, imageId] of imageIds.entries()) {
    const image = images.get(imageId);
    const foreign = !user || !image || (image.ownerId !== null && image.ownerId !== user.reading.userId);
    if (seen.has(imageId)) {
      notScored.push({ position, code: 'INVALID', message: 'This image is given more than once; it is scored once.' });
    } else if (foreign) {
      notScored.push({ position, code: 'NOT_FOUND', message: 'There is no image with this id.' });
    } else if (image.status === 'FAILED') {
      const reason = image.statusReason ?? 'it could not be decoded';
      notScored.push({ position, code: 'NOT_READY', message: `This image cannot be scored: ${reason}.` });
    } else if (image.status !== 'READY' || !image.vector) {
      notScored.push({ position, code: 'NOT_READY', message: 'This image is not encoded yet: ask again shortly.' });
    } else {
      targets.push({ imageId, vector: image.vector });
    }
    seen.add(imageId);
  }
  return { user, targets, notScored };
}
