/** `palate evaluate --tenant`: a model on a tenant's own people, read from the database; kept beside the version. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readConfig } from '../../config.ts';
import { type Database, withTenant } from '../../database/client.ts';
import type { Model } from '../../database/generated/client.ts';
import { keepEvaluation } from '../../domain/evaluations.ts';
import { PalateError } from '../../errors.ts';
import { loadArtifact } from '../../inference/preferenceModel.ts';
import { itemVectorSize } from '../../model/architecture.ts';
import { type ModelArtifact, towerHash } from '../../model/artifact.ts';
import { Random } from '../../random.ts';
import { type EvaluationSummary, summariseEvaluation } from '../../training/feedback/apiEvaluation.ts';
import { evaluateFeedback, type FeedbackEvaluation } from '../../training/feedback/evaluateFeedback.ts';
import { evaluationFiles } from '../../training/feedback/evaluationPage.ts';
import { writeFeedbackSnapshot } from '../../workers/feedbackSnapshot.ts';
import { withDatabase } from '../database.ts';
import { type Progress, showProgress } from '../progress.ts';
import { checkOutput } from '../simulation/pictureList.ts';
import { writeFiles } from '../simulation/report.ts';
import { tenantIdOf } from '../tenantId.ts';

export interface TenantEvaluationOptions {
  readonly tenant: string;
  readonly model: string;
  readonly out: string;
}

/** Draws of the bootstrap: the same feedback gives the same intervals. */
const SEED = 'evaluation';

export async function evaluateTenant({ tenant, model: directory, out }: TenantEvaluationOptions): Promise<void> {
  const tenantId = tenantIdOf(tenant);
  const artifact = await loadArtifact(directory);
  await checkOutput(out);
  const evaluation = await withDatabase(readConfig(process.env), (database) =>
    withTenant(tenantId, async () => {
      const row = await versionOf(database, artifact, directory);
      const measured = await measure(database, artifact);
      await keepEvaluation(database, row.id, { ...kept(summariseEvaluation(measured)), against: null });
      return measured;
    }),
  );
  const files = await writeFiles(out, evaluationFiles(evaluation));
  const { users, pairwiseAccuracy, standardError } = summariseEvaluation(evaluation);
  const [mean, error] = [pairwiseAccuracy, standardError].map((share) => (100 * share).toFixed(1));
  process.stdout.write(`${mean} % ± ${error} of pairs of ${users} people held out\n${out}: ${files.join(', ')}\n`);
}

/** The tenant's version that has these weights. */
async function versionOf(database: Database, { manifest }: ModelArtifact, directory: string): Promise<Model> {
  const rows = await database.model.findMany({ orderBy: { version: 'desc' } });
  if (rows.length === 0) throw new PalateError('BAD_USER_INPUT', '--tenant: there is no tenant of this id.');
  const row = rows.find(({ sha256 }) => sha256 === manifest.weights.sha256);
  if (row) return row;
  throw new PalateError(
    'BAD_USER_INPUT',
    `--model ${directory} has the weights ${manifest.weights.sha256}, which are none of the tenant's versions: ` +
      `${rows.map(({ version, sha256 }) => `${version} (${sha256})`).join(', ')}.`,
  );
}

async function measure(database: Database, model: ModelArtifact): Promise<FeedbackEvaluation> {
  const folder = await mkdtemp(join(tmpdir(), 'palate-evaluate-'));
  try {
    const snapshot = await writeFeedbackSnapshot(
      database,
      {
        towerHash: towerHash(model),
        imageEncoder: model.manifest.encoders.image,
        itemSize: itemVectorSize(model.manifest.architecture),
        featureSize: model.transforms.image.mean.length,
      },
      folder,
    );
    let progress: Progress | null = null;
    const evaluation = await evaluateFeedback({
      snapshot,
      model,
      random: new Random(SEED),
      onMeasured: (_, total) => {
        progress ??= showProgress('Measuring', total);
        progress.advance();
      },
    });
    (progress as Progress | null)?.finish();
    snapshot.close();
    if (evaluation) return evaluation;
    const { people, judgements } = snapshot.manifest;
    throw new PalateError(
      'BAD_USER_INPUT',
      `--tenant: of the ${people} people who gave ${judgements} likes and dislikes of images that are READY, a tenth is ` +
        'kept to be measured, and none of these both liked and disliked something lately. It takes some ten people.',
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** All but what names another version. */
const kept = ({ difference: _, ...summary }: EvaluationSummary) => summary;
