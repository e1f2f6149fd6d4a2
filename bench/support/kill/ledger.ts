/**
 * What was sent and what was acknowledged, held against what the database has. It promises what docs/errors.md and the
 * schema promise: an acknowledged judgement stands until a newer one replaces it, an acknowledged comparison is there,
 * each once, and nothing is there that nobody sent.
 */
import type { ComparisonSubmission, Judgement, Submission } from './submissions.ts';

export interface FeedbackRow extends Judgement {
  readonly id: string;
}

export interface ComparisonRow {
  readonly id: string;
  readonly userId: string;
  readonly chosenId: string;
  readonly otherIds: readonly string[];
  readonly judgedAt: string;
}

/** What one person made of one image. */
interface Place {
  /** By instant: each is its own. */
  readonly sent: Map<string, Judgement>;
  /** The newest instant that was acknowledged; empty before the first. */
  newestAcknowledged: string;
  /** The ids that acknowledgements gave it: one, if all is well. */
  readonly ids: Set<string>;
}

const placeOf = ({ userId, imageId }: { userId: string; imageId: string }) => `${userId} ${imageId}`;

export class Ledger {
  readonly submissions: Submission[] = [];
  readonly #places = new Map<string, Place>();
  readonly #comparisons = new Map<string, ComparisonSubmission>();

  /** Before it is sent: what is cut off may have arrived. */
  note(submission: Submission): void {
    this.submissions.push(submission);
    if (submission.kind === 'comparison') this.#comparisons.set(submission.judgedAt, submission);
    else for (const judgement of submission.judgements) this.#place(judgement).sent.set(judgement.judgedAt, judgement);
  }

  /** When it was answered without an error. */
  acknowledge(submission: Submission, ids: readonly string[]): void {
    submission.answer = ids;
    if (submission.kind === 'comparison') return;
    for (const [i, judgement] of submission.judgements.entries()) {
      const place = this.#place(judgement);
      place.ids.add(ids[i]!);
      if (judgement.judgedAt > place.newestAcknowledged) place.newestAcknowledged = judgement.judgedAt;
    }
  }

  /** What is wrong with these rows, a sentence each; none, if all is well. */
  faults(feedback: readonly FeedbackRow[], comparisons: readonly ComparisonRow[]): string[] {
    return [...this.#feedbackFaults(feedback), ...this.#comparisonFaults(comparisons)];
  }

  #place(judgement: Judgement): Place {
    const name = placeOf(judgement);
    const place = this.#places.get(name) ?? { sent: new Map(), newestAcknowledged: '', ids: new Set() };
    this.#places.set(name, place);
    return place;
  }

  *#feedbackFaults(rows: readonly FeedbackRow[]): Generator<string> {
    const seen = new Set<string>();
    for (const row of rows) {
      const name = placeOf(row);
      const place = this.#places.get(name);
      const judgement = place?.sent.get(row.judgedAt);
      if (seen.has(name)) yield `feedback ${row.id}: a second row of one person and image (${name})`;
      seen.add(name);
      if (!place || !judgement) {
        yield `feedback ${row.id}: nobody sent a judgement of ${row.judgedAt} there (${name})`;
        continue;
      }
      if (row.judgedAt < place.newestAcknowledged) {
        yield `feedback ${row.id}: ${row.judgedAt} stands, and ${place.newestAcknowledged} was acknowledged`;
      }
      for (const field of ['sentiment', 'weight', 'comment'] as const) {
        if (row[field] !== judgement[field])
          yield `feedback ${row.id}: ${field} is ${row[field]}, sent was ${judgement[field]}`;
      }
      for (const id of place.ids) if (id !== row.id) yield `feedback ${row.id}: was acknowledged as ${id}`;
    }
    for (const [name, { newestAcknowledged }] of this.#places) {
      if (newestAcknowledged !== '' && !seen.has(name)) yield `feedback of ${newestAcknowledged} is lost (${name})`;
    }
  }

  *#comparisonFaults(rows: readonly ComparisonRow[]): Generator<string> {
    const seen = new Set<string>();
    for (const row of rows) {
      const sent = this.#comparisons.get(row.judgedAt);
      if (seen.has(row.judgedAt)) yield `comparison ${row.id}: a second row of ${row.judgedAt}, key ${sent?.key}`;
      seen.add(row.judgedAt);
      if (!sent) {
        yield `comparison ${row.id}: nobody sent one of ${row.judgedAt}`;
        continue;
      }
      const same = (one: { userId: string; chosenId: string; otherIds: readonly string[] }) =>
        [one.userId, one.chosenId, ...one.otherIds].join(' ');
      if (same(row) !== same(sent)) yield `comparison ${row.id}: is of ${same(row)}, sent was ${same(sent)}`;
      if (sent.answer && sent.answer[0] !== row.id) yield `comparison ${row.id}: was acknowledged as ${sent.answer[0]}`;
    }
    for (const { judgedAt, answer } of this.#comparisons.values()) {
      if (answer && !seen.has(judgedAt)) yield `comparison ${answer[0]} of ${judgedAt} is lost`;
    }
  }
}
