/**
 * A tenant's people as training and evaluation read them, and the split that holds for good. Knows no file and no
 * database: snapshot.ts keeps people on disk.
 */
import { hashFraction } from '../../random.ts';
import type { HistoryItem, Popularity } from '../tasks.ts';

/** Learned from; early stopping and calibration; evaluation. */
export type PeoplePart = 'train' | 'validation' | 'test';

const SHARES = { train: 0.8, validation: 0.1 } as const;

/** Where a person falls, today and in every later training: or a model would be tested on whom an earlier one knows. */
export function partOfPerson(tenantId: string, userId: string): PeoplePart {
  const fraction = hashFraction(`${tenantId}/${userId}`);
  if (fraction < SHARES.train) return 'train';
  return fraction < SHARES.train + SHARES.validation ? 'validation' : 'test';
}

export interface PersonJudgement extends HistoryItem {
  /** Number of the image. */
  readonly image: number;
  /** Milliseconds since 1970. */
  readonly judgedAt: number;
  /** What others had made of the image before this person judged it: neither the person nor the future is in it. */
  readonly popularity: Popularity;
}

/** Newest judgement first; skips are left out. */
export type PersonJudgements = readonly PersonJudgement[];
