/** The two pictures of a report: accuracy against history length for a kind of people, and the reliability diagram. */
import type { CalibrationBeforeAndAfter } from './modelMeasures.ts';
import type { ReportRow } from './report.ts';
import { linePlot, type PlotSeries } from './svgPlot.ts';

/** More lines than these cannot be told apart. */
const MOST_SCORERS = 6;
const TENTHS = Array.from({ length: 11 }, (_, i) => i / 10);

/**
 * @param rows of one kind of people, all pairs
 * @param first names of scorers that are always shown; then come those of the highest accuracy at the longest history
 */
export function accuracyPlot(title: string, rows: readonly ReportRow[], first: readonly string[]): string {
  const lengths = [...new Set(rows.map(({ length }) => length))];
  const shown = scorersShown(rows, lengths, first);
  const values = rows.flatMap(({ scorer, pairwise }) => (shown.includes(scorer) ? [pairwise.low, pairwise.high] : []));
  const from = Math.min(0.45, Math.floor(20 * Math.min(...values)) / 20);
  const to = Math.min(1, Math.ceil(20 * Math.max(...values)) / 20 + 0.05);
  const steps = Math.round((to - from) / 0.05);
  const oneSided = lengths.findIndex((length) => /^0\+[1-9]|^[1-9]\d*\+0$/.test(length));
  return linePlot({
    title,
    x: {
      label: 'judgements read, likes + dislikes',
      from: -0.4,
      to: lengths.length - 0.6,
      ticks: lengths.map((label, at) => ({ at, label })),
    },
    y: {
      label: 'pairwise accuracy, %',
      from,
      to,
      ticks: Array.from({ length: steps + 1 }, (_, i) => from + 0.05 * i).map((at) => ({
        at,
        label: (100 * at).toFixed(0),
      })),
    },
    series: shown.map((scorer): PlotSeries => {
      const points = lengths.flatMap((length, at) => {
        const row = rows.find((one) => one.scorer === scorer && one.length === length);
        // Side by side, so that whiskers do not hide each other.
        const x = at + 0.05 * (shown.indexOf(scorer) - (shown.length - 1) / 2);
        return row ? [{ x, y: row.pairwise.mean, low: row.pairwise.low, high: row.pairwise.high }] : [];
      });
      const breaks = oneSided < 0 || scorer === 'chance' ? [] : points.slice(oneSided).map(({ x }) => x);
      return { name: scorer, points, breaks, reference: scorer === 'chance' };
    }),
  });
}

/** How often pictures are liked against how often it was foretold, before calibration and after. */
export function reliabilityPlot({ before, after }: CalibrationBeforeAndAfter): string {
  const axis = (label: string) => ({
    label,
    from: 0,
    to: 1,
    ticks: TENTHS.map((at) => ({ at, label: (100 * at).toFixed(0) })),
  });
  const series = (name: string, { bins }: CalibrationBeforeAndAfter['after']): PlotSeries => ({
    name,
    points: bins.map(({ foretold, liked, judgements }) => {
      const error = 1.959964 * Math.sqrt((liked * (1 - liked)) / judgements);
      return { x: foretold, y: liked, low: Math.max(0, liked - error), high: Math.min(1, liked + error) };
    }),
  });
  return linePlot({
    title: 'Reliability of P(like)',
    x: axis('foretold P(like), %'),
    y: axis('liked, %'),
    series: [
      { name: 'right', points: TENTHS.map((at) => ({ x: at, y: at })), reference: true },
      series('before calibration', before),
      series('after calibration', after),
    ],
  });
}

function scorersShown(rows: readonly ReportRow[], lengths: readonly string[], first: readonly string[]): string[] {
  const longest = lengths.findLast((length) => !/\b0\b/.test(length)) ?? lengths.at(-1);
  const ranked = rows
    .filter(({ length }) => length === longest)
    .toSorted((a, b) => b.pairwise.mean - a.pairwise.mean)
    .map(({ scorer }) => scorer);
  return [...new Set([...first.filter((name) => ranked.includes(name)), ...ranked])].slice(0, MOST_SCORERS);
}
