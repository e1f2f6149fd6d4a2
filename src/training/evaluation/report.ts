/**
 * An evaluation as a page to read (Markdown) and as data (JSON): accuracies with standard errors, and one scorer's
 * paired differences to each other one with 95 % intervals. Knows outcomes only.
 */
import type { Outcome } from './evaluation.ts';
import { type Interval, meanInterval, pairedDifference } from './metrics.ts';

export interface ReportRow {
  readonly kind: string;
  /** Judgements on each side. */
  readonly length: number;
  readonly scorer: string;
  readonly people: number;
  readonly pairwise: Interval;
  /** Top-1, top-2 and top-3 of four. */
  readonly top: readonly [Interval, Interval, Interval];
  /** Pairwise accuracy of the reference less this scorer's, on the same pairs; null for the reference itself. */
  readonly difference: Interval | null;
}

/** One row an outcome, in their order. `reference` names the scorer that the others are held against. */
export function summarise(outcomes: readonly Outcome[], reference?: string): ReportRow[] {
  return outcomes.map((outcome) => {
    const { kind, length, scorer, pairwise, top } = outcome;
    const against = outcomes.find((o) => o.kind === kind && o.length === length && o.scorer === reference);
    return {
      kind,
      length,
      scorer,
      people: pairwise.length,
      pairwise: meanInterval(pairwise),
      top: [meanInterval(top[0]), meanInterval(top[1]), meanInterval(top[2])],
      difference: against && against !== outcome ? pairedDifference(against.pairwise, pairwise) : null,
    };
  });
}

/** The rows as Markdown tables, in per cent, one set a kind of people. */
export function markdownReport(rows: readonly ReportRow[], reference?: string): string {
  const kinds = [...new Set(rows.map((row) => row.kind))];
  return kinds.map((kind) => kindReport(kind, rows, reference)).join('\n');
}

function kindReport(kind: string, rows: readonly ReportRow[], reference: string | undefined): string {
  const ours = rows.filter((row) => row.kind === kind);
  const tables = [
    `## People of ${kind}\n`,
    `${ours[0]!.people} people. Pairwise accuracy, per cent ± standard error over people; a tie counts a half.\n`,
    table(ours, (row) => `${percent(row.pairwise.mean)} ± ${percent(row.pairwise.standardError)}`),
    'Top-1 / top-2 / top-3 of four, per cent ± standard error:\n',
    table(ours, (row) =>
      row.top.map((value) => `${percent(value.mean)} ± ${percent(value.standardError)}`).join(' / '),
    ),
  ];
  if (reference !== undefined) {
    const others = ours.filter((row) => row.difference !== null);
    tables.push(
      `Pairwise accuracy of ${reference} less that of each other scorer, same pairs, points [95 % interval]:\n`,
      table(others, ({ difference }) =>
        difference ? `${points(difference.mean)} [${points(difference.low)}, ${points(difference.high)}]` : '',
      ),
    );
  }
  return tables.join('\n');
}

/** Scorers down, history lengths across. */
function table(rows: readonly ReportRow[], cell: (row: ReportRow) => string): string {
  const lengths = [...new Set(rows.map((row) => row.length))];
  const scorers = [...new Set(rows.map((row) => row.scorer))];
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  const body = scorers.map((scorer) =>
    line([
      scorer,
      ...lengths.map((length) => {
        const found = rows.find((row) => row.scorer === scorer && row.length === length);
        return found ? cell(found) : '';
      }),
    ]),
  );
  const head = [line(['scorer', ...lengths.map((n) => `${n}+${n}`)]), line(['---', ...lengths.map(() => '---:')])];
  return `${[...head, ...body].join('\n')}\n`;
}

function percent(share: number): string {
  return (100 * share).toFixed(1);
}

function points(share: number): string {
  return `${share >= 0 ? '+' : '−'}${percent(Math.abs(share))}`;
}
