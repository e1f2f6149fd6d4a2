/** Rows of a report, as tests of pages and plots need them. */
import type { ReportRow } from '../../../src/training/evaluation/report.ts';

export function rowOf(of: { scorer: string; length: string; mean: number }): ReportRow {
  const { scorer, length, mean } = of;
  const interval = { mean, standardError: 0.01, crossedError: 0.015, low: mean - 0.03, high: mean + 0.03 };
  return {
    ...{ kind: 'tags', length, scorer, subset: 'all', people: 100, pairs: 900 },
    pairwise: interval,
    top: [interval, interval, interval],
    difference: null,
  };
}
