/**
 * A first pass over many images for one person: the score without the blocks, a few milliseconds for ten thousand, so
 * that the whole model scores those alone that may be the best. Knows no database.
 */
import { firstPassGraph } from '../model/graphs.ts';
import { parameterLayout } from '../model/parameters.ts';
import type { ItemVector, Popularity, PreferenceModel, UserState } from './preferenceModel.ts';
import { openSession, type Session, type Tensor } from './session.ts';
import type { SessionHost } from './sessionHost.ts';

/** Images of one run: 4 MB of halves move to the thread that runs it. */
const ROWS_AT_ONCE = 16_384;

/** Sessions of the networks that are in memory: each goes with its network. */
const sessions = new WeakMap<PreferenceModel, Promise<Session>>();

/** As much of an image as the first pass reads. */
export interface FirstPassImage {
  readonly id: string;
  /** Half floats: image and text metric (`metricsOf`). */
  readonly metrics: Uint16Array;
  /** What people in general make of it (`PopulationPrior`). */
  readonly prior: number;
}

/**
 * The ids of the `atMost` images that the first pass puts first, best first; of those that it does not tell apart the
 * greatest ids.
 *
 * @param host whose thread runs it; the caller's own, if left out
 */
export async function shortlist(
  network: PreferenceModel,
  state: UserState,
  images: readonly FirstPassImage[],
  atMost: number,
  host?: SessionHost,
): Promise<string[]> {
  const margins = new Float64Array(images.length);
  for (let start = 0; start < images.length; start += ROWS_AT_ONCE) {
    const some = images.slice(start, start + ROWS_AT_ONCE);
    const width = some[0]!.metrics.length;
    const metrics = new Uint16Array(some.length * width);
    for (const [i, image] of some.entries()) metrics.set(image.metrics, i * width);
    const found = await marginsOf(network, state, metrics, host);
    for (const [i, { prior }] of some.entries()) margins[start + i] = found[i]! + prior;
  }
  const least = images.length > atMost ? margins.toSorted()[images.length - atMost]! : Number.NEGATIVE_INFINITY;
  return [...images.keys()]
    .filter((i) => margins[i]! >= least)
    .sort((a, b) => margins[b]! - margins[a]! || (images[a]!.id > images[b]!.id ? -1 : 1))
    .slice(0, atMost)
    .map((i) => images[i]!.id);
}

/** Without the prior. @param metrics of the images, one after the other: given up */
async function marginsOf(
  network: PreferenceModel,
  state: UserState,
  metrics: Uint16Array,
  host?: SessionHost,
): Promise<Float32Array> {
  const { imageMetric, textMetric, history } = network.manifest.architecture;
  const session = await sessionOf(network, host);
  const width = imageMetric + textMetric;
  const judgements = Math.max(1, state.recentJudged.length / 2);
  const [recent, recentJudged] = [new Uint16Array(judgements * width), new Float32Array(judgements * 2)];
  recent.set(state.recent);
  recentJudged.set(state.recentJudged);
  const float = (data: Float32Array, ...dims: number[]): Tensor => ({ dtype: 'float32', dims, data: data.slice() });
  const { margins } = await session.run(
    {
      metrics: { dtype: 'float16', dims: [1, metrics.length / width, width], data: metrics },
      recent: { dtype: 'float16', dims: [1, judgements, width], data: recent },
      recentJudged: float(recentJudged, 1, judgements, 2),
      direction: float(state.direction, 1, 1, imageMetric),
      judged: float(state.judged, 1, history, 2),
      imageSums: float(state.imageSums, 1, 2, imageMetric),
      imageTotals: float(state.imageTotals, 1, 2, 1),
      textSums: float(state.textSums, 1, 2, textMetric),
      textTotals: float(state.textTotals, 1, 2, 1),
    },
    ['margins'],
    { give: true },
  );
  return margins!.data as Float32Array;
}

function sessionOf(network: PreferenceModel, host: SessionHost | undefined): Promise<Session> {
  const known = sessions.get(network);
  if (known) return known;
  const { manifest, parameters } = network.artifact;
  const graph = () => firstPassGraph(manifest.architecture, parameters);
  const opened = host ? host.open(graph) : openSession(graph);
  sessions.set(network, opened);
  opened.catch(() => sessions.delete(network)); // the next call tries again
  return opened;
}

/** The part of an item vector that the first pass reads: image and text metric. */
export function metricsOf(network: PreferenceModel, item: ItemVector): Uint16Array {
  return item.subarray(network.manifest.architecture.width);
}

/** What people in general make of images, by one network: a₀ (Σ r + K g) / (n + K). */
export class PopulationPrior {
  readonly #ridge: Float32Array;
  readonly #constant: number;
  readonly #gain: number;
  readonly #pseudoCount: number;

  constructor({ readsPopularity, artifact: { manifest, parameters } }: PreferenceModel) {
    const layout = parameterLayout(manifest.architecture);
    const values = (name: string): Float32Array => {
      const { start, end } = layout.range(name);
      return parameters.subarray(start, end);
    };
    this.#ridge = values('prior.ridge');
    this.#constant = values('prior.constant')[0]!;
    this.#gain = readsPopularity ? values('prior.gain')[0]! : 0;
    this.#pseudoCount = Math.exp(values('prior.logPseudoCount')[0]!);
  }

  /** g: of an item vector's numbers. */
  expected(item: Float32Array): number {
    return item.reduce((sum, x, k) => sum + x * this.#ridge[k]!, this.#constant);
  }

  margin(expected: number, { sum, count }: Popularity): number {
    return (this.#gain * (sum + this.#pseudoCount * expected)) / (count + this.#pseudoCount);
  }
}
