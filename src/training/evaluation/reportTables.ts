/** Rows of a report as Markdown tables, in per cent: scorers down, history lengths across, one set a kind of people. */
import type { Subset } from './pairs.ts';
import type { ReportRow } from './report.ts';

const TITLES: Readonly<Record<Exclude<Subset, 'all'>, string>> = {
  'same cluster': 'Pairs of two images drawn with the same thing (one prompt, one artist)',
  'against the mean': 'Pairs where the person disagrees with the mean of the others',
};

/** `reference` names the scorer that the others were held against. */
export function markdownReport(rows: readonly ReportRow[], reference?: string): string {
  const kinds = [...new Set(rows.map((row) => row.kind))];
  return kinds.map((kind) => kindReport(kind, rows, reference)).join('\n');
}

function kindReport(kind: string, rows: readonly ReportRow[], reference: string | undefined): string {
  const ours = rows.filter((row) => row.kind === kind);
  const all = ours.filter((row) => row.subset === 'all');
  const tables = [
    `## People of ${kind}\n`,
    `${counted(all)}. Pairwise accuracy, per cent ± standard error over people [95 % interval over people × clusters]; a tie counts a half.\n`,
    table(all, accuracy),
  ];
  if (all.some((row) => row.top !== null)) {
    tables.push(
      'Top-1 / top-2 / top-3 of one liked and three disliked, per cent ± standard error:\n',
      table(all, ({ top }) =>
        (top ?? []).map((value) => `${percent(value.mean)} ± ${percent(value.standardError)}`).join(' / '),
      ),
    );
  }
  if (reference !== undefined) tables.push(...differences(all, reference));
  for (const [subset, title] of Object.entries(TITLES)) {
    const some = ours.filter((row) => row.subset === subset);
    if (some.length > 0) tables.push(`### ${title}\n`, `${counted(some)}.\n`, table(some, accuracy));
  }
  return tables.join('\n');
}

function differences(rows: readonly ReportRow[], reference: string): string[] {
  return [
    `Pairwise accuracy of ${reference} less that of each other scorer, same pairs, points ± standard error over people × clusters [95 % interval]:\n`,
    table(
      rows.filter((row) => row.scorer !== reference),
      ({ difference }) =>
        difference
          ? `${points(difference.mean)} ± ${percent(difference.crossedError)} [${points(difference.low)}, ${points(difference.high)}]`
          : '',
    ),
  ];
}

const counted = (rows: readonly ReportRow[]): string => `${rows[0]!.people} people, ${rows[0]!.pairs} pairs`;

const accuracy = ({ pairwise: { mean, standardError, low, high } }: ReportRow): string =>
  `${percent(mean)} ± ${percent(standardError)} [${percent(low)}, ${percent(high)}]`;

/** Scorers down, history lengths across. */
function table(rows: readonly ReportRow[], cell: (row: ReportRow) => string): string {
  const lengths = [...new Set(rows.map((row) => row.length))];
  const scorers = [...new Set(rows.map((row) => row.scorer))];
  const body = scorers.map((scorer) => [
    scorer,
    ...lengths.map((length) => {
      const found = rows.find((row) => row.scorer === scorer && row.length === length);
      return found ? cell(found) : '';
    }),
  ]);
  return markdownTable(['scorer', ...lengths], body);
}

/** The first column to the left, the others to the right. */
export function markdownTable(head: readonly string[], body: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  const rule = head.map((_, i) => (i === 0 ? '---' : '---:'));
  return `${[head, rule, ...body].map(line).join('\n')}\n`;
}

export function percent(share: number): string {
  return (100 * share).toFixed(1);
}

function points(share: number): string {
  return `${share >= 0 ? '+' : '−'}${percent(Math.abs(share))}`;
}
