/** A report as the files that are written of it. Knows names and contents; who writes them is elsewhere. */
import { type BaseReport, MODEL, WITHOUT_TOKENS } from './baseReport.ts';
import { baseReportPage } from './baseReportPage.ts';
import type { ReportRow } from './report.ts';
import { accuracyPlot, reliabilityPlot } from './reportPlots.ts';

export interface ReportFile {
  readonly name: string;
  readonly content: string;
}

/**
 * report.json is `{format: 'palate-evaluation-1', …BaseReport}`: the fields of `BaseReport` and of what it is made of are
 * the schema. Shares and accuracies are fractions of 1, times microseconds, an interval {mean, standardError (over
 * people), low, high (95 %, over people × clusters)}; what cannot be computed is null. Fractions have four
 * significant digits. Rows stand one a line.
 */
export const REPORT_FORMAT = 'palate-evaluation-1';

/** report.md, report.json, calibration.svg and an accuracy plot for each kind of people. */
export function reportFiles(report: BaseReport): ReportFile[] {
  const all = report.rows.filter(({ subset }) => subset === 'all');
  const kinds = [...new Set(all.map(({ kind }) => kind))];
  return [
    { name: 'report.md', content: baseReportPage(report) },
    { name: 'report.json', content: reportJson(report) },
    { name: 'calibration.svg', content: reliabilityPlot(report.calibration) },
    ...kinds.map((kind) => ({
      name: `accuracy-${kind.replaceAll(/[^a-z0-9]+/gi, '-')}.svg`,
      content: accuracyPlot(
        `People of ${kind}: accuracy against history`,
        all.filter((row) => row.kind === kind),
        [MODEL, WITHOUT_TOKENS, 'chance'],
      ),
    })),
  ];
}

/** A hundredth of a point: more than any interval here can tell apart. */
const DIGITS = 4;

/** `format` first, rows one a line. */
export function reportJson({ rows, ...rest }: { readonly rows: readonly ReportRow[] }): string {
  const rounded = (_: string, value: unknown) =>
    typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(DIGITS)) : value;
  const head = JSON.stringify({ format: REPORT_FORMAT, ...rest }, rounded, 1).slice(0, -2);
  const lines = rows.map((row) => `  ${JSON.stringify(row, rounded)}`);
  return `${head},\n "rows": [\n${lines.join(',\n')}\n ]\n}\n`;
}
