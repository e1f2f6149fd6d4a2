/** Promotes by itself what trainings were asked to promote (src/domain/selfPromotion.ts). */
import type { Platform } from '../domain/platform.ts';
import { promoteIfBetter } from '../domain/selfPromotion.ts';

/** Takes up `promote` jobs as they come, until the queue stops. */
export function startPromoting(platform: Platform): Promise<void> {
  return platform.queue.work('promote', {}, async (jobs) => {
    for (const { data } of jobs) await promoteIfBetter(platform, data.jobId);
  });
}
