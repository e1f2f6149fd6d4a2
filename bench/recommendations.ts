/**
 * Recommendations among 100,000 images: what of the twenty that scoring all of them puts first the service finds, and
 * how long it takes.
 *
 *     npm run bench:recommendations
 *     npm run bench:recommendations -- --images DIR --metadata FILE [--people 12]
 *
 * Runs for some three minutes. The images are drawn around the demo's pictures, or around those that you bring (FILE is a
 * list of {file, artist, categories}); people like what is near one of them. The model is the base model, given a
 * population prior, without which all images are alike to somebody who has judged nothing. The time is that of the first
 * pass and of the scores of its best, images in memory; reading 2,000 item vectors from the database is not in it.
 */
import { parseArgs } from 'node:util';
import { DEMO_PICTURES, gallery } from '../src/gallery/gallery.ts';
import { renderPicture } from '../src/gallery/picture.ts';
import { fromHalfFloats } from '../src/halfFloats.ts';
import { loadImageEncoder, SHIPPED_IMAGE_ENCODER } from '../src/inference/encoding/index.ts';
import { metricsOf, PopulationPrior, shortlist } from '../src/inference/firstPass.ts';
import {
  type ItemVector,
  type Judgement,
  loadArtifact,
  PreferenceModel,
  SHIPPED_MODEL,
} from '../src/inference/preferenceModel.ts';
import { SessionHost } from '../src/inference/sessionHost.ts';
import { parameterLayout } from '../src/model/parameters.ts';
import { Random } from '../src/random.ts';
import { figure, median } from './support/measure.ts';
import { loadPictures } from './support/pictures.ts';

const IMAGES = 100_000;
const ENCODED_AT_ONCE = 2_000;
const SHORTLIST = 2_000;
const TOP = 20;
/** Likes, and as many dislikes. */
const HISTORIES = [0, 1, 8];
/** Of the line between two pictures on which an image is drawn, and of each number's deviation. */
const NOISE = 0.3;
const PRIOR_GAIN = 2;
const RIDGE = 0.05;

const { values } = parseArgs({
  options: { images: { type: 'string' }, metadata: { type: 'string' }, people: { type: 'string', default: '12' } },
});
const random = new Random('bench/recommendations');
const host = new SessionHost();
const model = await withPrior();
const features = values.images ? await ofPictures() : await ofGallery();
const items = await drawItems();
const prior = new PopulationPrior(model);
const images = items.map((item, i) => ({
  id: String(i).padStart(6, '0'),
  metrics: metricsOf(model, item).slice(),
  prior: prior.margin(prior.expected(fromHalfFloats(item)), { sum: 0, count: 0 }),
}));

async function withPrior(): Promise<PreferenceModel> {
  const artifact = await loadArtifact(SHIPPED_MODEL);
  const parameters = artifact.parameters.slice();
  const layout = parameterLayout(artifact.manifest.architecture);
  const { start, end } = layout.range('prior.ridge');
  for (let k = start; k < end; k++) parameters[k] = RIDGE * random.normal();
  parameters[layout.range('prior.gain').start] = PRIOR_GAIN;
  return PreferenceModel.open({ ...artifact, parameters }, host);
}

async function ofGallery(): Promise<Float32Array[]> {
  const encoder = await loadImageEncoder(SHIPPED_IMAGE_ENCODER);
  const encoded: Float32Array[] = [];
  for (const picture of gallery(DEMO_PICTURES)) encoded.push(...(await encoder.encode([await renderPicture(picture)])));
  await encoder.close();
  return encoded;
}

async function ofPictures(): Promise<Float32Array[]> {
  const { rows, columns, data } = (await loadPictures(values, 1)).features;
  return Array.from({ length: rows }, (_, i) => Float32Array.from(data.subarray(i * columns, (i + 1) * columns)));
}

/** Each between two pictures, nearer to the one, with noise. */
async function drawItems(): Promise<ItemVector[]> {
  const mean = features[0]!.map((_, k) => features.reduce((sum, f) => sum + f[k]!, 0) / features.length);
  const deviation = mean.map((m, k) => Math.sqrt(features.reduce((s, f) => s + (f[k]! - m) ** 2, 0) / features.length));
  const drawn: ItemVector[] = [];
  while (drawn.length < IMAGES) {
    const some = Array.from({ length: ENCODED_AT_ONCE }, () => {
      const [near, far] = [features[random.int(features.length)]!, features[random.int(features.length)]!];
      const share = NOISE * random.uniform();
      const image = near.map((x, k) => x + share * (far[k]! - x) + NOISE * deviation[k]! * random.normal());
      return { image, text: null };
    });
    drawn.push(...(await model.itemVectors(some)));
  }
  return drawn;
}

/** Likes of what is nearest to an image of their own, dislikes of any: pictures of one style, and of all. */
function historyOf(count: number): Judgement[] {
  const own = model.imageMetric(items[random.int(IMAGES)]!);
  const alike = (item: ItemVector) => model.imageMetric(item).reduce((sum, x, k) => sum + x * own[k]!, 0);
  const pool = random.choose(items, 40 * count).sort((a, b) => alike(b) - alike(a));
  const judge = (sentiment: Judgement['sentiment']) => (item: ItemVector) => ({ item, sentiment, weight: 1 });
  return [...pool.slice(0, count).map(judge('LIKE')), ...random.choose(pool.slice(count), count).map(judge('DISLIKE'))];
}

const marginsOf = async (state: Awaited<ReturnType<typeof model.userStates>>[0], rows: readonly number[]) => {
  const [scores] = await model.score([{ state: state!, targets: rows.map((row) => items[row]!) }], {
    attention: false,
  });
  return scores!.map(({ like, dislike }) => like - dislike);
};

const table: Record<string, string>[] = [];
for (const count of HISTORIES) {
  const [recalls, times, whole]: [number[], number[], number[]] = [[], [], []];
  for (let person = 0; person < Number(values.people); person++) {
    const [state] = await model.userStates([count > 0 ? historyOf(count) : []]);
    let start = performance.now();
    const chosen = (await shortlist(model, state!, images, SHORTLIST, host)).map(Number);
    const scored = await marginsOf(state!, chosen);
    const found = [...scored.keys()].sort((a, b) => scored[b]! - scored[a]!).slice(0, TOP);
    times.push(performance.now() - start);
    start = performance.now();
    const all = await marginsOf(state!, [...items.keys()]);
    whole.push(performance.now() - start);
    const least = all.toSorted((a, b) => b - a)[TOP - 1]!;
    // Equal scores are equally good.
    recalls.push(found.filter((i) => all[chosen[i]!]! >= least).length / TOP);
  }
  const mean = recalls.reduce((sum, x) => sum + x, 0) / recalls.length;
  const spread = recalls.reduce((sum, x) => sum + (x - mean) ** 2, 0) / Math.max(1, recalls.length - 1);
  table.push({
    history: `${count} + ${count}`,
    'recall@20': `${mean.toFixed(3)} ± ${Math.sqrt(spread / recalls.length).toFixed(3)}`,
    'ms, median': figure(median(times)),
    'ms, longest': figure(Math.max(...times)),
    'all scored, ms': figure(median(whole)),
  });
}
console.table(table);
await model.close();
await host.close();
