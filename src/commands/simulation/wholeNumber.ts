/** Options that are counts. */
import { InvalidArgumentError } from 'commander';

/** Reads a whole number, `least` or more; commander names the option where it is not one. */
export function wholeNumberFrom(least: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!Number.isSafeInteger(value) || value < least || text.trim() === '') {
      throw new InvalidArgumentError(`It must be a whole number, ${least} or more.`);
    }
    return value;
  };
}

export const wholeNumber = wholeNumberFrom(0);

/** People of each kind in a report, at least: fewer have no interval worth the name. */
export const FEWEST_PEOPLE = 30;
