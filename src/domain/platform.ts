/**
 * What the functions of the domain work with: the database, the queue, the pictures, the networks and the memory they
 * share. One is made when the service starts; commands and workers make theirs the same way.
 */
import type { Database } from '../database/client.ts';
import type { FileStore } from '../files/store.ts';
import type { Engine } from '../inference/engine/engine.ts';
import type { SessionHost } from '../inference/sessionHost.ts';
import type { PictureLimits } from '../pictures/check.ts';
import type { Queue } from '../queue/queue.ts';
import { Candidates } from './candidates.ts';
import { ImageCatalogues } from './imageCatalogue.ts';
import type { KeySets } from './keySets.ts';
import { KnownKeys } from './knownKeys.ts';
import { type ActiveRows, activeRows, type Networks, type Patience, type ServingVersion } from './models.ts';
import type { PictureLinks } from './pictureLinks.ts';
import { PointBudget } from './points.ts';
import { ProfileIndexes } from './profileIndexes.ts';
import { Quotas } from './quotas.ts';
import type { SecretBox } from './secretBox.ts';
import { ShownScores } from './shownScores.ts';
import type { BaseModel } from './tenants.ts';
import { TrainingWatchers } from './trainingProgress.ts';
import { type FeedbackVersions, feedbackVersions, UserStates } from './userStates.ts';
import { type NamedUsers, namedUsers } from './users.ts';

/** What is opened elsewhere, and closed there. */
export interface PlatformParts {
  readonly database: Database;
  readonly queue: Queue;
  readonly pictures: FileStore;
  readonly pictureLimits: PictureLimits;
  /** Of one tenant, that may wait to be encoded. */
  readonly maxPendingImages: number;
  /** The files of model versions. */
  readonly weights: FileStore;
  readonly networks: Networks;
  /** What runs the networks; they run in this process, if left out. */
  readonly engine?: Engine;
  /** Whose thread searches indexes of vectors; the caller's own, if left out. */
  readonly searches?: SessionHost;
  /** What a new tenant starts with. */
  readonly baseModel: BaseModel;
  readonly links: PictureLinks;
  /** What tenants' own secrets are encrypted with. */
  readonly secrets: SecretBox;
  /** The public keys that people's tokens are verified by. */
  readonly keySets: KeySets;
  /** Cost points a minute of each person who asks for themself. */
  readonly personPointsPerMinute: number;
  /** The clock: what tests set. */
  readonly now: () => Date;
}

export interface Platform extends PlatformParts {
  readonly userStates: UserStates;
  readonly activeRows: ActiveRows;
  readonly feedbackVersions: FeedbackVersions;
  readonly namedUsers: NamedUsers;
  readonly candidates: Candidates;
  readonly catalogues: ImageCatalogues;
  readonly profiles: ProfileIndexes;
  readonly quotas: Quotas;
  readonly knownKeys: KnownKeys;
  readonly points: PointBudget;
  /** Who watches a training, to be told of its changes. */
  readonly trainingWatchers: TrainingWatchers;
  /** Scores that were returned, until they are seen to. */
  readonly shownScores: ShownScores;
  /** Since when this process runs. */
  readonly startedAt: Date;
  /** Of one request's platform: the version that it works with from beginning to end. */
  readonly serving?: ServingVersion;
  /** Of one request's platform: how long somebody waits for it. */
  readonly patience?: Patience | undefined;
}

/** Bounds of the memory shared by all requests, in bytes. */
export interface MemoryLimits {
  readonly userStates: number;
  readonly itemVectors: number;
  /** Each of the two: images and what tells them apart, profiles of users. */
  readonly vectorIndexes: number;
}

export function createPlatform(parts: PlatformParts, memory: MemoryLimits): Platform {
  return {
    ...parts,
    userStates: new UserStates(memory.userStates),
    activeRows: activeRows(parts.database),
    feedbackVersions: feedbackVersions(parts.database),
    namedUsers: namedUsers(parts.database),
    candidates: new Candidates(parts.database, memory.itemVectors),
    catalogues: new ImageCatalogues(memory.vectorIndexes, parts.searches),
    profiles: new ProfileIndexes(memory.vectorIndexes, parts.searches),
    quotas: new Quotas(parts.maxPendingImages),
    knownKeys: new KnownKeys(),
    points: new PointBudget(parts),
    trainingWatchers: new TrainingWatchers(),
    shownScores: new ShownScores(parts),
    startedAt: new Date(),
  };
}
