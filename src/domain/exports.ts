/**
 * Everything held about one person, as JSON, written a page of rows at a time so that no length of history fills the
 * memory. A copy for the person: whatever a table gains about people must be added here.
 */
import { currentTenant, type Database, withTenant } from '../database/client.ts';
import type { Image, RecommendationList, User } from '../database/generated/client.ts';
import { PalateError } from '../errors.ts';
import { modelsTrainedOn } from './erasure.ts';
import { idOf, toGlobalId } from './ids.ts';
import type { Platform } from './platform.ts';
import { toFloats } from './profiles.ts';
import { listEntries } from './recommendations.ts';
import { usersByIds } from './users.ts';

/** Rows read and written at a time: with comments of 2,000 characters, 2 MB. */
const ROWS_AT_ONCE = 500;
/** Of recommendation lists, which hold up to 1,000 images each. */
const LISTS_AT_ONCE = 10;

/**
 * The person's data as JSON text, in parts. Throws NOT_FOUND where the caller's session sees no such person: a person's
 * own sees nobody else.
 */
export async function exportUser(platform: Platform, globalId: string): Promise<AsyncIterable<string>> {
  const userId = idOf('User', globalId);
  const user = userId === null ? undefined : (await usersByIds(platform.database, [userId])).get(userId);
  if (!user) throw new PalateError('NOT_FOUND', 'There is no user with this id.');
  return write(platform, currentTenant(), user);
}

/** A list of the export: its name, and a page of its rows after the one with that id; after the last, an empty one. */
type Section = [name: string, page: (after: string | null) => Promise<{ id: string; shown: object }[]>];

async function* write(platform: Platform, tenantId: string, user: User): AsyncGenerator<string> {
  const { externalId, displayName, createdAt } = user;
  const shown = { id: toGlobalId('User', user.id), externalId, displayName, createdAt };
  yield `{"exportedAt":${JSON.stringify(platform.now())},"user":${JSON.stringify(shown)}`;
  for (const [name, page] of sectionsOf(platform, user.id)) {
    yield `,${JSON.stringify(name)}:[`;
    // Each page in a session of its own: who reads the parts has left the one that they were asked for in.
    const read = (after: string | null) => withTenant(tenantId, () => page(after));
    let separator = '';
    for (let rows = await read(null); rows.length > 0; rows = await read(rows.at(-1)!.id)) {
      yield separator + rows.map(({ shown }) => JSON.stringify(shown)).join(',');
      separator = ',';
    }
    yield ']';
  }
  yield '}\n';
}

