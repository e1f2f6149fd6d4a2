/**
 * `palate train-base`: trains the base model that ships, from a folder of pictures and a list that names each one's
 * artist and tags, and writes it with its manifest and its report.
 */
import { access, constants, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { PalateError } from '../errors.ts';
import { promptCorpus } from '../gallery/prompts.ts';
import {
  loadImageEncoder,
  loadTextEncoder,
  SHIPPED_IMAGE_ENCODER,
  SHIPPED_TEXT_ENCODER,
} from '../inference/encoding/index.ts';
import { SHIPPED_MODEL } from '../inference/preferenceModel.ts';
import { encodeWeights, type ModelArtifact } from '../model/artifact.ts';
import { trainBaseModel } from '../training/baseModel.ts';
import { MODEL, reportBaseModel } from '../training/evaluation/baseReport.ts';
import { baseReportPage } from '../training/evaluation/baseReportPage.ts';
import { type Matrix, matrix } from '../training/fitting/linearAlgebra.ts';
import { type Pictures, readPictures, splitPictures } from '../training/simulation/pictures.ts';
import { EXIT_CODE_HELP } from './exitCodes.ts';
import { showProgress } from './progress.ts';

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
const ENCODED_AT_ONCE = 16;
/** People of planted groups whose profiles the report compares. */
const GROUP_PEOPLE = 240;
/** A person of the report judges 16 and 16 and has 3 and 3 targets, each by another artist. */
const ARTISTS_OF_A_PERSON = 38;

export function trainBaseCommand(): Command {
  return new Command('train-base')
    .description('Train the base model: the version 0 that every tenant starts with.')
    .requiredOption('--images <dir>', 'folder that the list’s file names are read from')
    .requiredOption('--metadata <file>', 'the list: JSON, [{"file", "artist", "categories": [tag, …]}, …]')
    .option('--out <dir>', 'where manifest.json, weights.bin and report.md are written', SHIPPED_MODEL)
    .option('--seed <n>', 'splits, people and starting weights are drawn by it', wholeNumber, 1)
    .option('--network-steps <n>', 'steps of phase 1, the network', wholeNumber, 300)
    .option('--token-steps <n>', 'steps of phase 2, network and tokens', wholeNumber, 600)
    .option('--people <n>', 'people of each kind in the report', wholeNumber, 3_000)
    .option('--threads <n>', 'threads; more than 1 is faster, and not the same to the last bit', wholeNumber, 1)
    .option('--about <text>', 'what the pictures are and their licence, for the manifest', '')
    .action(trainBase)
    .addHelpText(
      'after',
      `
Artists and tags are split by the seed: 64 % of artists are learned from, 12 % stop the training and calibrate,
24 % are kept for the report. Some 15 minutes on one core for 3,000 pictures.

Example:
  palate train-base --images pictures/ --metadata pictures/metadata.json --out models/mine

${EXIT_CODE_HELP}`,
    );
}

async function trainBase(options: TrainBaseOptions): Promise<void> {
  const pictures = readPictures(await readMetadata(options.metadata));
  await checkInputs(pictures, options);
  const [imageEncoder, textEncoder] = await Promise.all([
    loadImageEncoder(SHIPPED_IMAGE_ENCODER),
    loadTextEncoder(SHIPPED_TEXT_ENCODER),
  ]);
  const features = await encodeAll('Encoding pictures', pictures.files, async (files) =>
    imageEncoder.encode(await Promise.all(files.map((file) => readPicture(options.images, file)))),
  );
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

  process.stderr.write('Measuring on artists kept for it…\n');
  const report = await reportBaseModel(input, base, { people: options.people, groupPeople: GROUP_PEOPLE });
  await writeModel(options.out, base.artifact);
  await writeFile(join(options.out, 'report.md'), baseReportPage(report, base));
  const at8 = report.rows.find((row) => row.scorer === MODEL && row.kind === 'tags' && row.length === 8);
  process.stdout.write(
    `${options.out}: pairwise accuracy ${(100 * (at8?.pairwise.mean ?? 0)).toFixed(1)} % at 8 likes and 8 dislikes; report.md has the rest.\n`,
  );
  await Promise.all([imageEncoder.close(), textEncoder.close()]);
}

/** What would end the training later, found before it begins. Throws BAD_USER_INPUT that names the option. */
async function checkInputs(pictures: Pictures, { images, metadata, out, seed }: TrainBaseOptions): Promise<void> {
  for (const [part, artists] of Object.entries(splitPictures(pictures, seed).artists)) {
    if (artists.length >= ARTISTS_OF_A_PERSON) continue;
    throw new PalateError(
      'BAD_USER_INPUT',
      `--metadata ${metadata} names ${pictures.artists.length} artists, of which ${artists.length} fall to ${part}; ` +
        `a simulated person needs ${ARTISTS_OF_A_PERSON} there. Some 400 artists are enough.`,
    );
  }
  for (const file of pictures.files) {
    await access(join(images, file), constants.R_OK).catch((cause) => {
      throw cannotRead(join(images, file), cause);
    });
  }
  try {
    await mkdir(out, { recursive: true });
    await access(out, constants.W_OK);
  } catch (cause) {
    throw new PalateError('BAD_USER_INPUT', `--out ${out} cannot be written to: ${(cause as Error).message}`, {
      cause,
    });
  }
}

async function writeModel(directory: string, artifact: ModelArtifact): Promise<void> {
  await writeFile(join(directory, artifact.manifest.weights.file), encodeWeights(artifact));
  await writeFile(join(directory, 'manifest.json'), `${JSON.stringify(artifact.manifest, null, 2)}\n`);
}

async function encodeAll(
  label: string,
  items: readonly string[],
  encode: (items: readonly string[]) => Promise<Float32Array[]>,
): Promise<Matrix> {
  const progress = showProgress(label, items.length);
  const embeddings: Float32Array[] = [];
  for (let start = 0; start < items.length; start += ENCODED_AT_ONCE) {
    const some = items.slice(start, start + ENCODED_AT_ONCE);
    embeddings.push(...(await encode(some)));
    progress.advance(some.length);
  }
  progress.finish();
  const all = matrix(embeddings.length, embeddings[0]?.length ?? 0);
  for (const [i, embedding] of embeddings.entries()) all.data.set(embedding, i * all.columns);
  return all;
}

async function readMetadata(file: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(file, 'utf8'));
  } catch (cause) {
    throw new PalateError('BAD_USER_INPUT', `--metadata ${file} cannot be read: ${(cause as Error).message}`, {
      cause,
    });
  }
}

async function readPicture(directory: string, file: string): Promise<Buffer> {
  try {
    return await readFile(join(directory, file));
  } catch (cause) {
    throw cannotRead(join(directory, file), cause as Error);
  }
}

function cannotRead(path: string, cause: Error): PalateError {
  return new PalateError('BAD_USER_INPUT', `--images: ${path} is in the list and cannot be read: ${cause.message}`, {
    cause,
  });
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0) throw new InvalidArgumentError('It must be a whole number, 0 or more.');
  return value;
}
