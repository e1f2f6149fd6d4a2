/**
 * Line plots as SVG: one picture, one question. Legible on white and on black, named for who cannot see it, without a
 * script. Knows numbers and words only.
 */

export interface PlotPoint {
  readonly x: number;
  readonly y: number;
  /** Ends of the point's interval, where it has one. */
  readonly low?: number;
  readonly high?: number;
}

export interface PlotSeries {
  readonly name: string;
  /** Left to right. Not a number: no point there. */
  readonly points: readonly PlotPoint[];
  /** Points from this one on are not joined to those before. */
  readonly breaks?: readonly number[];
  /** A thin grey line without marks: what the others are held against. */
  readonly reference?: boolean;
}

export interface Axis {
  readonly label: string;
  /** Ends of the axis. */
  readonly from: number;
  readonly to: number;
  readonly ticks: readonly { readonly at: number; readonly label: string }[];
}

export interface LinePlot {
  readonly title: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly series: readonly PlotSeries[];
}

const WIDTH = 720;
const HEIGHT = 440;
const LINE_HEIGHT = 18;
const MARGIN = { left: 64, right: 20, top: 44, bottom: 60 };
/** Okabe & Ito's colours, which colour-blind readers tell apart, but for those too faint on white or on black. */
const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9'];
/** Plain rules, no variables: readers of SVG outside of browsers know no more. */
const STYLE = `
    .plot { font: 13px system-ui, sans-serif; }
    .paper { fill: #fff; }
    text { fill: #222; }
    .grid { stroke: #ccc; stroke-width: 1; }
    .reference { stroke: #222; stroke-width: 1; stroke-dasharray: 4 4; fill: none; opacity: 0.7; }
    .line { stroke-width: 2; fill: none; }
    .whisker { stroke-width: 1.2; }
    @media (prefers-color-scheme: dark) {
      .paper { fill: #111; }
      text { fill: #ddd; }
      .grid { stroke: #444; }
      .reference { stroke: #ddd; }
    }`;

/** The plot as an SVG document. */
export function linePlot({ title, x, y, series }: LinePlot): string {
  const height = HEIGHT + LINE_HEIGHT * series.length;
  const bottom = HEIGHT - MARGIN.bottom;
  const place = (value: number, { from, to }: Axis, start: number, end: number) =>
    start + ((value - from) / (to - from)) * (end - start);
  const atX = (value: number) => round(place(value, x, MARGIN.left, WIDTH - MARGIN.right));
  const atY = (value: number) => round(place(value, y, bottom, MARGIN.top));
  const parts = [
    `<rect class="paper" width="${WIDTH}" height="${height}"/>`,
    `<text x="${WIDTH / 2}" y="24" text-anchor="middle" font-size="15" font-weight="600">${escapeXml(title)}</text>`,
    ...y.ticks.map(
      ({ at, label }) =>
        `<line class="grid" x1="${MARGIN.left}" x2="${WIDTH - MARGIN.right}" y1="${atY(at)}" y2="${atY(at)}"/>` +
        `<text x="${MARGIN.left - 8}" y="${atY(at) + 4}" text-anchor="end">${escapeXml(label)}</text>`,
    ),
    ...x.ticks.map(
      ({ at, label }) => `<text x="${atX(at)}" y="${bottom + 20}" text-anchor="middle">${escapeXml(label)}</text>`,
    ),
    `<text x="${(MARGIN.left + WIDTH - MARGIN.right) / 2}" y="${bottom + 44}" text-anchor="middle">${escapeXml(x.label)}</text>`,
    `<text transform="translate(18 ${(MARGIN.top + bottom) / 2}) rotate(-90)" text-anchor="middle">${escapeXml(y.label)}</text>`,
    ...coloured(series).map((one) => drawSeries(one, atX, atY)),
    ...coloured(series).map((one, i) => legend(one, i)),
  ];
  return `<svg xmlns="http://www.w3.org/2000/svg" class="plot" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-labelledby="title">
  <title id="title">${escapeXml(title)}</title>
  <style>${STYLE}
  </style>
  ${parts.join('\n  ')}
</svg>
`;
}

type Coloured = PlotSeries & { readonly colour: string };

function coloured(series: readonly PlotSeries[]): Coloured[] {
  let next = 0;
  return series.map((one) => ({
    ...one,
    colour: one.reference ? 'none' : COLOURS[next++ % COLOURS.length]!,
  }));
}

function drawSeries(
  { points, breaks = [], reference, colour }: Coloured,
  atX: (x: number) => number,
  atY: (y: number) => number,
): string {
  const known = points.filter(({ y }) => Number.isFinite(y));
  const path = known.map(({ x, y }, i) => `${i === 0 || breaks.includes(x) ? 'M' : 'L'}${atX(x)} ${atY(y)}`).join('');
  if (reference) return `<path class="reference" d="${path}"/>`;
  const marks = known.map(({ x, y, low, high }) => {
    const whisker =
      low === undefined || high === undefined
        ? ''
        : `<line class="whisker" stroke="${colour}" x1="${atX(x)}" x2="${atX(x)}" y1="${atY(low)}" y2="${atY(high)}"/>`;
    return `${whisker}<circle cx="${atX(x)}" cy="${atY(y)}" r="3.2" fill="${colour}"/>`;
  });
  return `<path class="line" stroke="${colour}" d="${path}"/>${marks.join('')}`;
}

/** A name a line, below the axis. */
function legend({ name, reference, colour }: Coloured, i: number): string {
  const y = HEIGHT + LINE_HEIGHT * i;
  const line = `x1="${MARGIN.left}" x2="${MARGIN.left + 22}" y1="${y - 4}" y2="${y - 4}"`;
  const sample = reference ? `<line class="reference" ${line}/>` : `<line class="line" stroke="${colour}" ${line}/>`;
  return `${sample}<text x="${MARGIN.left + 28}" y="${y}">${escapeXml(name)}</text>`;
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}

const round = (value: number): number => Math.round(10 * value) / 10;
