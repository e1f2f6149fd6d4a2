/**
 * Feedback and comparisons as several writers send them, drawn from a seed: some with an idempotency key, each with an
 * instant of its own, by which its trace can be found again. What became of them is the ledger's (ledger.ts).
 */
import type { Random } from '../../../src/random.ts';
import type { RunningService } from '../service.ts';

const KEYED = 0.6;
const COMPARISONS = 0.3;
const MOST_ITEMS = 8;
const MOST_OTHERS = 5;
const SENTIMENTS = ['LIKE', 'DISLIKE', 'SKIP'] as const;
/** What is not answered by then never will be. */
const ANSWER_MS = 20_000;

interface Sent {
  /** The idempotency key, if it has one. */
  readonly key: string | null;
  /** The ids it was answered with; null as long as nothing acknowledged it. */
  answer: readonly string[] | null;
}

export interface Judgement {
  readonly userId: string;
  readonly imageId: string;
  readonly sentiment: (typeof SENTIMENTS)[number];
  readonly weight: number;
  readonly comment: string;
  readonly judgedAt: string;
}

export interface FeedbackSubmission extends Sent {
  readonly kind: 'feedback';
  readonly judgements: readonly Judgement[];
}

export interface ComparisonSubmission extends Sent {
  readonly kind: 'comparison';
  readonly userId: string;
  readonly chosenId: string;
  readonly otherIds: readonly string[];
  readonly judgedAt: string;
}

export type Submission = FeedbackSubmission | ComparisonSubmission;

/** Draws submissions about these people and pictures; no two judgements or comparisons have the same instant. */
export class Draughtsman {
  readonly #userIds: readonly string[];
  readonly #imageIds: readonly string[];
  /** An hour ago: not one of them is ahead of the service's clock. */
  readonly #begin = Date.now() - 3_600_000;
  #drawn = 0;

  constructor(userIds: readonly string[], imageIds: readonly string[]) {
    this.#userIds = userIds;
    this.#imageIds = imageIds;
  }

  draw(random: Random): Submission {
    const key = random.uniform() < KEYED ? `kill-${this.#drawn}` : null;
    return random.uniform() < COMPARISONS ? this.#comparison(random, key) : this.#feedback(random, key);
  }

  #feedback(random: Random, key: string | null): FeedbackSubmission {
    const judgements = Array.from({ length: 1 + random.int(MOST_ITEMS) }, () => ({
      userId: random.pick(this.#userIds),
      imageId: random.pick(this.#imageIds),
      sentiment: random.pick(SENTIMENTS),
      weight: 1 + random.int(9),
      comment: `judgement ${this.#drawn}`,
      judgedAt: this.#instant(),
    }));
    return { kind: 'feedback', key, judgements, answer: null };
  }

  #comparison(random: Random, key: string | null): ComparisonSubmission {
    const [chosenId, ...otherIds] = random.choose(this.#imageIds, 2 + random.int(MOST_OTHERS));
    const userId = random.pick(this.#userIds);
    return {
      ...{ kind: 'comparison', key, userId, chosenId: chosenId!, otherIds },
      ...{ judgedAt: this.#instant(), answer: null },
    };
  }

  #instant(): string {
    return new Date(this.#begin + this.#drawn++).toISOString();
  }
}

const FEEDBACK = `mutation ($input: SubmitFeedbackInput!) {
  submitFeedback(input: $input) { feedback { id } userErrors { code message } }
}`;
const COMPARISON = `mutation ($input: SubmitComparisonInput!) {
  submitComparison(input: $input) { comparison { id } userErrors { code message } }
}`;

interface UserErrors {
  userErrors: { code: string; message: string }[];
}

/** A submission that was answered with errors. */
export class Refused extends Error {
  /** True where the first of this key has not ended yet. */
  readonly inProgress: boolean;

  constructor(userErrors: UserErrors['userErrors']) {
    super(userErrors.map(({ message }) => message).join('; '));
    this.inProgress = userErrors.every(({ code }) => code === 'IN_PROGRESS');
  }
}

/** Sends it and answers the ids that acknowledge it. Throws Refused, or what became of the connection. */
export async function send(service: RunningService, submission: Submission): Promise<string[]> {
  const key = submission.key === null ? {} : { idempotencyKey: submission.key };
  const signal = AbortSignal.timeout(ANSWER_MS);
  if (submission.kind === 'feedback') {
    const items = submission.judgements.map(({ userId, imageId, ...said }) => ({
      ...said,
      user: { id: userId },
      image: { id: imageId },
    }));
    const { submitFeedback } = await service.query<{ submitFeedback: { feedback: { id: string }[] } & UserErrors }>(
      FEEDBACK,
      { input: { items, ...key } },
      signal,
    );
    if (submitFeedback.userErrors.length > 0) throw new Refused(submitFeedback.userErrors);
    return submitFeedback.feedback.map(({ id }) => id);
  }
  const { userId, chosenId, otherIds, judgedAt } = submission;
  const input = { user: { id: userId }, chosen: { id: chosenId }, others: otherIds.map((id) => ({ id })), judgedAt };
  const { submitComparison } = await service.query<{ submitComparison: { comparison: { id: string } } & UserErrors }>(
    COMPARISON,
    { input: { ...input, ...key } },
    signal,
  );
  if (submitComparison.userErrors.length > 0) throw new Refused(submitComparison.userErrors);
  return [submitComparison.comparison.id];
}
