/**
 * What becomes of scores once they are returned: kept as exposures, and asked of a candidate too, each where the tenant
 * has it so. None of it is waited for by who asked, and none of it fails them: scores wait here, in bounded memory, for
 * the next round.
 */
import { LRUCache } from 'lru-cache';
import { currentTenant, withTenant } from '../database/client.ts';
import { type Exposure, keepExposures } from './exposures.ts';
import { readItemVectors } from './itemVectors.ts';
import type { Platform } from './platform.ts';
import { type Score, scoreTargets } from './scores.ts';
import { type Agreement, addAgreement, compareMargins, findShadow, type ShadowOf } from './shadows.ts';
import { readUsers } from './userStates.ts';

/** How long scores wait before they are seen to. */
const EVERY_MS = 500;
/** Scores that wait at most, some 100 bytes each. */
const MOST_SCORES = 50_000;
/** Rankings that a candidate scores in one round: what comes faster is left out, and not missed. */
const MOST_SHADOWED = 100;
/** Rounds that try to keep the same scores. */
const MOST_TRIES = 3;
/** How long a tenant's wishes are gone by where another replica has changed them. */
const WISHES_MS = 2_000;
const MOST_TENANTS = 10_000;

/** As much of a logger as this needs. */
export interface ShownLog {
  warn(details: object, message: string): void;
  debug(details: object, message: string): void;
}

/** The scores of one answer to one person, by one model. */
interface Shown {
  readonly tenantId: string;
  readonly userId: string;
  readonly modelId: string;
  readonly at: Date;
  /** Of the request: below the shadow's share, the candidate is asked too. */
  readonly draw: number;
  readonly scores: readonly { readonly imageId: string; readonly value: number; readonly margin: number }[];
  tries: number;
}

/** What a tenant has asked for. */
interface Wishes {
  readonly exposures: boolean;
  readonly shadow: ShadowOf | null;
}

/** The scores that wait in this process. */
export class ShownScores {
  readonly #now: () => Date;
  readonly #wishes = new LRUCache<string, Wishes>({ max: MOST_TENANTS, ttl: WISHES_MS });
  #waiting: Shown[] = [];
  #count = 0;
  #dropped = 0;
  /** Whether the last round failed: a lasting failure is logged once. */
  failing = false;

  constructor({ now }: { readonly now: () => Date }) {
    this.#now = now;
  }

  /** Takes in what one request is answered, a list a person and model; costs the request no query. */
  add(answers: readonly (readonly Score[])[]): void {
    const tenantId = currentTenant();
    const wishes = this.#wishes.get(tenantId);
    if (wishes && !wishes.exposures && !wishes.shadow) return;
    const [at, draw] = [this.#now(), Math.random()];
    for (const scores of answers) {
      const [first] = scores;
      if (!first) continue;
      const { userId, model } = first.reading;
      const kept = scores.map(({ imageId, value, like, dislike }) => ({ imageId, value, margin: like - dislike }));
      this.#put({ tenantId, userId, modelId: model.row.id, at, draw, scores: kept, tries: 0 });
    }
  }

  /** Puts back what could not be kept, to be tried again. */
  putBack(shown: readonly Shown[]): void {
    for (const each of shown) {
      if (each.tries + 1 >= MOST_TRIES) this.#dropped += each.scores.length;
      else this.#put({ ...each, tries: each.tries + 1 });
    }
  }

  #put(shown: Shown): void {
    if (this.#count + shown.scores.length > MOST_SCORES) {
      this.#dropped += shown.scores.length;
      return;
    }
    this.#waiting.push(shown);
    this.#count += shown.scores.length;
  }

  /** All that waits, by tenant; nothing waits then. */
  take(): Map<string, Shown[]> {
    const byTenant = new Map<string, Shown[]>();
    for (const shown of this.#waiting) {
      const ofTenant = byTenant.get(shown.tenantId);
      if (ofTenant) ofTenant.push(shown);
      else byTenant.set(shown.tenantId, [shown]);
    }
    this.#waiting = [];
    this.#count = 0;
    return byTenant;
  }

