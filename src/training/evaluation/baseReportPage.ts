/** The base model's report as a page to read: what was measured, on whom, and how it compares. */
import { type BaseReport, MODEL, WITHOUT_TOKENS } from './baseReport.ts';
import { calibrationSection, timeSection, tokenSection, tokenWorth } from './reportSections.ts';
import { markdownReport } from './reportTables.ts';

const RATES = 'like a tenth to nine tenths of what they see';
const HISTORIES = { whole: '8 likes and 8 dislikes', half: '4 likes and 4 dislikes each' };

export function baseReportPage({ model, seed, artists, draws, rows, ...measured }: BaseReport): string {
  const trained = model.command === null ? '' : `, trained with\n\n    ${model.command}\n\nand measured here`;
  return `# Report of the model \`${model.name}\`

Weights ${model.sha256}, ${(model.bytes / 1e6).toFixed(1)} MB${trained} under the split of seed ${seed}: ${artists.train} artists to learn from, ${artists.validation} to stop and calibrate, ${artists.test} for the test.

People are simulated. Everything below is measured on people, artists and tags of the test; simple scorers were fitted on training artists and chosen on validation people. Intervals are 95 %, by ${draws} draws of people and, independently, of artists; all scorers are measured on the same pairs and the same draws. What is measured and how to read it: docs/evaluation.md of Palate.

${markdownReport(rows, MODEL)}
## Calibration

${calibrationSection(measured.calibration, RATES)}
## Tokens

${tokenSection(measured.tokens, HISTORIES)}
${tokenWorth(rows, WITHOUT_TOKENS, '8+8')}
## Time

${timeSection(measured.times)}`;
}
