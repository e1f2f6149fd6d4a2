/**
 * Which images to ask a person about. A judgement tells most where nothing like it was judged and where much like it is
 * still to be scored, so the questions are those that leave the least variance over the targets (A-optimal design, Cohn
 * 1994; for Gaussian processes Seo et al. 2000): taste is taken for a Gaussian process over the image metric, whose
 * variance does not depend on the answers. Each question is chosen as if those before it were answered: what is like
 * one of them tells little more. It knows vectors, no image and no person.
 */

/** A judgement that was made already. */
export interface JudgedVector {
  /** Unit length. */
  readonly vector: Float32Array;
  /** Above 0. */
  readonly weight: number;
}

export interface QuestionRequest {
  /** What may be asked about: vectors of unit length. */
  readonly candidates: readonly Float32Array[];
  /** What is to be scored, or a sample of it. */
  readonly targets: readonly Float32Array[];
  readonly judged: readonly JudgedVector[];
  readonly count: number;
}

/** Taste at two images is alike by exp(τ (e·e′ − 1)): as sharp as what orders held-out images best (docs/model.md). */
const SHARPNESS = 4;
/** Variance of one judgement beside the taste's own: people do not answer alike twice. */
const NOISE = 1;

/**
 * Indices of the candidates to ask about, most telling first, `count` of them where there are as many.
 * Takes (judged + count) · candidates · (candidates + targets) steps and as many kernels as the last two factors.
 */
export function chooseQuestions({ candidates, targets, judged, count }: QuestionRequest): number[] {
  const columns = [...candidates, ...targets];
  const rows = candidates.map((candidate) => kernels(candidate, columns));
  const known = judged.map(({ vector }) => kernels(vector, columns));
  const among = judged.map(({ vector }) => judged.map((other) => kernel(vector, other.vector)));
  for (const [j, { weight }] of judged.entries()) {
    const seen = known[j]!;
    const variance = among[j]![j]! + NOISE / weight;
    rows.forEach((row, c) => {
      subtract(row, seen, seen[c]! / variance);
    });
    for (let later = j + 1; later < judged.length; later++) {
      const share = among[later]![j]! / variance;
      subtract(known[later]!, seen, share);
      for (let k = j + 1; k < judged.length; k++) among[later]![k]! -= share * among[k]![j]!;
    }
  }

  const chosen: number[] = [];
  const left = new Set(rows.keys());
  while (chosen.length < count && left.size > 0) {
    let best = -1;
    let most = -1;
    for (const c of left) {
      const told = toldBy(rows[c]!, c, candidates.length);
      if (told > most) [best, most] = [c, told];
    }
    chosen.push(best);
    left.delete(best);
    const asked = rows[best]!.slice();
    const variance = asked[best]! + NOISE;
    for (const c of left) subtract(rows[c]!, asked, asked[c]! / variance);
  }
  return chosen;
}

/** By how much the variance over the targets falls with one more judgement, of the candidate whose row this is. */
function toldBy(row: Float64Array, candidate: number, firstTarget: number): number {
  let sum = 0;
  for (let t = firstTarget; t < row.length; t++) sum += row[t]! * row[t]!;
  return sum / (row[candidate]! + NOISE);
}

function kernels(vector: Float32Array, others: readonly Float32Array[]): Float64Array {
  return Float64Array.from(others, (other) => kernel(vector, other));
}

function kernel(a: Float32Array, b: Float32Array): number {
  let product = 0;
  for (let i = 0; i < a.length; i++) product += a[i]! * b[i]!;
  return Math.exp(SHARPNESS * (product - 1));
}

function subtract(from: Float64Array, values: Float64Array, share: number): void {
  for (let i = 0; i < from.length; i++) from[i]! -= share * values[i]!;
}
