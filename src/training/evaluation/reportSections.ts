/** Parts of a report's page that are the same whoever was measured: calibration, tokens, time. */
import type { CalibrationReport } from './calibrationReport.ts';
import type { CalibrationBeforeAndAfter, ScoreTimes } from './modelMeasures.ts';
import type { ClusterQuality, GroupRecovery, HalvesAgreement } from './profileClusters.ts';
import type { ReportRow } from './report.ts';
import { markdownTable, percent } from './reportTables.ts';
import type { TokenReport } from './tokenReport.ts';

const fixed = (value: number, digits = 3): string => value.toFixed(digits);

/** @param people who judged, as a sentence goes on after "judgements by people who" */
export function calibrationSection({ before, after }: CalibrationBeforeAndAfter, people: string): string {
  const row = (name: string, of: (report: CalibrationReport) => string) => [name, of(before), of(after)];
  return `P(like) of ${after.judgements} judgements by people who ${people} (${percent(after.likeRate)} % likes). Before: σ(s), the margin at its word. After: as it is served.

${markdownTable(
  ['', 'before', 'after'],
  [
    row('expected calibration error, 10 bins, points', ({ expectedError }) => percent(expectedError)),
    row('the same if every probability were true, mean', ({ noiseFloor }) => percent(noiseFloor)),
    row('debiased root mean square error, 15 bins of equal count, points', ({ debiasedError }) =>
      percent(debiasedError),
    ),
    row('the same if every probability were true, 95 % stay below', ({ debiasedNoise }) => percent(debiasedNoise)),
    row('slope of the log odds (1 is right, less is over-confident)', ({ slope }) => fixed(slope, 2)),
    row(
      'the same if every probability were true, 95 % lie in',
      ({ slopeNoise }) => `[${fixed(slopeNoise.low, 2)}, ${fixed(slopeNoise.high, 2)}]`,
    ),
  ],
)}
What it would be "if every probability were true" is drawn from the probabilities themselves (parametric bootstrap), as if judgements were independent; those of one person are not quite.
`;
}

/** @param histories what was read of each person, and of each half of their history */
export function tokenSection(report: TokenReport, histories: { whole: string; half: string }): string {
  const { people, groups, halves, use, layerDistances, clusters } = report;
  const recovered = (name: string, { all, unseen, inOwnGroup }: GroupRecovery) => [
    name,
    fixed(all, 2),
    fixed(unseen, 2),
    percent(inOwnGroup),
  ];
  const agreed = (name: string, of: HalvesAgreement) => [
    name,
    percent(of.sameCluster),
    percent(of.sameClusterByChance),
    percent(of.mutualNearest),
    percent(of.farther),
  ];
  const ofGroups =
    groups === null
      ? ''
      : `${groups.count} planted groups of taste. As many clusters as groups, by k-means:

${markdownTable(
  ['clustered', 'adjusted Rand index', 'of unseen people', 'unseen people in their own group, %'],
  [
    recovered('profiles (square roots of attention)', groups.ofProfiles),
    recovered('t = μ₊ − μ₋, no tokens', groups.ofTastes),
  ],
)}
By chance the index is 0 and the share ${percent(1 / groups.count)} %. Similarity (1 − Hellinger distance) is ${fixed(groups.within)} within a group and ${fixed(groups.across)} across: by person, the difference is ${fixed(groups.difference.mean)} ± ${fixed(groups.difference.standardError)}. Of each person's three nearest, ${fixed(groups.nearestOfGroup.mean, 2)} ± ${fixed(groups.nearestOfGroup.standardError, 2)} are of their group; by chance it would be ${fixed(3 / groups.count, 2)}.
`;
  return `${people} people with ${histories.whole}. ${ofGroups}
Two halves of one history, ${histories.half}, in ${halves.clusters} clusters of whole histories:

${markdownTable(
  [
    'compared',
    'both halves in one cluster, %',
    'by chance, %',
    "each other's nearest, %",
    'halves of others that are farther, % (chance 50)',
  ],
  [agreed('profiles', halves.ofProfiles), agreed('t = μ₊ − μ₋, no tokens', halves.ofTastes)],
)}
Tokens in use, by the entropy of the mean attention: ${fixed(use.effective, 1)} of ${use.tokens} (by layer ${use.effectiveByLayer.map((n) => fixed(n, 1)).join(', ')}); ${use.above2Percent} carry more than 2 %. One person's attention in one head has an entropy of ${fixed(use.entropyOfPerson, 2)} nats (even attention: ${fixed(Math.log(use.tokens), 2)}). Mean Hellinger distance between two people, by layer: ${layerDistances.map((d) => fixed(d)).join(', ')}.

Silhouette (−1 to 1, higher is better) / Davies–Bouldin (lower is better) of k-means clusters:

${qualityTable(clusters)}
`;
}

/**
 * What ranking loses with the tokens off, by kind of people.
 * @param scorer the model with its tokens off  @param length histories that are told of
 */
export function tokenWorth(rows: readonly ReportRow[], scorer: string, length: string): string {
  const off = rows.filter((row) => row.scorer === scorer && row.subset === 'all');
  if (off.every(({ difference: d }) => d !== null && d.low === 0 && d.high === 0)) {
    return 'To the ranking the tokens of this model are worth nothing: with them off, all accuracies are the same.\n';
  }
  const at8 = off.flatMap(({ kind, length: of, difference: d }) =>
    d && of === length
      ? [[kind, percent(d.mean), percent(d.crossedError), `[${percent(d.low)}, ${percent(d.high)}]`]]
      : [],
  );
  return `What the tokens are worth to the ranking, at histories of ${length}: accuracy with them less without, points.

${markdownTable(['people of', 'difference', 'standard error over people × artists', '95 % interval'], at8)}`;
}

function qualityTable(clusters: TokenReport['clusters']): string {
  const row = (name: string, of: readonly ClusterQuality[]) => [
    name,
    ...of.map(({ silhouette, daviesBouldin }) => `${fixed(silhouette, 2)} / ${fixed(daviesBouldin, 2)}`),
  ];
  return markdownTable(
    ['clusters', ...clusters.profiles.map((of) => String(of.clusters))],
    [
      row('attention vectors (square roots)', clusters.profiles),
      row('states of the last layer (probe)', clusters.states),
      row('t = μ₊ − μ₋', clusters.tastes),
    ],
  );
}

export const timeSection = ({
  state,
  one,
  of64,
  judgements,
}: ScoreTimes): string => `Medians on the machine that wrote this: a score takes ${one.toFixed(0)} µs with one target in a call and ${of64.toFixed(1)} µs with 64; the state of a person with ${judgements} judgements, kept between calls, ${state.toFixed(0)} µs.
`;
