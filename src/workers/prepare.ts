/**
 * Brings the profiles of a tenant's users up to their newest feedback, so that a reader seldom has to. It does what a
 * reader does (src/domain/profiles.ts), some users at a time.
 */
import { activeModel } from '../domain/models.ts';
import type { Platform } from '../domain/platform.ts';
import { refreshProfiles, staleUsers } from '../domain/profiles.ts';

/** Users a round: between rounds the others' work gets its turn at the model. */
const USERS_AT_ONCE = 250;

/** Takes up `profiles` jobs as they come, until the queue stops. */
export function startPreparing(platform: Platform): Promise<void> {
  return platform.queue.work('profiles', {}, () => prepareProfiles(platform));
}

/** Refreshes every stale profile of the tenant of the session. */
export async function prepareProfiles(platform: Platform): Promise<void> {
  const model = await activeModel(platform);
  const stale = await staleUsers(platform, model, Number.POSITIVE_INFINITY);
  for (let start = 0; start < stale.length; start += USERS_AT_ONCE) {
    await refreshProfiles(platform, model, stale.slice(start, start + USERS_AT_ONCE));
    await new Promise(setImmediate);
  }
}
