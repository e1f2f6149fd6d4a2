/**
 * Promoting by itself what a training was asked to promote: where the new version beats the one that serves, on the same
 * held-out people and by more than chance, and once it is prepared.
 */

import { currentTenant } from '../database/client.ts';
import type { Model, TrainingJob } from '../database/generated/client.ts';
import { hasJob } from '../queue/queue.ts';
import { evaluationOf } from './evaluations.ts';
import type { Platform } from './platform.ts';
import { promote } from './registry.ts';
import { changeJob } from './trainingChanges.ts';
import { ItemError } from './userErrors.ts';

/** Half of the width of a 95 % interval, in standard errors. */
const TWO_SIDED_95 = 1.96;
/** How often it is seen whether a version is prepared, and how long it is waited for. */
const AGAIN_SECONDS = 5;
const LONGEST_MS = 24 * 60 * 60 * 1000;

type Decision = 'promote' | { readonly not: string };

/**
 * Decides about the version that a training made; where it is better and not prepared yet, the decision is made again in
 * some seconds. Why it is not promoted stands in the job's reason.
 * @param jobId of a training of the session's tenant
 */
export async function promoteIfBetter(platform: Platform, jobId: string): Promise<void> {
  const { database, queue, now } = platform;
  const job = await database.trainingJob.findFirst({ where: { id: jobId }, include: { model: true } });
  if (!job?.model || !isUndecided({ ...job, model: job.model })) return;
  const active = await database.model.findFirstOrThrow({ where: { status: 'ACTIVE' } });
  const decision = decide(job.model, active);
  if (decision !== 'promote') return settle(platform, jobId, decision.not);
  try {
    await promote(platform, job.model.id, null);
    await settle(platform, jobId, null);
  } catch (error) {
    if (!(error instanceof ItemError && error.code === 'NOT_READY')) throw error;
    if (now().getTime() - job.finishedAt!.getTime() > LONGEST_MS) {
      return settle(platform, jobId, `after a day it was still not ready: ${error.message}`);
    }
    await database.$transaction((transaction) =>
      queue.send(transaction, 'promote', [{ tenantId: currentTenant(), jobId }], { afterSeconds: AGAIN_SECONDS }),
    );
  }
}

const isUndecided = ({ status, promoteIfBetter, reason, model }: TrainingJob & { readonly model: Model }): boolean =>
  status === 'SUCCEEDED' && promoteIfBetter && reason === null && model.status === 'CANDIDATE';

function decide(model: Model, active: Model): Decision {
  const against = evaluationOf(model)?.against;
  if (!against) return { not: 'it was measured beside no other model.' };
  if (against.modelId !== active.id) {
    return { not: `version ${active.version} serves by now, which it was not measured against.` };
  }
  const { difference, standardError } = against;
  const margin = TWO_SIDED_95 * standardError;
  if (difference - margin > 0) return 'promote';
  const [gain, width] = [difference, margin].map((share) => (100 * share).toFixed(2));
  return {
    not: `on the held-out people it gains ${gain} ± ${width} % of pairs over version ${active.version}: that may be chance.`,
  };
}

/** @param why it is not promoted; null where it is */
async function settle({ database }: Platform, jobId: string, why: string | null): Promise<void> {
  const change = why === null ? { stage: 'done: promoted' } : { reason: `The new model was not promoted: ${why}` };
  await database.$transaction((transaction) => changeJob(transaction, { id: jobId }, change));
}

/** Decides where nobody did: the job of the queue was lost. */
export async function retryPromotions({ database, queue }: Platform): Promise<void> {
  const jobs = await database.trainingJob.findMany({
    where: { status: 'SUCCEEDED', promoteIfBetter: true, reason: null, model: { status: 'CANDIDATE' } },
    select: { id: true },
  });
  if (jobs.length === 0 || (await hasJob(database, 'promote'))) return;
  const tenantId = currentTenant();
  await database.$transaction((transaction) =>
    queue.send(
      transaction,
      'promote',
      jobs.map(({ id }) => ({ tenantId, jobId: id })),
    ),
  );
}
