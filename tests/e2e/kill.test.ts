/** What was acknowledged outlives `kill -9`, of the service and of its database; the long form is `npm run bench:kill`. */

import { Ledger } from '../../bench/support/kill/ledger.ts';
import { runKills } from '../../bench/support/kill/run.ts';
import type { ComparisonSubmission, FeedbackSubmission } from '../../bench/support/kill/submissions.ts';

it('keeps every acknowledged judgement and comparison once, and answers its keys again', async () => {
  const { kills, faults, judgements, comparisons, replays } = await runKills({ kills: 2, seed: 'e2e' });
  expect(faults).toEqual([]);
  expect(kills.map(({ withDatabase }) => withDatabase).sort()).toEqual([false, true]);
  for (const count of [judgements, comparisons, replays]) expect(count).toBeGreaterThan(0);
}, 240_000);

describe('the ledger that the kills are held against', () => {
  const place = { userId: 'ada', imageId: 'fox' };
  const judgement = (n: number) => ({
    ...{ ...place, sentiment: 'LIKE' as const, weight: 1, comment: `judgement ${n}` },
    judgedAt: new Date(n).toISOString(),
  });
  const feedback = (n: number): FeedbackSubmission => ({
    ...{ kind: 'feedback', key: null, judgements: [judgement(n)], answer: null },
  });
  const comparison: ComparisonSubmission = {
    ...{ kind: 'comparison', key: 'k', userId: 'ada', chosenId: 'fox', otherIds: ['owl'], answer: null },
    judgedAt: new Date(9).toISOString(),
  };
  const row = { id: 'F1', ...judgement(2) };
  const comparisonRow = { ...comparison, id: 'C1' };
  let ledger: Ledger;

  beforeEach(() => {
    ledger = new Ledger();
    for (const [n, acknowledged] of [
      [1, true],
      [2, true],
      [3, false],
    ] as const) {
      const submission = feedback(n);
      ledger.note(submission);
      if (acknowledged) ledger.acknowledge(submission, ['F1']);
    }
    ledger.note(comparison);
    ledger.acknowledge(comparison, ['C1']);
  });

  it('finds no fault in the newest acknowledged judgement, nor in a later one that nothing acknowledged', () => {
    expect(ledger.faults([row], [comparisonRow])).toEqual([]);
    expect(ledger.faults([{ ...row, ...judgement(3) }], [comparisonRow])).toEqual([]);
  });

  it.each([
    ['a lost judgement', [], [comparisonRow], /^feedback of .*002Z is lost/],
    ['an older one in its place', [{ ...row, ...judgement(1) }], [comparisonRow], /001Z stands, and .*002Z was ack/],
    ['one of nobody', [{ ...row, ...judgement(7) }], [comparisonRow], /nobody sent a judgement of .*007Z/],
    ['a second row', [row, row], [comparisonRow], /a second row of one person and image/],
    [
      'another sentiment',
      [{ ...row, sentiment: 'SKIP' as const }],
      [comparisonRow],
      /sentiment is SKIP, sent was LIKE/,
    ],
    ['another id', [{ ...row, id: 'F2' }], [comparisonRow], /was acknowledged as F1/],
    ['a lost comparison', [row], [], /^comparison C1 of .* is lost/],
    ['a doubled comparison', [row], [comparisonRow, { ...comparisonRow, id: 'C2' }], /C2: a second row of .*, key k/],
    ['an altered comparison', [row], [{ ...comparisonRow, otherIds: [] }], /C1: is of ada fox, sent was ada fox owl/],
    [
      'a comparison of nobody',
      [row],
      [comparisonRow, { ...comparisonRow, id: 'C3', judgedAt: 'x' }],
      /nobody sent one/,
    ],
  ])('tells %s', (_, rows, comparisonRows, fault) => {
    expect(ledger.faults(rows, comparisonRows)).toContainEqual(expect.stringMatching(fault));
  });
});
