/** Medians of what is compared, run in turn so that a busy moment of the machine meets all alike. */

const FEWEST_ROUNDS = 7;
/** Runs before the clock counts: the runtime plans its memory in them. */
const WARM_UP_ROUNDS = 2;

/** Milliseconds of one run of each, the median over as many rounds as fit into `budgetMs`, and `fewest` at least. */
export async function medians<Name extends string>(
  variants: Readonly<Record<Name, () => Promise<unknown>>>,
  budgetMs: number,
  fewest = FEWEST_ROUNDS,
): Promise<Record<Name, number>> {
  const names = Object.keys(variants) as Name[];
  const times = new Map<Name, number[]>(names.map((name) => [name, []]));
  const end = performance.now() + budgetMs;
  for (let round = 0; round < WARM_UP_ROUNDS + fewest || performance.now() < end; round++) {
    for (const name of names) {
      const start = performance.now();
      await variants[name]();
      if (round >= WARM_UP_ROUNDS) times.get(name)!.push(performance.now() - start);
    }
  }
  return Object.fromEntries(names.map((name) => [name, median(times.get(name)!)])) as Record<Name, number>;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** 1234.5 → "1,235", 12.345 → "12.3", 0.12345 → "0.123". */
export function figure(value: number): string {
  if (value >= 100) return Math.round(value).toLocaleString('en');
  return value >= 10 ? value.toFixed(1) : value.toPrecision(3);
}

/** The value that `share` of them do not exceed: 0.99 for p99. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)]!;
}
