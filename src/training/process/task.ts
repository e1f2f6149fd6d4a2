/**
 * One training from its snapshot to its evaluation, reading and writing files alone: what a process of its own does
 * (trainingProcess.ts).
 */
import { rm } from 'node:fs/promises';
import { loadArtifact } from '../../inference/preferenceModel.ts';
import { Random } from '../../random.ts';
import { writeArtifact } from '../artifactFiles.ts';
import { summariseEvaluation } from '../feedback/apiEvaluation.ts';
import { readCheckpoint } from '../feedback/checkpoint.ts';
import { evaluateFeedback } from '../feedback/evaluateFeedback.ts';
import { fineTune } from '../feedback/fineTune.ts';
import { Snapshot } from '../feedback/snapshot.ts';
import type { TrainingMessage, TrainingTask } from './protocol.ts';

/** Draws of the evaluation, as `palate evaluate --tenant` has them. */
const SEED = 'evaluation';

/** @param tell every message but the last, which is returned */
export async function doTask(task: TrainingTask, tell: (message: TrainingMessage) => void): Promise<TrainingMessage> {
  const { checkpoint, seed, tokens, threads, provider, steps, shape } = task;
  await dropDamaged(checkpoint);
  const parent = await loadArtifact(task.parent);
  const snapshot = Snapshot.open(task.snapshot);
  const tuned = await fineTune({
    ...{ parent, snapshot, seed, threads, provider, checkpoint },
    ...(tokens === null ? {} : { tokens }),
    ...(steps === undefined ? {} : { steps }),
    ...(shape === undefined ? {} : { shape }),
    onStage: (stage) => tell({ kind: 'stage', stage }),
    onResumed: (curve, of) => {
      for (const { loss, ...point } of curve) tell({ kind: 'step', ...point, steps: of, total: loss });
    },
    onStep: ({ step, steps, base, contrastive, loss, validationAccuracy }) =>
      tell({ kind: 'step', step, steps, base, contrastive, total: loss, validationAccuracy }),
  });
  if (tuned.status === 'DECLINED') return { kind: 'declined', reason: tuned.reason };
  await writeArtifact(task.result, tuned.artifact);
  tell({ kind: 'stage', stage: 'evaluating' });
  const evaluation = await evaluateFeedback({
    ...{ snapshot, model: tuned.artifact, before: parent, random: new Random(SEED) },
    onMeasured: (done, total) => tell({ kind: 'measured', done, total }),
  });
  snapshot.close();
  if (evaluation) return { kind: 'trained', evaluation: summariseEvaluation(evaluation) };
  return {
    kind: 'declined',
    reason: 'Of the people held out to measure it, none both liked and disliked something lately.',
  };
}

/** A checkpoint that the disk has spoilt only saves time: without it the training begins anew. */
async function dropDamaged(checkpoint: string): Promise<void> {
  await readCheckpoint(checkpoint, '').catch(() => rm(checkpoint, { force: true }));
}