  /** Drops what waits of people who were erased; of everybody of the tenant, if no people are named. */
  forget(tenantId: string, userIds?: readonly string[]): void {
    const stays = (shown: Shown) => shown.tenantId !== tenantId || userIds?.includes(shown.userId) === false;
    if (userIds?.length === 0 || this.#waiting.every(stays)) return;
    this.#waiting = this.#waiting.filter(stays);
    this.#count = this.#waiting.reduce((sum, { scores }) => sum + scores.length, 0);
  }

  /** How many scores were given up since it was last asked. */
  takeDropped(): number {
    const dropped = this.#dropped;
    this.#dropped = 0;
    return dropped;
  }

  /** What a tenant has asked for, as it was two seconds ago at most. */
  async wishesOf(tenantId: string, read: () => Promise<Wishes>): Promise<Wishes> {
    const known = this.#wishes.get(tenantId);
    if (known) return known;
    const wishes = await read();
    this.#wishes.set(tenantId, wishes);
    return wishes;
  }

  /** Reads the tenant's wishes anew the next time. */
  forgetWishes(tenantId: string): void {
    this.#wishes.delete(tenantId);
  }
}

/** Something that goes on in the background. */
export interface KeepingShown {
  /** Sees to what waits, shadows left out, and ends. */
  stop(): Promise<void>;
}

/** Sees to the scores that wait, twice a second until it is stopped. */
export function startKeepingShown(platform: Platform, log: ShownLog): KeepingShown {
  let round = Promise.resolve();
  let under = false;
  const timer = setInterval(() => {
    if (under) return;
    under = true;
    round = keepShown(platform, log).finally(() => {
      under = false;
    });
  }, EVERY_MS).unref();
  return {
    async stop() {
      clearInterval(timer);
      await round;
      await keepShown(platform, log, 0);
    },
  };
}

/**
 * Sees to everything that waits. Never throws: what could not be kept is tried again in the next rounds, then given up
 * and logged.
 * @param mostShadowed rankings that candidates score
 */
export async function keepShown(platform: Platform, log: ShownLog, mostShadowed = MOST_SHADOWED): Promise<void> {
  const { shownScores } = platform;
  let [room, left] = [mostShadowed, 0];
  let failed = false;
  for (const [tenantId, shown] of shownScores.take()) {
    // Of the tenant, not of the person who asked: the candidate, and its counts, are the tenant's.
    await withTenant(tenantId, async () => {
      const { exposures, shadow } = await shownScores.wishesOf(tenantId, () => readWishes(platform));
      if (exposures) await keepExposures(platform.database, shown.flatMap(exposuresOf));
      const drawn = shadow ? shown.filter((each) => each.draw < shadow.share && each.tries === 0) : [];
      const asked = drawn.slice(0, room);
      room -= asked.length;
      left += drawn.length - asked.length;
      if (shadow && asked.length > 0) await askShadow(platform, shadow, asked, exposures, log);
    }).catch((error: unknown) => {
      if (!failed && !shownScores.failing) {
        log.warn({ err: error, tenant: tenantId }, 'scores that were shown could not be kept yet');
      }
      failed = true;
      shownScores.putBack(shown);
    });
  }
  shownScores.failing = failed;
  if (left > 0) log.debug({ rankings: left }, 'a candidate was not asked for these: more came than it has time for');
  const dropped = shownScores.takeDropped();
  if (dropped > 0) log.warn({ scores: dropped }, 'scores that were shown were not kept');
}

async function readWishes({ database }: Platform): Promise<Wishes> {
  const tenant = await database.tenant.findFirst({ where: { id: currentTenant() }, select: { keepExposures: true } });
  return { exposures: tenant?.keepExposures ?? false, shadow: await findShadow(database) };
}

const exposuresOf = ({ userId, modelId, at, scores }: Shown): Exposure[] =>
  scores.map(({ imageId, value }) => ({ userId, imageId, modelId, value, at }));

/** Has the candidate score what the active model answered; what goes wrong is logged, and nobody's. */
async function askShadow(
  platform: Platform,
  { model }: ShadowOf,
  shown: readonly Shown[],
  exposures: boolean,
  log: ShownLog,
): Promise<void> {
  try {
    const answers = await scoreAgain(platform, model.id, shown);
    const agreements = shown.map(({ scores }, i) => {
      const margins = answers[i]!.margins;
      const both = scores.filter(({ imageId }) => margins.has(imageId));
      return compareMargins(
        both.map(({ margin }) => margin),
        both.map(({ imageId }) => margins.get(imageId)!),
      );
    });
    await addAgreement(platform.database, model.id, agreements.reduce(sum));
    const said = answers.flatMap(({ exposures }) => exposures);
    if (exposures) await keepExposures(platform.database, said);
  } catch (error) {
    log.warn(
      { err: error, tenant: model.tenantId, model: model.id },
      'a candidate could not score beside the active model',
    );
  }
}

const sum = (one: Agreement, other: Agreement): Agreement => ({
  scored: one.scored + other.scored,
  pairs: one.pairs + other.pairs,
  alike: one.alike + other.alike,
});

/** The candidate's own scores of the same people and images, in one pass; those of what is gone are left out. */
async function scoreAgain(
  platform: Platform,
  modelId: string,
  shown: readonly Shown[],
): Promise<{ margins: ReadonlyMap<string, number>; exposures: Exposure[] }[]> {
  const { database } = platform;
  const row = await database.model.findFirst({ where: { id: modelId, status: 'CANDIDATE' } });
  if (!row) return shown.map(() => ({ margins: new Map(), exposures: [] }));
  const candidate = await platform.networks.of(row);
  const at = platform.now(); // before the judgements are read: what was judged by now, the candidate may have read
  const imageIds = shown.flatMap(({ scores }) => scores.map(({ imageId }) => imageId));
  const [users, vectors] = await Promise.all([
    readUsers(platform, candidate, [...new Set(shown.map(({ userId }) => userId))]),
    readItemVectors(database, row.tower, [...new Set(imageIds)]),
  ]);
  const asked = shown.flatMap((each) => {
    const user = users.get(each.userId);
    const targets = each.scores.flatMap(({ imageId }) => {
      const vector = vectors.get(imageId);
      return vector ? [{ imageId, vector }] : [];
    });
    return user ? [{ each, user, targets }] : [];
  });
  const scored = await scoreTargets(database, candidate, asked);
  const byShown = new Map(asked.map(({ each }, i) => [each, scored[i]!]));
  return shown.map((each) => {
    const scores = byShown.get(each) ?? [];
    const { userId } = each;
    return {
      margins: new Map(scores.map(({ imageId, like, dislike }) => [imageId, like - dislike])),
      exposures: scores.map(({ imageId, value }) => ({ userId, imageId, modelId, value, at })),
    };
  });
}
