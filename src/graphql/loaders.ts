/**
 * One loader an edge, for one request: what is asked for in the same turn of the event loop is read, or scored,
 * together, so that no number of queries grows with a page. A loader only gathers; domain does the work.
 */
import DataLoader from 'dataloader';
import type {
  ApiKey,
  Feedback,
  Image,
  Model,
  Sentiment,
  TrainingJob,
  TrainingLoss,
  User,
} from '../database/generated/client.ts';
import { apiKeysByIds } from '../domain/apiKeys.ts';
import { type AuditEvent, auditEventsByIds } from '../domain/auditLog.ts';
import { type Comparison, comparisonsByIds } from '../domain/comparisons.ts';
import { type ExemplarRequest, exemplarsForMany } from '../domain/exemplars.ts';
import { type Explanation, explainMany } from '../domain/explanations.ts';
import { type LiveAccuracy, liveAccuracies } from '../domain/exposures.ts';
import { countFeedback, type FeedbackArgs, feedbackByIds, feedbackForUsers } from '../domain/feedback.ts';
import { imagesByIds } from '../domain/images.ts';
import { findModels } from '../domain/models.ts';
import type { Page } from '../domain/pages.ts';
import type { Platform } from '../domain/platform.ts';
import { readinessOfMany } from '../domain/preparing.ts';
import { type Profile, readProfiles } from '../domain/profiles.ts';
import { type QuestionsRequest, questionsForMany } from '../domain/questions.ts';
import { type RecommendationRequest, recommendMany } from '../domain/recommendations.ts';
import { type Ranking, type Score, type ScoreRequest, scoreMany } from '../domain/scores.ts';
import { similarImages } from '../domain/similarImages.ts';
import { type SimilarUser, similarUsers } from '../domain/similarity.ts';
import { type LossArgs, lossesForJobs, trainingJobsByIds, trainingJobsByModels } from '../domain/trainingJobs.ts';
import { usersByIds } from '../domain/users.ts';
import { PalateError } from '../errors.ts';

export type Loaders = ReturnType<typeof createLoaders>;

/** A loader of rows by id; null for an id that is none of the tenant's. */
function byId<T>(read: (ids: readonly string[]) => Promise<ReadonlyMap<string, T>>): DataLoader<string, T | null> {
  return new DataLoader(async (ids) => {
    const rows = await read(ids);
    return ids.map((id) => rows.get(id) ?? null);
  });
}

/** The row that another row names. Throws NOT_FOUND where it was deleted between the two reads. */
export async function present<T>(row: Promise<T | null>): Promise<T> {
  const found = await row;
  if (found === null) throw new PalateError('NOT_FOUND', 'This was deleted while it was being read.');
  return found;
}

/** A loader of answers to requests that are values: equal ones are asked once. */
function byValue<Request, Answer>(
  answer: (requests: readonly Request[]) => Promise<readonly (Answer | Error)[]>,
): DataLoader<Request, Answer, string> {
  return new DataLoader(answer, { cacheKeyFn: (request) => JSON.stringify(request) });
}

/**
 * A loader of what is read for many rows with the same arguments; it reads once for each set of arguments, of which a
 * document can have no more than it spells out.
 */
function byOwner<Key extends string, Args extends object, Answer>(
  key: Key,
  read: (ids: readonly string[], args: Args) => Promise<ReadonlyMap<string, Answer>>,
): DataLoader<Record<Key, string> & { args: Args }, Answer, string> {
  return byValue(async (requests) => {
    const sets = new Map(requests.map(({ args }) => [JSON.stringify(args), args]));
    const answers = new Map<string, ReadonlyMap<string, Answer>>();
    for (const [text, args] of sets) {
      const same = requests.filter((request) => JSON.stringify(request.args) === text);
      const ids = same.map((request) => request[key]);
      answers.set(text, await read(ids, args));
    }
    return requests.map((request) => answers.get(JSON.stringify(request.args))!.get(request[key])!);
  });
}

/** Loaders for one request. */
export function createLoaders(platform: Platform) {
  const { database } = platform;
  return {
    users: byId<User>((ids) => usersByIds(database, ids)),
    images: byId<Image>((ids) => imagesByIds(database, ids)),
    feedback: byId<Feedback>((ids) => feedbackByIds(database, ids)),
    comparisons: byId<Comparison>((ids) => comparisonsByIds(database, ids)),
    models: byId<Model>(async (ids) => new Map((await findModels(database, ids)).map((row) => [row.id, row]))),
    readiness: byId<number>((ids) => readinessOfMany(database, ids)),
    apiKeys: byId<ApiKey>((ids) => apiKeysByIds(database, ids)),
    auditEvents: byId<AuditEvent>((ids) => auditEventsByIds(database, ids)),
    trainingJobs: byId<TrainingJob>((ids) => trainingJobsByIds(database, ids)),
    trainedBy: byId<TrainingJob>((modelIds) => trainingJobsByModels(database, modelIds)),
    losses: byOwner<'jobId', LossArgs, TrainingLoss[]>('jobId', (ids, args) => lossesForJobs(database, ids, args)),
    live: byId<LiveAccuracy | null>((ids) => liveAccuracies(database, ids)),
    profiles: byId<Profile>((ids) => readProfiles(platform, ids)),
    similarUsers: byId<SimilarUser[]>((ids) => similarUsers(platform, ids)),
    similarImages: byValue<{ imageId: string; ownerId: string | null; first: number }, string[]>((requests) =>
      similarImages(platform, requests),
    ),
    exemplars: byValue<ExemplarRequest, Image[]>((requests) => exemplarsForMany(database, requests)),
    feedbackPages: byOwner<'userId', FeedbackArgs, Page<Feedback>>('userId', (ids, args) =>
      feedbackForUsers(database, ids, args),
    ),
    feedbackCounts: byOwner<'userId', { sentiment: Sentiment | null }, number>('userId', (ids, { sentiment }) =>
      countFeedback(database, ids, sentiment),
    ),
    rankings: byValue<ScoreRequest, Ranking>((requests) => scoreMany(platform, requests)),
    recommendations: byValue<RecommendationRequest, Page<Score>>((requests) => recommendMany(platform, requests)),
    questions: byValue<QuestionsRequest, string[]>((requests) => questionsForMany(platform, requests)),
    /** Each load is an entry of its own: explainMany joins those of one score. */
    explanations: new DataLoader<{ score: Score; influences: boolean }, Explanation>(
      (requests) => explainMany(platform, requests),
      { cache: false },
    ),
  };
}