/** Every list, in the order in which they are written. Lists that stay short are one page. */
function sectionsOf(platform: Platform, userId: string): Section[] {
  const { database, links, now } = platform;
  const paged = (after: string | null) => ({
    where: { userId, ...(after === null ? {} : { id: { gt: after } }) },
    orderBy: { id: 'asc' as const },
    take: ROWS_AT_ONCE,
  });
  const once = (read: () => Promise<object[]>): Section[1] => {
    return async (after) => (after === null ? (await read()).map((shown) => ({ id: 'end', shown })) : []);
  };
  return [
    [
      'images',
      async (after) => {
        const rows = await database.image.findMany({
          where: { ownerId: userId, ...(after === null ? {} : { id: { gt: after } }) },
          orderBy: { id: 'asc' },
          take: ROWS_AT_ONCE,
        });
        const url = ({ tenantId, id }: Image) => links.sign({ tenantId, imageId: id, size: null }, now());
        return rows.map((row) => ({ id: row.id, shown: showImage(row, url(row)) }));
      },
    ],
    [
      'feedback',
      async (after) =>
        (await database.feedback.findMany(paged(after))).map(({ tenantId: _, userId: __, id, imageId, ...row }) => ({
          id,
          shown: { id: toGlobalId('Feedback', id), imageId: toGlobalId('Image', imageId), ...row },
        })),
    ],
    [
      'comparisons',
      async (after) => {
        const include = { others: { orderBy: { position: 'asc' as const } } };
        const rows = await database.comparison.findMany({ ...paged(after), include });
        return rows.map(({ id, chosenId, others, judgedAt, createdAt }) => ({
          id,
          shown: {
            id: toGlobalId('Comparison', id),
            chosenId: toGlobalId('Image', chosenId),
            otherIds: others.map(({ imageId }) => toGlobalId('Image', imageId)),
            ...{ judgedAt, createdAt },
          },
        }));
      },
    ],
    ['profiles', once(() => readProfiles(database, userId))],
    [
      'recommendationLists',
      async (after) =>
        (await database.recommendationList.findMany({ ...paged(after), take: LISTS_AT_ONCE })).map((row) => ({
          id: row.id,
          shown: showList(row),
        })),
    ],
    [
      'exposures',
      async (after) => {
        const [imageId, modelId] = after?.split(' ') ?? [];
        const rows = await database.exposure.findMany({
          where: {
            userId,
            ...(imageId ? { OR: [{ imageId: { gt: imageId } }, { imageId, modelId: { gt: modelId! } }] } : {}),
          },
          orderBy: [{ imageId: 'asc' }, { modelId: 'asc' }],
          take: ROWS_AT_ONCE,
        });
        return rows.map(({ value, at, ...row }) => ({
          id: `${row.imageId} ${row.modelId}`,
          shown: { imageId: toGlobalId('Image', row.imageId), modelId: toGlobalId('Model', row.modelId), value, at },
        }));
      },
    ],
    [
      'modelsTrainedOn',
      once(async () =>
        (await modelsTrainedOn(database, userId)).map(({ id, version }) => ({ id: toGlobalId('Model', id), version })),
      ),
    ],
    ['requests', once(() => readRequests(database, userId))],
    [
      'pointLeases',
      once(() =>
        database.pointLease.findMany({ where: { subject: userId }, select: { windowStart: true, leased: true } }),
      ),
    ],
    [
      'auditEvents',
      async (after) => {
        const rows = await database.auditEvent.findMany({
          where: {
            OR: [{ actor: toGlobalId('User', userId) }, { subject: toGlobalId('User', userId) }],
            ...(after === null ? {} : { id: { gt: after } }),
          },
          include: { address: { select: { address: true } } },
          orderBy: { id: 'asc' },
          take: ROWS_AT_ONCE,
        });
        return rows.map(({ id, at, actor, action, subject, requestId, address }) => ({
          id,
          shown: {
            ...{ id: toGlobalId('AuditEvent', id), at, actor, action, subject, requestId },
            address: actor === toGlobalId('User', userId) ? (address?.address ?? null) : null, // another's is not theirs to see
          },
        }));
      },
    ],
  ];
}

function showImage({ id, tenantId: _, ownerId: __, ...row }: Image, url: string): object {
  return { id: toGlobalId('Image', id), ...row, url };
}

async function readProfiles(database: Database, userId: string): Promise<object[]> {
  const rows = await database.profile.findMany({ where: { userId }, orderBy: { modelId: 'asc' } });
  return rows.map(({ modelId, vector, likes, dislikes, feedbackVersion, asOf }) => ({
    modelId: toGlobalId('Model', modelId),
    ...{ vector: [...toFloats(vector)], likes, dislikes, feedbackVersion, asOf },
  }));
}

function showList(row: RecommendationList): object {
  const entries = listEntries(row).map(({ imageId, ...scored }) => ({
    imageId: toGlobalId('Image', imageId),
    ...scored,
  }));
  const { id, modelId, collection, createdAt, expiresAt } = row;
  return { id, modelId: toGlobalId('Model', modelId), collection, createdAt, expiresAt, entries };
}

/** Requests that were answered once and kept: by them, or about them. */
async function readRequests(database: Database, userId: string): Promise<object[]> {
  return database.idempotencyKey.findMany({
    where: { OR: [{ asker: userId }, { userIds: { has: userId } }] },
    select: { operation: true, key: true, createdAt: true },
    orderBy: { createdAt: 'asc' },
  });
}
