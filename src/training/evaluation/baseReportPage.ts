/**
 * The base model's report as a page to read: what was measured, on whom, and how it compares.
 */
import type { BaseModel } from '../baseModel.ts';
import { type BaseReport, MODEL } from './baseReport.ts';
import { markdownReport } from './report.ts';

const points = (share: number): string => (100 * share).toFixed(1);

export function baseReportPage({ rows, calibration, profiles }: BaseReport, { artifact, split }: BaseModel): string {
  const { name, weights, training } = artifact.manifest;
  const { train, validation, test } = split.artists;
  return `# Report of the model \`${name}\`

Weights ${weights.sha256}, ${(weights.bytes / 1e6).toFixed(1)} MB, trained with

    ${String(training['command'])}

on people simulated over pictures of ${train.length} artists, stopped and calibrated on ${validation.length} others.
Everything below is measured on ${test.length} artists that neither saw, and on tags that no training person liked or
disliked. Intervals are over people; which artists were kept for the test moves all scorers together by more than that.

${markdownReport(rows, MODEL)}
## Calibration

P(like) against ${calibration.judgements} judgements by people who like a tenth to nine tenths of what they see (${points(calibration.likeRate)} % likes):

| | points |
| --- | ---: |
| expected calibration error, 10 bins | ${points(calibration.expectedError)} |
| what it would be if every probability were true | ${points(calibration.noiseFloor)} |
| debiased root mean square error, 15 bins of equal count | ${points(calibration.debiasedError)} |

The log odds of a like rise by ${calibration.slope.toFixed(2)} for each one foretold (1 is right, less is over-confident).

## Profiles

${profiles.people} people of ${profiles.groups} planted groups of taste, none of them met in training, 8 likes and 8 dislikes each.
Similarity (1 − Hellinger distance) is ${profiles.within.toFixed(3)} within a group and ${profiles.across.toFixed(3)} across groups: by person, the difference is
${profiles.difference.mean.toFixed(3)} [${profiles.difference.low.toFixed(3)}, ${profiles.difference.high.toFixed(3)}] (95 %). Of each person's three nearest, ${profiles.nearestOfGroup.mean.toFixed(2)} ± ${profiles.nearestOfGroup.standardError.toFixed(2)} are of their group;
by chance it would be ${(3 / profiles.groups).toFixed(2)}. Mean Hellinger distance between two people, by layer: ${profiles.layerDistances.map((d) => d.toFixed(3)).join(', ')}.
`;
}
