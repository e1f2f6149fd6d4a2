/**
 * `palate train-base`: trains the base model that ships, from a folder of pictures and a list that names each one's
 * artist and tags, and writes it with its manifest and its report.
 */
import { Command } from 'commander';
import { promptCorpus } from '../gallery/prompts.ts';
import {
  loadImageEncoder,
  loadTextEncoder,
  SHIPPED_IMAGE_ENCODER,
  SHIPPED_TEXT_ENCODER,
} from '../inference/encoding/index.ts';
import { SHIPPED_MODEL } from '../inference/preferenceModel.ts';
import { writeArtifact } from '../training/artifactFiles.ts';
import { trainBaseModel } from '../training/base/baseModel.ts';
import { MODEL, REPORT_SIZE } from '../training/evaluation/baseReport.ts';
import { reportFiles } from '../training/evaluation/reportFiles.ts';
import { EXIT_CODE_HELP } from './exitCodes.ts';
import { showProgress } from './progress.ts';
import { checkOutput, encodeAll, encodePictures, readPictureList } from './simulation/pictureList.ts';
import { measureModel, writeFiles } from './simulation/report.ts';
import { FEWEST_PEOPLE, wholeNumber, wholeNumberFrom } from './simulation/wholeNumber.ts';

interface TrainBaseOptions {
  images: string;
  metadata: string;
  out: string;
  seed: number;
  networkSteps: number;
  tokenSteps: number;
  people: number;
  threads: number;
  about: string;
}

/** Prompts that the text statistics are fitted to. */
const PROMPTS = 4_000;

export function trainBaseCommand(): Command {
  return new Command('train-base')
    .description('Train the base model: the version 0 that every tenant starts with.')
    .requiredOption('--images <dir>', 'folder that the list’s file names are read from')
    .requiredOption('--metadata <file>', 'the list: JSON, [{"file", "artist", "categories": [tag, …]}, …]')
    .option('--out <dir>', 'where manifest.json, weights.bin and the report are written', SHIPPED_MODEL)
    .option('--seed <n>', 'splits, people and starting weights are drawn by it', wholeNumber, 1)
    .option('--network-steps <n>', 'steps of phase 1, the network', wholeNumber, 300)
    .option('--token-steps <n>', 'steps of phase 2, network and tokens', wholeNumber, 600)
    .option('--people <n>', 'people of each kind in the report', wholeNumberFrom(FEWEST_PEOPLE), REPORT_SIZE.people)
    .option('--threads <n>', 'threads; more than 1 is faster, and not the same to the last bit', wholeNumber, 1)
    .option('--about <text>', 'what the pictures are and their licence, for the manifest', '')
    .action(trainBase)
    .addHelpText(
      'after',
      `
Artists and tags are split by the seed: 64 % of artists are learned from, 12 % stop the training and calibrate,
24 % are kept for the report, that of palate evaluate. Some 20 minutes on two cores for 3,000 pictures.

Example:
  palate train-base --images pictures/ --metadata pictures/metadata.json --out models/mine

${EXIT_CODE_HELP}`,
    );
}

async function trainBase(options: TrainBaseOptions): Promise<void> {
  const pictures = await readPictureList(options);
  await checkOutput(options.out);
  const [imageEncoder, textEncoder] = await Promise.all([
    loadImageEncoder(SHIPPED_IMAGE_ENCODER),
    loadTextEncoder(SHIPPED_TEXT_ENCODER),
  ]);
  const features = await encodePictures(imageEncoder, options.images, pictures);
  const prompts = promptCorpus(PROMPTS, options.seed);
  const promptEmbeddings = await encodeAll('Encoding prompts', prompts, (texts) => textEncoder.encode([...texts]));

  const { networkSteps, tokenSteps, seed, threads } = options;
  const progress = showProgress('Training', networkSteps + tokenSteps);
  let accuracy = '';
  const input = {
    pictures,
    features,
    promptEmbeddings,
    encoders: { image: imageEncoder.sha256, text: textEncoder.sha256 },
    seed,
    steps: { network: networkSteps, tokens: tokenSteps },
    threads,
    about: {
      name: 'base',
      description: 'Preference model trained on simulated people over real pictures: version 0 of a tenant.',
      licence: 'Apache-2.0',
      training: {
        command: `palate train-base --images DIR --metadata FILE --seed ${seed} --network-steps ${networkSteps} --token-steps ${tokenSteps} --threads ${threads}`,
        seed,
        pictures: pictures.files.length,
        artists: pictures.artists.length,
        ...(options.about ? { about: options.about } : {}),
      },
    },
    onStep: ({ loss, validationAccuracy }: { loss: number; validationAccuracy: number | null }) => {
      if (validationAccuracy !== null) accuracy = `, held out ${(100 * validationAccuracy).toFixed(1)} %`;
      progress.advance(1, `loss ${loss.toFixed(3)}${accuracy}`);
    },
  };
  const base = await trainBaseModel(input);
  progress.finish();

  await writeArtifact(options.out, base.artifact);
  const report = await measureModel({ pictures, features, seed }, base.artifact, options.people);
  await writeFiles(options.out, reportFiles(report));
  const at8 = report.rows.find(
    (row) => row.scorer === MODEL && row.kind === 'tags' && row.length === '8+8' && row.subset === 'all',
  );
  process.stdout.write(
    `${options.out}: pairwise accuracy ${(100 * (at8?.pairwise.mean ?? 0)).toFixed(1)} % at 8 likes and 8 dislikes; report.md has the rest.\n`,
  );
  await Promise.all([imageEncoder.close(), textEncoder.close()]);
}
