/**
 * `palate evaluate`: measures a model on simulated people over pictures that you bring, or on a tenant's own people, beside
 * simple scorers, and writes a report as Markdown, JSON and plots.
 */
import { Command, Option } from 'commander';
import { PalateError } from '../errors.ts';
import { loadImageEncoder, SHIPPED_IMAGE_ENCODER } from '../inference/encoding/index.ts';
import { loadArtifact, SHIPPED_MODEL } from '../inference/preferenceModel.ts';
import type { ModelManifest } from '../model/artifact.ts';
import { MODEL, REPORT_SIZE } from '../training/evaluation/baseReport.ts';
import { reportFiles } from '../training/evaluation/reportFiles.ts';
import { EXIT_CODE_HELP } from './exitCodes.ts';
import { checkOutput, encodePictures, readPictureList } from './simulation/pictureList.ts';
import { measureModel, writeFiles } from './simulation/report.ts';
import { FEWEST_PEOPLE, wholeNumber, wholeNumberFrom } from './simulation/wholeNumber.ts';

interface EvaluateOptions {
  images?: string;
  metadata?: string;
  tenant?: string;
  model: string;
  seed?: number;
  people: number;
  out: string;
}

export function evaluateCommand(): Command {
  return new Command('evaluate')
    .description('Measure a model on people that its training never saw: simulated ones, or a tenant’s.')
    .option('--images <dir>', 'simulated people: folder that the list’s file names are read from')
    .option('--metadata <file>', 'the list: JSON, [{"file", "artist", "categories": [tag, …]}, …]')
    .addOption(
      new Option('--tenant <id>', 'people of this tenant: its UUID, or its global id').conflicts([
        'images',
        'metadata',
        'seed',
        'people',
      ]),
    )
    .option(
      '--model <path>',
      'the model: a folder with manifest.json and its weights, or a version’s file',
      SHIPPED_MODEL,
    )
    .option('--seed <n>', 'of the split; the seed in the model’s manifest, if left out', wholeNumber)
    .option('--people <n>', 'people of each kind', wholeNumberFrom(FEWEST_PEOPLE), REPORT_SIZE.people)
    .option('--out <dir>', 'where report.md, report.json and the plots are written', './evaluation')
    .action(evaluate)
    .addHelpText(
      'after',
      `
Artists and tags are split by the seed, and only the test part is measured on. Measure a model with the seed that
it was trained with: under another seed, artists that it learned from fall into the test, and the figures are too
good. Simple scorers on the same pairs, intervals, calibration, tokens and time: docs/evaluation.md says what each
figure means. Some 15 minutes on two cores for 3,000 pictures and 3,000 people.

With --tenant, the newest judgements of a tenth of the tenant's people, whom no training learns from, are foretold
from their older ones. The database is that of DATABASE_URL, or the embedded one under PALATE_DATA_DIR, whether the
service runs or not. The figures are kept beside the version: Model.evaluation of the API.

Examples:
  palate evaluate --images pictures/ --metadata pictures/metadata.json --out evaluation/
  palate evaluate --tenant 0198c0de-… --out evaluation/

${EXIT_CODE_HELP}`,
    );
}

async function evaluate({ images, metadata, tenant, ...options }: EvaluateOptions): Promise<void> {
  if (tenant !== undefined) {
    const { evaluateTenant } = await import('./evaluate/tenant.ts');
    return evaluateTenant({ ...options, tenant });
  }
  if (images === undefined || metadata === undefined) {
    throw new PalateError('BAD_USER_INPUT', 'Give --images and --metadata, or --tenant: who is to be measured?');
  }
  return evaluateSimulated({ ...options, images, metadata });
}

async function evaluateSimulated(options: EvaluateOptions & { images: string; metadata: string }): Promise<void> {
  const artifact = await loadArtifact(options.model);
  const seed = seedOf(artifact.manifest, options);
  const encoder = await loadImageEncoder(SHIPPED_IMAGE_ENCODER);
  try {
    checkEncoder(artifact.manifest, encoder.sha256, options.model);
    const pictures = await readPictureList({ ...options, seed });
    await checkOutput(options.out);
    const features = await encodePictures(encoder, options.images, pictures);
    const report = await measureModel({ pictures, features, seed }, artifact, options.people);
    const files = await writeFiles(options.out, reportFiles(report));
    for (const { kind, pairwise } of report.rows.filter(
      (row) => row.scorer === MODEL && row.length === '8+8' && row.subset === 'all',
    )) {
      const [mean, low, high] = [pairwise.mean, pairwise.low, pairwise.high].map((share) => (100 * share).toFixed(1));
      process.stdout.write(`${kind}: ${mean} % of pairs at 8 likes and 8 dislikes [${low}, ${high}]\n`);
    }
    process.stdout.write(`${options.out}: ${files.join(', ')}\n`);
  } finally {
    await encoder.close();
  }
}

/** The option, else the manifest's. Throws BAD_USER_INPUT where there is neither. */
function seedOf({ training }: ModelManifest, { seed, model }: EvaluateOptions): number {
  const trained = training['seed'];
  const known = Number.isSafeInteger(trained) ? Number(trained) : null;
  if (seed === undefined && known === null) {
    throw new PalateError(
      'BAD_USER_INPUT',
      `--seed is needed: the manifest in ${model} does not say what seed it was trained with (training.seed). ` +
        'Give that seed, or the artists it learned from are in the test.',
    );
  }
  if (seed !== undefined && known !== null && seed !== known) {
    process.stderr.write(
      `Warning: --seed ${seed} is not the seed this model was trained with (${known}): if it learned from these ` +
        'pictures, its own artists are in the test, and the figures are too good.\n',
    );
  }
  return seed ?? known!;
}

function checkEncoder({ encoders }: ModelManifest, sha256: string, model: string): void {
  if (encoders.image === sha256) return;
  throw new PalateError(
    'BAD_USER_INPUT',
    `--model ${model} reads pictures of the encoder ${encoders.image}; the one that ships is ${sha256}.`,
  );
}
