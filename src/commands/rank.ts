/** `palate rank`: ranks picture files by folders of liked and disliked ones, without any server. */
import { resolve } from 'node:path';
import { Command } from 'commander';
import { PalateError } from '../errors.ts';
import { EXIT, EXIT_CODE_HELP } from './exitCodes.ts';
import { showProgress } from './progress.ts';
import { type FileFault, findPictures, newestFirst } from './rank/pictureFiles.ts';
import {
  encodeFiles,
  type Influence,
  type JudgedFile,
  type Networks,
  type RankedFile,
  rankFiles,
} from './rank/rankFiles.ts';

interface RankOptions {
  liked?: string[];
  disliked?: string[];
  json?: boolean;
  explain?: boolean;
}

/** Judged pictures named for each side of a reason, in the table. */
const REASONS_SHOWN = 2;

export function rankCommand(): Command {
  return new Command('rank')
    .description('Rank picture files by what someone liked and disliked; best first. Needs no server.')
    .argument('<candidates...>', 'picture files to rank, or folders of them')
    .option('--liked <path>', 'a folder of liked pictures, or one picture; may be given again', collect)
    .option('--disliked <path>', 'a folder of disliked pictures, or one picture; may be given again', collect)
    .option('--explain', 'name the liked and disliked pictures that weighed most')
    .option('--json', 'print JSON instead of a table')
    .action(rank)
    .addHelpText(
      'after',
      `
JPEG, PNG, WebP and AVIF are read. Of a folder, the pictures right in it are taken, not those of folders inside.
A text file beside a picture (cat.txt for cat.jpg) holds the prompt it was made from; it is read where it is there.
Judged pictures that were modified last count as the newest; of more than 16 the newest weigh most.
The first number is P(like), from 0 to 1, with its standard error. A reason's number is what the margin
between like and dislike gains by that picture.

Examples:
  palate rank --liked yes/ --disliked no/ new/
  palate rank --liked yes/ --explain a.jpg b.png
  palate rank --liked yes/ --disliked no/ --json new/ | jq -r '.ranking[0].file'

${EXIT_CODE_HELP}`,
    );
}

async function rank(paths: string[], options: RankOptions): Promise<void> {
  const [liked, disliked, candidates] = await Promise.all(
    [options.liked ?? [], options.disliked ?? [], paths].map(findPictures),
  );
  const missing = [liked!, disliked!, candidates!].flatMap(({ faults }) => faults);
  reportFaults(missing);
  if (liked!.files.length + disliked!.files.length === 0) {
    throw new PalateError(
      'BAD_USER_INPUT',
      'There is no picture to learn a taste from: name at least one with --liked or --disliked.',
    );
  }
  if (candidates!.files.length === 0) {
    throw new PalateError('BAD_USER_INPUT', `There is no picture to rank in ${paths.join(', ')}.`);
  }
  const likedPaths = new Set(liked!.files.map((file) => resolve(file)));
  const both = disliked!.files.find((file) => likedPaths.has(resolve(file)));
  if (both) throw new PalateError('BAD_USER_INPUT', `${both} is among the liked and the disliked pictures: decide.`);
  const networks = await openNetworks();
  const judged = await newestFirst([...liked!.files, ...disliked!.files]);
  const progress = showProgress('Encoding pictures', judged.length + candidates!.files.length);
  const history = await encodeFiles(networks, judged, progress.advance);
  const targets = await encodeFiles(networks, candidates!.files, progress.advance);
  progress.finish();
  const unread = [...history.faults, ...targets.faults];
  reportFaults(unread);
  if (history.encoded.length === 0 || targets.encoded.length === 0) {
    const what = history.encoded.length === 0 ? 'judged pictures' : 'candidates';
    throw new PalateError('INVALID', `None of the ${what} could be read.`);
  }
  const judgedFiles = history.encoded.map(
    (encoded): JudgedFile => ({ ...encoded, sentiment: likedPaths.has(resolve(encoded.file)) ? 'LIKE' : 'DISLIKE' }),
  );
  const ranking = await rankFiles(networks.model, judgedFiles, targets.encoded, options.explain ?? false);
  const faults = [...missing, ...unread];
  process.stdout.write(options.json ? asJson(networks, judgedFiles, ranking, faults) : asTable(ranking));
  if (faults.length > 0) process.exitCode = EXIT.partly;
}

async function openNetworks(): Promise<Networks> {
  const [{ loadImageEncoder, loadTextEncoder, ...shipped }, { PreferenceModel, SHIPPED_MODEL }] = await Promise.all([
    import('../inference/encoding/index.ts'),
    import('../inference/preferenceModel.ts'),
  ]);
  const [model, imageEncoder] = await Promise.all([
    PreferenceModel.load(SHIPPED_MODEL),
    loadImageEncoder(shipped.SHIPPED_IMAGE_ENCODER),
  ]);
  let textEncoder: ReturnType<typeof loadTextEncoder> | undefined;
  return {
    model,
    imageEncoder,
    textEncoder: () => (textEncoder ??= loadTextEncoder(shipped.SHIPPED_TEXT_ENCODER)),
  };
}

function asTable(ranking: readonly RankedFile[]): string {
  const width = String(ranking.length).length;
  return ranking
    .map(({ rank: place, value, standardError, file, influences }) => {
      const line = `${String(place).padStart(width)}  ${value.toFixed(2)} ±${standardError.toFixed(2)}  ${file}\n`;
      return influences ? line + reasons(influences, width) : line;
    })
    .join('');
}

function reasons(influences: readonly Influence[], indent: number): string {
  return (['LIKE', 'DISLIKE'] as const)
    .flatMap((sentiment) => influences.filter((influence) => influence.sentiment === sentiment).slice(0, REASONS_SHOWN))
    .map(({ sentiment, effect, file }) => {
      const signed = `${effect < 0 ? '−' : '+'}${Math.abs(effect).toFixed(2)}`;
      return `${' '.repeat(indent + 2)}${signed}  ${sentiment === 'LIKE' ? 'liked   ' : 'disliked'}  ${file}\n`;
    })
    .join('');
}

function asJson(
  { model }: Networks,
  judged: readonly JudgedFile[],
  ranking: readonly RankedFile[],
  notRead: readonly FileFault[],
): string {
  const likes = judged.filter(({ sentiment }) => sentiment === 'LIKE').length;
  const document = { model: model.sha256, likes, dislikes: judged.length - likes, ranking, notRead };
  return `${JSON.stringify(document, null, 2)}\n`;
}

function reportFaults(faults: readonly FileFault[]): void {
  for (const { file, message } of faults) process.stderr.write(`palate: ${file} was left out: ${message}\n`);
}

function collect(value: string, previous: string[] = []): string[] {
  return [...previous, value];
}
