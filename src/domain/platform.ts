/**
 * What the functions of the domain work with: the database, the networks and the memory they share. One is made when
 * the service starts; commands and workers make theirs the same way.
 */
import type { Database } from '../database/client.ts';
import type { ImageMetrics } from './itemVectors.ts';
import type { Networks } from './models.ts';
import type { PictureLinks } from './pictureLinks.ts';
import type { ProfileIndexes } from './similarity.ts';
import type { UserStates } from './userStates.ts';

export interface Platform {
  readonly database: Database;
  readonly networks: Networks;
  readonly userStates: UserStates;
  readonly imageMetrics: ImageMetrics;
  readonly profiles: ProfileIndexes;
  readonly links: PictureLinks;
}
