/**
 * Images that a user has not judged, best first. A first pass over the images in memory makes a shortlist where there are
 * many, the model scores it, and the list is kept for an hour, so that every page is of the model and the feedback of
 * the first.
 */
import { currentTenant, type Database, withTenant } from '../database/client.ts';
import type { RecommendationList } from '../database/generated/client.ts';
import { PalateError } from '../errors.ts';
import { newId } from './ids.ts';
import { isSeenBy, judgedImages } from './judged.ts';
import { activeModel, findModels, type ServingModel } from './models.ts';
import { fromCursor, type Page, toCursor, toPage, UUID_PATTERN } from './pages.ts';
import type { Platform } from './platform.ts';
import { bestFirst, type Score, scoreTargets } from './scores.ts';
import { type JudgementRef, readUsers } from './userStates.ts';

/** How deep a list goes. */
export const MAX_RECOMMENDATIONS = 1_000;
/** Images the model scores for one list: twice what can be shown, since the first pass is without the blocks. */
const SHORTLIST = 2_000;
/** How long a cursor is good for. */
const LIST_LIFETIME_MS = 3_600_000;
/** Expired lists that are swept away beyond as many as were made, so that they grow fewer. */
const SWEPT_MORE = 10;

export interface RecommendationRequest {
  userId: string;
  /** Of one collection, or of all. */
  collection: string | null;
  first: number;
  /** The cursor that the page begins after. */
  after: string | null;
}

/**
 * Answers requests in their order: pages, or BAD_USER_INPUT for a cursor that is not of this list or has expired.
 * A user that is none of the tenant's has nothing recommended.
 */
export async function recommendMany(
  platform: Platform,
  requests: readonly RecommendationRequest[],
): Promise<(Page<Score> | PalateError)[]> {
  const [lists, positions] = await Promise.all([
    makeLists(
      platform,
      requests.filter(({ after }) => after === null),
    ),
    readPositions(
      platform,
      requests.filter(({ after }) => after !== null),
    ),
  ]);
  const pages = requests.map((request): Page<Score> | PalateError => {
    const position = positions.get(request) ?? { list: lists.get(request), start: 0 };
    if (position instanceof PalateError) return position;
    const { list, start } = position;
    const rows = (list?.scores ?? []).flatMap((score, i) => (score && i >= start ? [{ score, position: i + 1 }] : []));
    const { edges, nodes, pageInfo } = toPage(rows, request, (row) => toCursor(list!.id, String(row.position)));
    return {
      edges: edges.map(({ node, cursor }) => ({ node: node.score, cursor })),
      nodes: nodes.map(({ score }) => score),
      pageInfo,
    };
  });
  platform.shownScores.add(pages.map((page) => (page instanceof PalateError ? [] : page.nodes)));
  return pages;
}

interface List {
  id: string;
  /** Best first; null where the image has been taken out since, so that positions stay what they were. */
  scores: (Score | null)[];
}

/** Makes and keeps a list a request, whatever their number with the same few queries and one pass of the model. */
async function makeLists(
  platform: Platform,
  requests: readonly RecommendationRequest[],
): Promise<Map<RecommendationRequest, List>> {
  if (requests.length === 0) return new Map();
  const { database } = platform;
  const model = await activeModel(platform);
  const userIds = [...new Set(requests.map(({ userId }) => userId))];
  const [users, judged, catalogue] = await Promise.all([
    readUsers(platform, model, userIds),
    judgedImages(database, userIds),
    platform.catalogues.holding(database, model),
  ]);
  const known = requests.flatMap((request) => {
    const user = users.get(request.userId);
    return user ? [{ request, user }] : [];
  });
  const shortlists: string[][] = [];
  for (const { request, user } of known) {
    const { userId, collection } = request;
    const choice = { userId, collection, judged: judged.get(userId) };
    const chosen = await catalogue.shortlist(model, user.state, choice, SHORTLIST);
    shortlists.push(chosen.sort().reverse()); // newest first: so are those of one score
  }
  const images = await platform.candidates.read(model.row.tower, new Set(shortlists.flat()));
  const scores = await scoreTargets(
    database,
    model,
    known.map(({ user }, i) => ({
      user,
      targets: shortlists[i]!.flatMap((imageId) => {
        const vector = images.get(imageId)?.vector;
        return vector ? [{ imageId, vector }] : [];
      }),
    })),
  );
  const lists = new Map(
    known.map(({ request }, i) => [
      request,
      { id: newId(), scores: bestFirst(scores[i]!).slice(0, MAX_RECOMMENDATIONS) },
    ]),
  );
  await keepLists(platform, model, lists);
  return lists;
}

// ---------------------------------------------------------------- kept lists

/** What `RecommendationList.scores` holds, as JSON: the scores by position, and what they were computed from. */
interface Packed {
  asOf: string | null;
  judgements: readonly JudgementRef[];
  /** like, dislike, value, standardError */
  scores: [number, number, number, number][];
}

