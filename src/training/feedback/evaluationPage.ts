/** A tenant's evaluation as files to keep: a page to read, the numbers, and plots. */
import type { ReportFile } from '../evaluation/reportFiles.ts';
import { reportJson } from '../evaluation/reportFiles.ts';
import { accuracyPlot, reliabilityPlot } from '../evaluation/reportPlots.ts';
import { calibrationSection, timeSection, tokenSection, tokenWorth } from '../evaluation/reportSections.ts';
import { markdownReport } from '../evaluation/reportTables.ts';
import { BEFORE, CANDIDATE, CANDIDATE_WITHOUT_TOKENS, type FeedbackEvaluation } from './evaluateFeedback.ts';

const WHO = 'are held out, the newest of each, as they were given';
const HISTORIES = { whole: 'two judgements or more', half: 'the judgements of each side dealt in turn' };

/** report.md, report.json, accuracy.svg and calibration.svg. */
export function evaluationFiles(evaluation: FeedbackEvaluation): ReportFile[] {
  const rows = evaluation.rows.filter(({ subset }) => subset === 'all');
  const shown = [CANDIDATE, BEFORE, CANDIDATE_WITHOUT_TOKENS, 'chance'];
  return [
    { name: 'report.md', content: evaluationPage(evaluation) },
    { name: 'report.json', content: reportJson(evaluation) },
    { name: 'accuracy.svg', content: accuracyPlot('Accuracy against history', rows, shown) },
    { name: 'calibration.svg', content: reliabilityPlot(evaluation.calibration) },
  ];
}

function evaluationPage({ model, before, feedback, rows, ...measured }: FeedbackEvaluation): string {
  const beside = before ? `, beside the model before it, \`${before.name}\` (weights ${before.sha256})` : '';
  return `# Evaluation of the model \`${model.name}\` on a tenant's people

Weights ${model.sha256}${beside}. Feedback ${feedback}.

${measured.people} people of the test part, a tenth of all, whom no training of this tenant learns from. Of each, the newest three tenths of the judgements (2 to 12) are foretold from all that came before; what others had made of an image is what was known then. Histories shorter than a column says are read whole. Simple scorers read the encoder's features of the newest 128 judgements, their strengths were chosen on people of the validation part; the population's was fitted on people of the training part. Intervals are 95 %, over people and, independently, prompts; all scorers are measured on the same pairs and the same draws. How to read it: docs/evaluation.md of Palate.

${markdownReport(rows, CANDIDATE)}
## Calibration

${calibrationSection(measured.calibration, WHO)}
## Tokens

${measured.tokens ? tokenSection(measured.tokens, HISTORIES) : 'Too few people to tell.\n'}
${tokenWorth(rows, CANDIDATE_WITHOUT_TOKENS, 'all')}
## Time

${timeSection(measured.times)}`;
}
