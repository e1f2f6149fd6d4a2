/**
 * The ten most similar of 10,000, 100,000 and 1,000,000 people: the index of the service beside a scan in JavaScript.
 *
 *     npm run bench:similar-users
 *
 * Runs for two minutes and takes 3 GB. Profiles are mixtures of 2,000 that the base model gives histories of its own.
 * The two take turns on the same queries, and every answer of the one is compared with the other's.
 */
import { setImmediate } from 'node:timers/promises';
import { NeighbourIndex } from '../src/inference/neighbours.ts';
import { type Judgement, PreferenceModel, SHIPPED_MODEL } from '../src/inference/preferenceModel.ts';
import { SessionHost } from '../src/inference/sessionHost.ts';
import { Random } from '../src/random.ts';
import { figure, median, quantile } from './support/measure.ts';

const SIZES = [10_000, 100_000, 1_000_000];
const NEAREST = 10;
const ROUNDS = 15;
const WARM_UP_ROUNDS = 2;
const REAL_PROFILES = 2_000;
const JUDGEMENTS = 8;
const IMAGES = 2_000;
/** Profiles that change between two searches, to show that the index is not built anew. */
const CHANGES = 100;

const random = new Random('bench/similar-users');
const host = new SessionHost();
const model = await PreferenceModel.load(SHIPPED_MODEL, host);
const profiles = await realProfiles();
const dimensions = profiles[0]!.length;

/** Profiles of people with as many likes as dislikes among pictures that have nothing in common. */
async function realProfiles(): Promise<Float32Array[]> {
  const embeddings = Array.from({ length: IMAGES }, () => ({
    image: Float32Array.from({ length: model.artifact.transforms.image.mean.length }, () => random.normal()),
    text: null,
  }));
  const items = await model.itemVectors(embeddings);
  const histories = Array.from({ length: REAL_PROFILES }, () =>
    Array.from(
      { length: JUDGEMENTS },
      (_, i): Judgement => ({ item: items[random.int(IMAGES)]!, sentiment: i % 2 ? 'LIKE' : 'DISLIKE', weight: 1 }),
    ),
  );
  return (await model.userStates(histories)).map(({ profile }) => profile!);
}

/** Attention of three people in random shares, as a profile's vector: roots, of unit length. */
function mixture(): Float32Array {
  const parts = Array.from({ length: 3 }, () => ({
    share: random.uniform(),
    of: profiles[random.int(REAL_PROFILES)]!,
  }));
  const roots = parts[0]!.of.map((_, k) => Math.sqrt(parts.reduce((sum, { share, of }) => sum + share * of[k]!, 0)));
  const length = Math.hypot(...roots);
  return roots.map((root) => root / length);
}

/** What is written where nothing else is at hand: one flat array, gone through once. */
function scan(vectors: Float32Array, query: Float32Array): { row: number; product: number }[] {
  const best: { row: number; product: number }[] = [];
  let least = Number.NEGATIVE_INFINITY;
  for (let row = 0, at = 0; at < vectors.length; row++) {
    let product = 0;
    for (let k = 0; k < dimensions; k++) product += vectors[at++]! * query[k]!;
    if (product <= least) continue;
    best.push({ row, product });
    best.sort((a, b) => b.product - a.product);
    if (best.length > NEAREST) best.pop();
    if (best.length === NEAREST) least = best.at(-1)!.product;
  }
  return best;
}

const idOf = (row: number): string => String(row).padStart(8, '0');

/** The longest that another task of this thread waited while `work` ran. */
async function longestHalt(work: () => Promise<unknown>): Promise<number> {
  let longest = 0;
  let last = performance.now();
  let done = false;
  const watching = (async () => {
    while (!done) {
      await setImmediate();
      longest = Math.max(longest, performance.now() - last);
      last = performance.now();
    }
  })();
  await work();
  done = true;
  await watching;
  return longest;
}

async function measure(size: number): Promise<Record<string, string>> {
  const vectors = new Float32Array(size * dimensions);
  const index = new NeighbourIndex(dimensions, { host });
  for (let row = 0; row < size; row++) {
    const vector = mixture();
    vectors.set(vector, row * dimensions);
    index.set(idOf(row), vector);
  }
  const started = performance.now();
  await index.nearest([mixture()], NEAREST);
  const first = performance.now() - started;

  const [byScan, byIndex, halts]: [number[], number[], number[]] = [[], [], []];
  for (let round = 0; round < WARM_UP_ROUNDS + ROUNDS; round++) {
    for (let change = 0; change < CHANGES; change++) {
      const row = random.int(size);
      const vector = mixture();
      vectors.set(vector, row * dimensions);
      index.set(idOf(row), vector);
    }
    const query = mixture();
    let start = performance.now();
    const scanned = scan(vectors, query);
    byScan.push(performance.now() - start);
    let found: Awaited<ReturnType<typeof index.nearest>> = [];
    await setImmediate();
    start = performance.now();
    found = await index.nearest([query], NEAREST);
    byIndex.push(performance.now() - start);
    halts.push(await longestHalt(() => index.nearest([query], NEAREST)));
    const [ids, expected] = [found[0]!.map(({ id }) => id), scanned.map(({ row }) => idOf(row))];
    if (ids.join() !== expected.join()) throw new Error(`of ${size} the index found ${ids}, the scan ${expected}`);
  }
  const [scanned, indexed] = [byScan, byIndex].map((times) => median(times.slice(WARM_UP_ROUNDS))) as [number, number];
  return {
    profiles: size.toLocaleString('en'),
    'scan, ms': figure(scanned),
    'index, ms': figure(indexed),
    'index, p90, ms': figure(quantile(byIndex.slice(WARM_UP_ROUNDS), 0.9)),
    'times faster': figure(scanned / indexed),
    'longest halt, ms': figure(median(halts.slice(WARM_UP_ROUNDS))),
    'first search, ms': figure(first),
    'index, MB': figure(index.byteLength / 2 ** 20),
  };
}

const rows: Record<string, string>[] = [];
for (const size of SIZES) rows.push(await measure(size));
console.table(rows);
await model.close();
await host.close();
