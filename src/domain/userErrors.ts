/**
 * What is wrong with one item of a mutation: collected beside the items that are right, so that one bad item keeps
 * no good one from being applied. The checks that several mutations share stand here too.
 */
import { type ItemErrorCode, PalateError } from '../errors.ts';

export interface UserError {
  /** The way to it from `input`, such as ["items", "3", "image"]; empty for the whole input. */
  readonly field: readonly string[];
  readonly code: ItemErrorCode;
  readonly message: string;
}

/** The most items that one mutation takes. */
export const MAX_ITEMS = 500;
/** The longest externalId, displayName, generator or name, in characters. */
export const MAX_NAME = 255;

/** One item's error on its way to its mutation; thrown to the caller where there is only one item. */
export class ItemError extends PalateError {
  readonly field: readonly string[];

  constructor(field: readonly string[], code: ItemErrorCode, message: string) {
    super(code, message);
    this.field = field;
  }

  /** @param way the way from `input` to the item */
  toUserError(way: readonly string[] = []): UserError {
    return { field: [...way, ...this.field], code: this.code as ItemErrorCode, message: this.message };
  }
}

/** Runs a check of one item: what it returns, or null where it throws an ItemError, which `errors` then holds. */
export function attempt<T>(errors: UserError[], way: readonly string[], check: () => T): T | null {
  try {
    return check();
  } catch (error) {
    if (!(error instanceof ItemError)) throw error;
    errors.push(error.toUserError(way));
    return null;
  }
}

/** The answer of a mutation of one thing: what `work` resolves to, or `nothing` and what was wrong. */
export async function orUserErrors<T extends object, N extends object>(
  nothing: N,
  work: () => Promise<T>,
): Promise<(T | N) & { userErrors: UserError[] }> {
  try {
    return { ...(await work()), userErrors: [] };
  } catch (error) {
    if (error instanceof ItemError) return { ...nothing, userErrors: [error.toUserError()] };
    throw error;
  }
}

/** The error for a list that is longer than `most`, or null. */
export function tooMany(field: string, items: readonly unknown[], most = MAX_ITEMS): UserError | null {
  if (items.length <= most) return null;
  return {
    field: [field],
    code: 'TOO_LARGE',
    message: `${field} has ${items.length} items; at most ${most} are taken at once. Send the rest in further requests.`,
  };
}

/** Whether PostgreSQL can keep a text: it refuses a query that holds a NUL character. What it cannot keep names nothing. */
export const canBeKept = (text: string): boolean => !text.includes('\0');

/**
 * Checks a text's length in characters. Throws an ItemError: TOO_LARGE, or INVALID for an empty text where one is
 * needed and for what PostgreSQL cannot keep: a NUL character, half of a surrogate pair.
 */
export function checkText(field: string, text: string | null | undefined, most: number, needed = false): void {
  if (text === null || text === undefined) return;
  if (needed && text === '')
    throw new ItemError([field], 'INVALID', `${field} is empty; it needs at least one character.`);
  if (!canBeKept(text)) throw new ItemError([field], 'INVALID', `${field} holds a NUL character; leave it out.`);
  if (/\p{Surrogate}/u.test(text)) {
    throw new ItemError([field], 'INVALID', `${field} holds half of a surrogate pair; send well-formed Unicode.`);
  }
  const length = text.length <= most ? text.length : [...text].length;
  if (length > most) {
    throw new ItemError([field], 'TOO_LARGE', `${field} has ${length} characters; at most ${most} are kept.`);
  }
}
