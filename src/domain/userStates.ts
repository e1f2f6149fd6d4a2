/**
 * What a model knows of a user before it sees a target: the judgements it reads and the state computed from them, kept
 * in memory. A state is kept by tenant, user and weights, with the user's feedback version: one of another version than
 * the user's row has is not used, so a stale one cannot be, on any replica.
 */
import { LRUCache } from 'lru-cache';
import { currentTenant, type Database } from '../database/client.ts';
import { SharedReads } from '../database/sharedReads.ts';
import type { ItemVector, Judgement, UserState } from '../inference/preferenceModel.ts';
import { ErasedIds } from './erasedIds.ts';
import { readHistories } from './feedback.ts';
import type { ServingModel } from './models.ts';

/** One like or dislike that the model reads. */
export interface JudgementRef {
  feedbackId: string;
  imageId: string;
  sentiment: 'LIKE' | 'DISLIKE';
  weight: number;
}

/** A user as one model reads them. */
export interface Reading {
  userId: string;
  model: ServingModel;
  feedbackVersion: number;
  /** Likes and dislikes of images that are READY, newest first. */
  judgements: readonly JudgementRef[];
  /** When the newest of them was made; null without any. */
  asOf: Date | null;
}

export interface ReadUser {
  reading: Reading;
  state: UserState;
}

/** As it is kept: without the model, whose network would stay in memory with it. */
interface KeptUser {
  readonly reading: Omit<Reading, 'model'>;
  readonly state: UserState;
}

/** By a user's id, how often what is known of them has changed. */
export type FeedbackVersions = SharedReads<string, number>;

/** Reads the versions of the session's users, for all requests that ask at once. */
export const feedbackVersions = (database: Database): FeedbackVersions =>
  new SharedReads(async (userIds) => {
    const rows = await database.$queryRaw<{ id: string; version: number }[]>`
      SELECT id, feedback_version AS version FROM users WHERE id = ANY(string_to_array(${userIds.join(',')}, ',')::uuid[])`;
    return new Map(rows.map(({ id, version }) => [id, version]));
  });

/** States of users read lately, bounded in bytes. */
export class UserStates {
  readonly #cache: LRUCache<string, KeptUser>;
  readonly #erased = new ErasedIds();

  constructor(maxBytes: number) {
    this.#cache = new LRUCache({
      maxSize: Math.max(1, maxBytes),
      sizeCalculation: ({ reading, state }) => state.byteLength + 200 * reading.judgements.length + 500,
    });
  }

  get(model: ServingModel, userId: string, feedbackVersion: number): ReadUser | undefined {
    const known = this.#cache.get(keyOf(model, userId));
    if (known?.reading.feedbackVersion !== feedbackVersion) return undefined;
    return { reading: { ...known.reading, model }, state: known.state };
  }

  set(user: ReadUser): void {
    const { model, ...reading } = user.reading;
    const { userId } = reading;
    if (this.#erased.has(userId) || this.#erased.has(currentTenant())) return;
    this.#cache.set(keyOf(model, userId), { reading, state: user.state }); // in the place of what the person was before
  }

  /** @param erased people of whom no state is taken in again; @param changed people whose states are merely dropped. */
  forget(tenantId: string, erased: readonly string[], changed: readonly string[]): void {
    this.#erased.add(erased);
    const gone = new Set([...erased, ...changed].map((userId) => `${tenantId} ${userId} `));
    if (gone.size > 0) this.#dropWhere((key) => gone.has(key.slice(0, BEFORE_SHA256)));
  }

  forgetTenant(tenantId: string): void {
    this.#erased.add([tenantId]);
    this.#dropWhere((key) => key.startsWith(`${tenantId} `));
  }

  clear(): void {
    this.#cache.clear();
  }

  /** The ids of the people, and of the images that they judged, that are in memory. */
  *heldIds(): Generator<string> {
    for (const { reading } of this.#cache.values()) {
      yield reading.userId;
      for (const { imageId } of reading.judgements) yield imageId;
    }
  }

  #dropWhere(isGone: (key: string) => boolean): void {
    for (const key of [...this.#cache.keys()].filter(isGone)) this.#cache.delete(key);
  }
}

/** Characters of a key that name tenant and user: two UUIDs, a space after each. */
const BEFORE_SHA256 = 2 * 37;

function keyOf(model: ServingModel, userId: string): string {
  return `${currentTenant()} ${userId} ${model.row.sha256}`;
}

/** Judgements as the model takes them. Those whose image has no item vector any more are left out. */
export function toHistory(judgements: readonly JudgementRef[], vectors: ReadonlyMap<string, ItemVector>): Judgement[] {
  return judgements.flatMap(({ imageId, sentiment, weight }) => {
    const item = vectors.get(imageId);
    return item ? [{ item, sentiment, weight }] : [];
  });
}

/**
 * Reads users and computes the states that are not in memory, all in one batch. Ids that are none of the tenant's are
 * left out.
 */
export async function readUsers(
  platform: { database: Database; userStates: UserStates; feedbackVersions: FeedbackVersions },
  model: ServingModel,
  userIds: readonly string[],
): Promise<Map<string, ReadUser>> {
  const { database, userStates } = platform;
  // Before the judgements: a state may be newer than its key, not older.
  const versions = await platform.feedbackVersions.read(userIds);
  const read = new Map<string, ReadUser>();
  const unread = userIds.flatMap((id) => {
    const feedbackVersion = versions.get(id);
    if (feedbackVersion === undefined) return [];
    const known = userStates.get(model, id, feedbackVersion);
    if (known) read.set(id, known);
    return known ? [] : [{ id, feedbackVersion }];
  });
  if (unread.length === 0) return read;

  const histories = await readHistories(
    database,
    model.row.tower,
    unread.map(({ id }) => id),
  );
  const readings = unread.map((user): Reading => {
    const judgements = histories.get(user.id) ?? [];
    return {
      userId: user.id,
      model,
      feedbackVersion: user.feedbackVersion,
      judgements: judgements.map(({ feedbackId, imageId, sentiment, weight }) => ({
        feedbackId,
        imageId,
        sentiment,
        weight,
      })),
      asOf: judgements[0]?.judgedAt ?? null,
    };
  });
  const states = await model.turn.userStates(unread.map(({ id }) => histories.get(id) ?? []));
  readings.forEach((reading, i) => {
    const user = { reading, state: states[i]! };
    userStates.set(user);
    read.set(reading.userId, user);
  });
  return read;
}

/**
 * The states behind readings of one model, computed again from the judgements they hold where memory has them no more.
 * @param vectors the item vectors of all their judgements' images
 */
export async function statesOf(
  { userStates }: { readonly userStates: UserStates },
  readings: readonly Reading[],
  vectors: ReadonlyMap<string, ItemVector>,
): Promise<UserState[]> {
  const known = readings.map(
    ({ model, userId, feedbackVersion }) => userStates.get(model, userId, feedbackVersion)?.state,
  );
  const missing = readings.filter((_, i) => !known[i]);
  const computed = missing[0]
    ? await missing[0].model.turn.userStates(missing.map(({ judgements }) => toHistory(judgements, vectors)))
    : [];
  return known.map((state) => state ?? computed.shift()!);
}