/** Keeps lists, and sweeps some that have expired. Index: recommendation_lists_tenant_id_expires_at_idx. */
async function keepLists(
  { database, now }: Platform,
  model: ServingModel,
  lists: ReadonlyMap<RecommendationRequest, { id: string; scores: Score[] }>,
): Promise<void> {
  const data = [...lists].map(([{ userId, collection }, { id, scores }]) => ({
    tenantId: currentTenant(),
    id,
    userId,
    modelId: model.row.id,
    feedbackVersion: scores[0]?.reading.feedbackVersion ?? 0,
    collection,
    imageIds: scores.map(({ imageId }) => imageId),
    scores: pack(scores),
    expiresAt: new Date(now().getTime() + LIST_LIFETIME_MS),
  }));
  await database.recommendationList.createMany({ data });
  await sweepLists(database, now(), data.length + SWEPT_MORE);
}

/** Forgets lists that have expired, whoever's they are, at most so many. */
export function sweepLists(database: Database, now: Date, atMost: number): Promise<number> {
  const sweep = () => database.$executeRaw`
    DELETE FROM recommendation_lists WHERE id IN (
      SELECT id FROM recommendation_lists WHERE expires_at < ${now}
      ORDER BY expires_at LIMIT ${atMost} FOR UPDATE SKIP LOCKED
    )`;
  return withTenant(currentTenant(), async () => await sweep());
}

function pack(scores: readonly Score[]): Uint8Array<ArrayBuffer> {
  const reading = scores[0]?.reading;
  const packed: Packed = {
    asOf: reading?.asOf?.toISOString() ?? null,
    judgements: reading?.judgements ?? [],
    scores: scores.map(({ like, dislike, value, standardError }) => [like, dislike, value, standardError]),
  };
  return new TextEncoder().encode(JSON.stringify(packed));
}

/** What a kept list holds, best first. */
export function listEntries(row: RecommendationList): { imageId: string; value: number; standardError: number }[] {
  const { scores } = JSON.parse(new TextDecoder().decode(row.scores)) as Packed;
  return row.imageIds.map((imageId, i) => ({ imageId, value: scores[i]![2], standardError: scores[i]![3] }));
}

/** The scores of a kept list; null for images that are `gone`. */
function unpack(row: RecommendationList, model: ServingModel, gone: (imageId: string) => boolean): (Score | null)[] {
  const packed = JSON.parse(new TextDecoder().decode(row.scores)) as Packed;
  const reading = {
    userId: row.userId,
    model,
    feedbackVersion: row.feedbackVersion,
    judgements: packed.judgements,
    asOf: packed.asOf === null ? null : new Date(packed.asOf),
  };
  return row.imageIds.map((imageId, i) => {
    if (gone(imageId)) return null;
    const [like, dislike, value, standardError] = packed.scores[i]!;
    return { imageId, like, dislike, value, standardError, reading };
  });
}

/** Where each request's cursor points: into a kept list, or the error that it is. */
async function readPositions(
  platform: Platform,
  requests: readonly RecommendationRequest[],
): Promise<Map<RecommendationRequest, { list: List; start: number } | PalateError>> {
  const { database } = platform;
  const cursors = requests.map(({ after }) => readCursor(after));
  const ids = cursors.flatMap((cursor) => (cursor instanceof PalateError ? [] : cursor.listId));
  const rows = ids.length === 0 ? [] : await database.recommendationList.findMany({ where: { id: { in: ids } } });
  const [models, images] = await Promise.all([
    findModels(database, [...new Set(rows.map(({ modelId }) => modelId))]),
    database.image.findMany({
      where: { id: { in: [...new Set(rows.flatMap(({ imageIds }) => imageIds))] } },
      select: { id: true, ownerId: true },
    }),
  ]);
  const served = new Map<string, ServingModel | PalateError>();
  for (const row of models) served.set(row.id, await platform.networks.of(row, platform.patience).catch(asPalateError));
  const owners = new Map(images.map(({ id, ownerId }) => [id, ownerId]));

  const positions = new Map<RecommendationRequest, { list: List; start: number } | PalateError>();
  for (const [i, request] of requests.entries()) {
    const cursor = cursors[i]!;
    if (cursor instanceof PalateError) {
      positions.set(request, cursor);
      continue;
    }
    const row = rows.find(({ id }) => id === cursor.listId);
    if (row && (row.userId !== request.userId || row.collection !== request.collection)) {
      const message = `after is "${request.after}", a cursor of another person's or collection's recommendations.`;
      positions.set(request, new PalateError('BAD_USER_INPUT', message));
    } else if (!row || row.expiresAt <= platform.now()) {
      const message = `after is "${request.after}", which has expired: a list is kept for an hour. Begin without it.`;
      positions.set(request, new PalateError('BAD_USER_INPUT', message));
    } else {
      const model = served.get(row.modelId)!;
      const gone = (imageId: string) => !isSeenBy(row.userId, owners.get(imageId));
      const position = (of: ServingModel) => ({
        list: { id: row.id, scores: unpack(row, of, gone) },
        start: cursor.position,
      });
      positions.set(request, model instanceof PalateError ? model : position(model));
    }
  }
  return positions;
}

function asPalateError(error: unknown): PalateError {
  if (error instanceof PalateError) return error;
  throw error;
}

/** A cursor is of a list and a position in it. */
function readCursor(after: string | null): { listId: string; position: number } | PalateError {
  try {
    const [listId, position] = fromCursor(after, [UUID_PATTERN, /^\d{1,4}$/])!;
    return { listId: listId!, position: Number(position) };
  } catch (error) {
    return asPalateError(error);
  }
}
