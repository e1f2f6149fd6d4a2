/**
 * The order of the test files: those that start whole services and trainings before the others. Jest knows how long a file
 * takes only where it ran before; elsewhere it goes by size, and the longest, which are short to read, come last, alone.
 */
import Sequencer from '@jest/test-sequencer';

const LONGEST = ['/tests/e2e/', '/tests/workers/train.', '/tests/isolation/', '/tests/commands/', '/base/baseModel.'];

const place = ({ path }) => {
  const first = LONGEST.findIndex((part) => path.replaceAll('\\', '/').includes(part));
  return first < 0 ? LONGEST.length : first;
};

export default class LongestFirst extends Sequencer {
  /** Within a place, as Jest would have them. */
  async sort(tests) {
    return [...(await super.sort(tests))].sort((one, other) => place(one) - place(other));
  }
}
