/**
 * The kinds of work that wait in the queue, what each carries, and how it is tried again. A job carries ids and
 * nothing else: whoever does it reads the rows under its tenant's policy.
 */
import type { Queue } from 'pg-boss';

export interface JobData {
  /** Make the embeddings and item vectors of these images, at most {@link ENCODE_AT_ONCE}. */
  encode: { readonly tenantId: string; readonly imageIds: readonly string[] };
  /** Bring the profiles of the tenant's users up to their newest feedback. */
  profiles: { readonly tenantId: string };
  /** Prepare a model version to serve: item vectors, exemplars, then the profiles of people, in the order of their ids. */
  prepare: { readonly tenantId: string; readonly modelId: string; readonly afterUserId?: string };
  /** See which preference tokens these images excite; none of them, where an exemplar has vanished. */
  exemplars: { readonly tenantId: string; readonly imageIds: readonly string[] };
  /** Erase the stored files of the tenant that no row needs any more; of a tenant that is gone, all. */
  erase: { readonly tenantId: string };
  /** It is this tenant's turn to train; `jobId` was the next one when the job was sent. */
  train: { readonly tenantId: string; readonly jobId: string };
  /** Promote what this training made, if it is better, once it is prepared. */
  promote: { readonly tenantId: string; readonly jobId: string };
}

export type JobName = keyof JobData;

/** Images a job: some seconds of work for one core, so that a job lost with its process is soon done again. */
export const ENCODE_AT_ONCE = 32;

/** Tried again after 1, 2, 4, … seconds; a job whose process was killed is taken up by another within this time. */
const retried = {
  retryLimit: 5,
  retryDelay: 1,
  retryBackoff: true,
  retryDelayMax: 60,
  heartbeatSeconds: 10,
  expireInSeconds: 600,
  deleteAfterSeconds: 3600,
} as const;

/** `notify` wakes a waiting worker when the sender's transaction commits. */
export const QUEUES: Readonly<Record<JobName, Omit<Queue, 'name'>>> = {
  encode: { ...retried, notify: true },
  // One at a time for a tenant, any number waiting: each begins after the commit that sent it, so none is missed.
  profiles: { ...retried, notify: true, policy: 'singleton' },
  prepare: { ...retried, notify: true, policy: 'singleton' },
  exemplars: { ...retried, notify: true },
  erase: { ...retried, notify: true, policy: 'singleton' },
  // How often a training is tried is its row's to say (domain/trainingRuns.ts): the queue only carries the turn on.
  train: { ...retried, notify: true, policy: 'singleton', retryLimit: 1_000, expireInSeconds: 24 * 60 * 60 },
  promote: { ...retried, notify: true },
};
