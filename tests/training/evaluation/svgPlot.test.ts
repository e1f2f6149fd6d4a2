/** Plots are documents that a reader can open: named, labelled, within their frame. */
import { accuracyPlot, reliabilityPlot } from '../../../src/training/evaluation/reportPlots.ts';
import { linePlot } from '../../../src/training/evaluation/svgPlot.ts';
import { rowOf } from './reportRow.ts';

const axis = (label: string) => ({ label, from: 0, to: 1, ticks: [{ at: 0.5, label: 'half' }] });

/** Every opened element is closed in its turn. */
function expectWellFormed(svg: string): void {
  const open: string[] = [];
  for (const [, close, name, empty] of svg.matchAll(/<(\/?)([a-z]+)[^>]*?(\/?)>/g)) {
    if (close) expect(open.pop()).toBe(name);
    else if (!empty) open.push(name!);
  }
  expect(open).toEqual([]);
}

describe('a line plot', () => {
  const svg = linePlot({
    title: 'Likes & <dislikes>',
    x: axis('across'),
    y: axis('up'),
    series: [
      {
        name: 'a "line"',
        points: [
          { x: 0, y: 0, low: 0, high: 0.1 },
          { x: 0.5, y: NaN },
          { x: 1, y: 1 },
        ],
      },
      {
        name: 'reference',
        points: [
          { x: 0, y: 0.5 },
          { x: 1, y: 0.5 },
        ],
        reference: true,
      },
    ],
  });

  it('is well formed, with title, axes, names and dark colours', () => {
    expectWellFormed(svg);
    expect(svg).toContain('<title id="title">Likes &amp; &lt;dislikes&gt;</title>');
    for (const text of ['across', 'up', 'half', 'a &quot;line&quot;', 'reference']) expect(svg).toContain(`>${text}<`);
    expect(svg).toContain('prefers-color-scheme: dark');
    expect(svg).not.toContain('NaN');
  });

  it('places the ends of an axis at the ends of the frame, and whiskers from low to high', () => {
    expect(svg).toContain('d="M64 380L700 44"');
    expect(svg).toMatch(/<line class="whisker"[^>]* x1="64" x2="64" y1="380" y2="346.4"/);
    expect(svg.match(/<circle/g)).toHaveLength(2);
  });
});

describe('the accuracy plot', () => {
  const lengths = ['0+0', '8+8', '8+0', '0+8'];
  const scorers = ['chance', 'model', ...Array.from({ length: 9 }, (_, i) => `baseline ${i}`)];
  const rows = scorers.flatMap((scorer, s) =>
    lengths.map((length) => rowOf({ scorer, length, mean: scorer === 'chance' ? 0.5 : 0.55 + 0.02 * s })),
  );
  const svg = accuracyPlot('People of tags', rows, ['model', 'chance']);

  it('shows the named scorers and the best of the others, no more than can be told apart', () => {
    expectWellFormed(svg);
    for (const name of ['model', 'chance', 'baseline 8', 'baseline 5']) expect(svg).toContain(`>${name}<`);
    expect(svg).not.toContain('>baseline 4<');
  });

  it('does not join histories of one side to balanced ones', () => {
    const [path] = svg.match(/class="line" stroke="#0072b2" d="([^"]*)"/) ?? [];
    expect(path!.match(/M/g)).toHaveLength(3);
    expect(path!.match(/L/g)).toHaveLength(1);
  });
});

it('the reliability diagram holds both curves against the diagonal', () => {
  const report = (liked: number) => ({ bins: [{ judgements: 50, foretold: 0.25, liked }] }) as never;
  const svg = reliabilityPlot({ before: report(0.5), after: report(0.25) });
  expectWellFormed(svg);
  for (const name of ['before calibration', 'after calibration', 'right']) expect(svg).toContain(`>${name}<`);
});
