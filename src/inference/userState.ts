/**
 * A person's judgements as the model's graphs read them, and the state computed from them, which serves any number of
 * targets. Plain arrays: the runtime is not known here.
 */
import { fromHalfFloats } from '../halfFloats.ts';
import { type Architecture, itemVectorSize } from '../model/architecture.ts';
import { selectHistory } from '../model/history.ts';
import type { JudgementCounts } from './calibration.ts';

/** Half floats: item embedding (128), image metric (96), text metric (32). */
export type ItemVector = Uint16Array;

export interface Judgement {
  readonly item: ItemVector;
  readonly sentiment: 'LIKE' | 'DISLIKE';
  /** Above 0; 2 counts as two judgements of weight 1. */
  readonly weight: number;
}

/** Judgements whose metric vectors are kept one by one; older ones count in the sums. */
export const MAX_RECENT = 256;

export interface UserState extends JudgementCounts {
  /** Of the judgements given, those that the blocks read, by index. */
  readonly blockJudgements: readonly number[];
  /** How the person's probe attends to the preference tokens: layers × heads × tokens; null without a judgement. */
  readonly profile: Float32Array | null;
  /** The probe after the last block: width numbers. */
  readonly probe: Float32Array;
  /** t = Σ w e of likes / (1 + Σ w) less the same of dislikes: where in the image metric the taste points. */
  readonly taste: Float32Array;
  readonly keysValues: Float32Array;
  readonly direction: Float32Array;
  readonly judged: Float32Array;
  readonly imageSums: Float32Array;
  readonly imageTotals: Float32Array;
  readonly textSums: Float32Array;
  readonly textTotals: Float32Array;
  /** Image and text metrics of the newest judgements, half floats, and their weights. */
  readonly recent: Uint16Array;
  readonly recentJudged: Float32Array;
  /** Memory that the state takes. */
  readonly byteLength: number;
}

/** What the state graph gives for one history. */
export interface StateOutputs {
  readonly keysValues: Float32Array;
  readonly direction: Float32Array;
  readonly profile: Float32Array;
  readonly probe: Float32Array;
}

/** One history, laid out for the state graph: sums over all judgements, rows for those that are read. */
export class StateInputs {
  readonly items: Uint16Array;
  readonly judged: Float32Array;
  readonly imageSums: Float32Array;
  readonly imageTotals = new Float32Array(2);
  readonly textSums: Float32Array;
  readonly textTotals = new Float32Array(2);
  readonly recent: Uint16Array;
  readonly recentJudged: Float32Array;
  readonly #blockJudgements: number[];
  readonly #counts: JudgementCounts;

  /** @param history newest first */
  constructor(architecture: Architecture, history: readonly Judgement[]) {
    const { width, imageMetric, textMetric, history: blockRows } = architecture;
    const size = itemVectorSize(architecture);
    this.#blockJudgements = selectHistory(
      history.map(({ sentiment }) => sentiment),
      blockRows,
    );
    this.items = new Uint16Array(blockRows * size);
    this.judged = new Float32Array(blockRows * 2);
    for (const [place, i] of this.#blockJudgements.entries()) {
      const { item, sentiment, weight } = history[i]!;
      this.items.set(item, place * size);
      this.judged[2 * place + column(sentiment)] = weight;
    }

    const recent = history.slice(0, MAX_RECENT);
    this.recent = new Uint16Array(recent.length * (imageMetric + textMetric));
    this.recentJudged = new Float32Array(recent.length * 2);
    for (const [place, { item, sentiment, weight }] of recent.entries()) {
      this.recent.set(item.subarray(width), place * (imageMetric + textMetric));
      this.recentJudged[2 * place + column(sentiment)] = weight;
    }

    this.imageSums = new Float32Array(2 * imageMetric);
    this.textSums = new Float32Array(2 * textMetric);
    for (const { item, sentiment, weight } of history) {
      const side = column(sentiment);
      const metrics = fromHalfFloats(item.subarray(width));
      const image = metrics.subarray(0, imageMetric);
      const text = metrics.subarray(imageMetric);
      addScaled(this.imageSums, side * imageMetric, image, weight);
      addScaled(this.textSums, side * textMetric, text, weight);
      this.imageTotals[side]! += weight;
      if (text.some((x) => x !== 0)) this.textTotals[side]! += weight;
    }
    this.#counts = { likes: this.imageTotals[0]!, dislikes: this.imageTotals[1]! };
  }

  finish({ keysValues, direction, profile, probe }: StateOutputs): UserState {
    const { judged, imageSums, imageTotals, textSums, textTotals, recent, recentJudged } = this;
    const taste = tasteOf(imageSums, imageTotals);
    const arrays = [
      keysValues,
      direction,
      profile,
      probe,
      taste,
      judged,
      imageSums,
      imageTotals,
      textSums,
      textTotals,
      recent,
      recentJudged,
    ];
    return {
      ...this.#counts,
      blockJudgements: this.#blockJudgements,
      profile: this.#blockJudgements.length > 0 ? profile : null,
      probe,
      taste,
      keysValues,
      direction,
      judged,
      imageSums,
      imageTotals,
      textSums,
      textTotals,
      recent,
      recentJudged,
      byteLength: arrays.reduce((sum, array) => sum + array.byteLength, 0),
    };
  }
}

const column = (sentiment: Judgement['sentiment']): 0 | 1 => (sentiment === 'LIKE' ? 0 : 1);

function addScaled(sums: Float32Array, offset: number, vector: Float32Array, weight: number): void {
  for (let i = 0; i < vector.length; i++) sums[offset + i]! += weight * vector[i]!;
}

function tasteOf(sums: Float32Array, totals: Float32Array): Float32Array {
  const size = sums.length / 2;
  const [likes, dislikes] = [1 + totals[0]!, 1 + totals[1]!];
  return Float32Array.from({ length: size }, (_, i) => sums[i]! / likes - sums[size + i]! / dislikes);
}
