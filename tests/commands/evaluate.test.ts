/** `palate evaluate` says what is wrong with its arguments before it begins, and which of them. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SHIPPED_MODEL } from '../../src/inference/preferenceModel.ts';
import { encodeWeights, type ModelManifest } from '../../src/model/artifact.ts';
import { smallArtifact } from '../support/model.ts';
import { palate } from './palate.ts';

let folder: string;
const shipped = async () =>
  (JSON.parse(await readFile(join(SHIPPED_MODEL, 'manifest.json'), 'utf8')) as ModelManifest).encoders;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'palate-evaluate-'));
  await mkdir(join(folder, 'pictures'));
  await writeFile(join(folder, 'list.json'), JSON.stringify(rows(60)));
  await writeModel('other-encoder', { training: { seed: 7 } });
  await writeModel('without-seed', { encoders: await shipped() });
  await writeModel('with-seed', { encoders: await shipped(), training: { seed: 7 } });
});

afterAll(() => rm(folder, { recursive: true }));

const rows = (artists: number) =>
  Array.from({ length: artists }, (_, i) => ({ file: `${i}.jpg`, artist: `artist ${i}`, categories: ['tag'] }));

async function writeModel(name: string, manifest: Partial<ModelManifest>): Promise<void> {
  const artifact = smallArtifact();
  await mkdir(join(folder, name));
  await writeFile(join(folder, name, 'weights.bin'), encodeWeights(artifact));
  await writeFile(join(folder, name, 'manifest.json'), JSON.stringify({ ...artifact.manifest, ...manifest }));
}

const evaluate = (...args: string[]) =>
  palate(['evaluate', '--images', 'pictures', '--metadata', 'list.json', ...args], { cwd: folder });

it.each([
  [['--model', 'nowhere'], 'palate: The model in nowhere cannot be read: '],
  [['--model', 'other-encoder'], `palate: --model other-encoder reads pictures of the encoder ${'a'.repeat(64)}; `],
  [
    ['--model', 'without-seed'],
    'palate: --seed is needed: the manifest in without-seed does not say what seed it was trained with',
  ],
  [['--model', 'without-seed', '--seed', '3'], 'palate: --metadata list.json names 60 artists, of which '],
  [['--model', 'with-seed'], 'palate: --metadata list.json names 60 artists, of which '],
  [['--seed', 'one'], "error: option '--seed <n>' argument 'one' is invalid. It must be a whole number, 0 or more."],
  [['--people', '3'], "error: option '--people <n>' argument '3' is invalid. It must be a whole number, 30 or more."],
])('refuses %j, in a line that names the option', async (args, message) => {
  const { status, stderr } = await evaluate(...args);
  expect(stderr).toContain(message);
  expect(status).toBe(2);
});

it('warns of a seed that is not the one the model was trained with', async () => {
  const { stderr } = await evaluate('--model', 'with-seed', '--seed', '8');
  expect(stderr).toMatch(/^Warning: --seed 8 is not the seed this model was trained with \(7\): /);
});

it('needs pictures and their list', async () => {
  const { status, stderr } = await palate(['evaluate', '--images', 'pictures'], { cwd: folder });
  expect(stderr).toContain('Give --images and --metadata, or --tenant');
  expect(status).toBe(2);
});

it('tells in its help why a model is measured with the seed of its training', async () => {
  const { stdout } = await palate(['evaluate', '--help']);
  expect(stdout).toContain('Measure a model with the seed that\nit was trained with: under another seed');
});
