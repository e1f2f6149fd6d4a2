/**
 * How a model version did on people of its tenant whom no training learns from, as it is kept beside the version. What
 * was measured and how: docs/evaluation.md.
 */
import { z } from 'zod';
import type { Queries } from '../database/client.ts';
import type { Model } from '../database/generated/client.ts';
import { PalateError } from '../errors.ts';

const count = z.int().min(0);
const share = z.number().min(0).max(1);
const accuracy = { pairwiseAccuracy: share, standardError: z.number().min(0) };

const evaluationSchema = z.strictObject({
  users: count,
  pairs: count,
  ...accuracy,
  topK: z.array(share),
  calibrationError: share,
  silhouette: z.number().nullable(),
  daviesBouldin: z.number().nullable(),
  byHistory: z.array(z.strictObject({ likes: count, dislikes: count, ...accuracy })),
  against: z.strictObject({ modelId: z.uuid(), difference: z.number(), standardError: z.number().min(0) }).nullable(),
  baselines: z.array(z.strictObject({ name: z.string(), ...accuracy })),
});

/** The fields of the API's Evaluation; `against` names the version's row. */
export type ModelEvaluation = z.infer<typeof evaluationSchema>;

/** Null for a version that was not measured. */
export function evaluationOf({ evaluation }: Model): ModelEvaluation | null {
  return evaluation === null ? null : evaluationSchema.parse(evaluation);
}

/** Keeps an evaluation beside a version of the session's tenant, in place of an earlier one. Throws NOT_FOUND. */
export async function keepEvaluation(queries: Queries, modelId: string, evaluation: ModelEvaluation): Promise<void> {
  const data = { evaluation: evaluationSchema.parse(evaluation) };
  const { count: kept } = await queries.model.updateMany({ where: { id: modelId }, data });
  if (kept === 0) throw new PalateError('NOT_FOUND', 'The tenant has no such model.');
}
